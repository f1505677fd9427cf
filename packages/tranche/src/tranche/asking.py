"""What every command shares: its options, the site, and who asks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tranche import settings, wiring
from tranche.person import Person
from tranche.text import plain

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
        return plain(value)


def reason_option(command: Command) -> Command:
    return click.option("--reason", default="", type=OneLine(), help="Why, for the record.")(command)


def why_option(command: Command) -> Command:
    return click.option("--reason", required=True, type=OneLine(), help="Why, for the record.")(command)


def site_of(site_file: Path | None) -> Any:
    from tranche import site

    return site.load(path_of(site_file))


def path_of(site_file: Path | None) -> Path:
    path = site_file or settings.from_environment().site
    if path is None:
        raise click.UsageError("which site? Give --site FILE or set TRANCHE_SITE")
    return path


def asked_by(site: Any, *verbs: str) -> Person:
    """Who asks, as `wiring.admitted` says. The verb is the command's own, unless others are named."""
    return wiring.admitted(site, *(verbs or _own()))


def here_of(site_file: Path | None, *verbs: str) -> Any:
    return wiring.asked(site_of(site_file), *(verbs or _own()))


def _own() -> tuple[str]:
    return (click.get_current_context().command_path.partition(" ")[2],)
