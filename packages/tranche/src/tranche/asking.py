"""What every command shares: its options, the site, and who asks."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tranche import plan as plans
from tranche import settings

Command = TypeVar("Command", bound=Callable[..., Any])


def site_option(command: Command) -> Command:
    return click.option(
        "--site", "site_file", type=click.Path(path_type=Path), help="The site file; else TRANCHE_SITE."
    )(command)


def json_option(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def rollout_option(command: Command) -> Command:
    return click.option("--rollout", help="A rollout by name; else the latest.")(command)


class OneLine(click.ParamType[str]):
    """What a person says, as it is kept for ever and shown to others: bytes that are no text are not."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002 - the type's signature
        return plans.plain(value)


def reason_option(command: Command) -> Command:
    return click.option("--reason", default="", type=OneLine(), help="Why, for the record.")(command)


def why_option(command: Command) -> Command:
    return click.option("--reason", required=True, type=OneLine(), help="Why, for the record.")(command)


def site_of(site_file: Path | None) -> Any:
    from tranche import site

    path = site_file or settings.from_environment().site
    if path is None:
        raise click.UsageError("which site? Give --site FILE or set TRANCHE_SITE")
    return site.load(path)


def asked_by(site: Any, *verbs: str) -> Any:
    """Who asks: the holder of the token where the site asks for one, and only if they may.

    The verb is the command's own, unless others are named. Programs that are started later do not inherit the token.
    """
    from tranche import wiring

    asked, door = settings.from_environment(), wiring.door(site)
    own = click.get_current_context().command_path.partition(" ")[2]
    token = asked.token.read() if asked.token is not None and site.access is not None else None
    os.environ.pop("TRANCHE_TOKEN", None)
    people = [door.admit(verb, token=token, otherwise=asked.asker) for verb in verbs or (own,)]
    return people[0]


def here_of(site_file: Path | None, *verbs: str) -> Any:
    from tranche import wiring

    site = site_of(site_file)
    asker = asked_by(site, *verbs)
    return wiring.installation(site).asked_by(asker)


def print_json(document: object) -> None:
    click.echo(json.dumps(document, indent=1))
