"""`notification`: the stub as a service."""

import sys

import click

from kit.serve import FAULT, REFUSED, ServiceFault, fail, run
from kit.settings import SettingsRefused, read
from notification.wiring import Settings, build


def main() -> None:
    try:
        commands()
    except SettingsRefused as error:
        sys.exit(fail(f"notification: {error}", REFUSED))
    except ServiceFault as error:
        sys.exit(fail(f"notification: {error}", FAULT))


@click.group()
def commands() -> None:
    """A stub: accepts nothing, sends nothing."""


@commands.command()
def serve() -> None:
    """Run the stub until it is told to stop."""
    settings = read(Settings, "NOTIFICATION")
    run(build, host=settings.host, port=settings.port)
