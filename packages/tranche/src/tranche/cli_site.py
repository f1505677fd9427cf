"""The commands about a site: its tokens, its routes, its API, its data plane's files."""

import json
from pathlib import Path

import click

from tranche import settings
from tranche.answer import show_json
from tranche.asking import asked_by, here_of, json_option, site_of, site_option
from tranche.person import Role
from tranche.ports import Colour


@click.group()
def token() -> None:
    """Who may do what, where the site asks for tokens."""


@token.command("create")
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True, help="What for.")
@click.option(
    "--days", type=click.IntRange(1, 3660), default=90, show_default=True, help="How long it counts."
)
@site_option
@json_option
def token_create(name: str, role: str, days: int, site_file: Path | None, as_json: bool) -> None:
    """Make a token for somebody, and show it once. The first is an admin's, made by whoever may write the file."""
    from datetime import timedelta

    from tranche import wiring

    site = site_of(site_file)
    by = asked_by(site).name
    lasts = timedelta(days=days)
    made = wiring.door(site).create(name=name, role=Role(role), lasts=lasts, by=by)
    if as_json:
        show_json({"name": name, "role": role, "token": made})
        return
    click.echo(made)
    click.echo(f"for '{name}' as {role}, for {days} days; it is not shown again", err=True)


@token.command("list")
@site_option
@json_option
def token_list(site_file: Path | None, as_json: bool) -> None:
    """Every token there was, and which count."""
    from tranche import wiring
    from tranche.page import text_of_tokens, tokens_json

    site = site_of(site_file)
    asked_by(site)
    tokens = tokens_json(wiring.door(site).tokens())
    if as_json:
        show_json(tokens)
    else:
        click.echo(text_of_tokens(tokens))


@token.command("revoke")
@click.argument("name")
@site_option
@json_option
def token_revoke(name: str, site_file: Path | None, as_json: bool) -> None:
    """Let a token count no longer, from now on."""
    from tranche import wiring

    site = site_of(site_file)
    asked_by(site)
    wiring.door(site).revoke(name)
    if as_json:
        show_json({"name": name, "counts": False})
    else:
        click.echo(f"the token of '{name}' counts no longer")


@click.group()
def notify() -> None:
    """Who is told the news."""


@notify.command("test")
@click.argument("route")
@site_option
@json_option
def notify_test(route: str, site_file: Path | None, as_json: bool) -> None:
    """Send a test message on a route of the site, once; of an incident, also its end."""
    from tranche import wiring

    site = site_of(site_file)
    asked_by(site)
    sent = wiring.send_test(site, route)
    if as_json:
        show_json({"route": route, "sent": [news.key for news in sent]})
    else:
        click.echo(f"sent to '{route}'; look whether it has arrived")


@click.command()
@click.option(
    "--listen",
    default="127.0.0.1:8730",
    show_default=True,
    help="host:port; beyond loopback only with tokens.",
)
@site_option
@json_option
def serve(listen: str, site_file: Path | None, as_json: bool) -> None:
    """Serve the API over HTTP (docs/api.md) until it is stopped."""
    from tranche import wiring

    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise click.UsageError(f"expected an address such as 127.0.0.1:8730, found '{listen}'")
    path = site_file or settings.from_environment().site
    here = here_of(site_file)
    try:
        server = wiring.api(here, str(path), host=host, port=int(port))
    except ModuleNotFoundError as error:
        raise click.UsageError(f"the API needs {error.name}; install 'tranche[api]'") from None

    def ready(address: str) -> None:
        if as_json:
            click.echo(json.dumps({"listen": address, "openapi": f"{address}/v1/openapi.json"}))
        else:
            click.echo(f"listening on {address}; {address}/v1/openapi.json says what there is")

    server(ready)


@click.group()
def traffic() -> None:
    """The data plane's own files."""


@traffic.command("config")
@click.option("--keep-routes", is_flag=True, help="Only the bootstrap: users stay where they are.")
@site_option
@json_option
def traffic_config(keep_routes: bool, site_file: Path | None, as_json: bool) -> None:
    """Write the bootstrap and the first routes: everybody on blue."""
    from tranche import wiring

    site = site_of(site_file)
    asked_by(site)
    wiring.write_traffic_config(site, keep_routes=keep_routes)
    if as_json:
        show_json({"directory": str(site.traffic.directory), "listen": site.traffic.listen})
    else:
        told = "the routes stay as they are" if keep_routes else f"everybody is on {Colour.BLUE.value}"
        click.echo(f"written to {site.traffic.directory}; {told}")
