"""The commands about evidence: it is exported, checked offline, and every decision made again."""

from pathlib import Path
from typing import Any

import click

from tranche.answer import show_json
from tranche.asking import here_of, json_option, site_option
from tranche.ports import Fault


@click.group()
def evidence() -> None:
    """What a rollout's decisions rest on: exported, checked offline, made again (docs/evidence.md)."""


@evidence.command("export")
@click.argument("rollout")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The file to write.")
@site_option
@json_option
def evidence_export(rollout: str, out: Path, site_file: Path | None, as_json: bool) -> None:
    """Write the evidence of a rollout to one file that needs nothing else."""
    from tranche import audit
    from tranche.adapters.durable import write_atomically
    from tranche.adapters.ed25519 import verify

    here = here_of(site_file)
    desk = here.desk
    by, events, rolled = here.actor, desk.events(rollout), desk.progress(rollout)
    text = audit.export(events, desk.plan(rolled), at=desk.clock.now(), by=by, signer=here.signer)
    exported = audit.verified(text.encode(), verify=verify)  # what is handed out was read back
    try:
        write_atomically(out, text)
    except OSError as error:
        raise Fault(f"{out} cannot be written ({error}); look at the folder and the disk") from error
    _report_evidence(out, exported, as_json)


@evidence.command("verify")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--key", "keys", multiple=True, help="The public key you trust: a PEM file or ed25519:...")
@json_option
def evidence_verify(file: Path, keys: tuple[str, ...], as_json: bool) -> None:
    """Find any change of exported evidence, offline. Without --key it says whose signatures it found."""
    _report_evidence(file, _evidence(file, keys), as_json)


@evidence.command("replay")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--key", "keys", multiple=True, help="The public key you trust: a PEM file or ed25519:...")
@json_option
def evidence_replay(file: Path, keys: tuple[str, ...], as_json: bool) -> None:
    """Verify, and make every decision again from what was seen: each must come out as it was recorded."""
    from dataclasses import asdict

    from tranche import audit

    agreement = audit.replayed(_evidence(file, keys))
    if as_json:
        show_json(asdict(agreement))
        return
    click.echo(f"{file}: {agreement.agreed} decisions made again, all as recorded")
    click.echo(f"  by people: {agreement.by_people}; holds of ticks that failed: {agreement.by_faults}")
    click.echo(f"  asked by people besides: {agreement.asks}, each as its entry says")


def _evidence(file: Path, keys: tuple[str, ...]) -> Any:
    from tranche import audit
    from tranche.adapters.ed25519 import read_public, verify

    try:
        data = file.read_bytes()
    except OSError as error:
        raise Fault(f"{file} cannot be read ({error})") from error
    return audit.verified(data, verify=verify, keys=[read_public(each) for each in keys])


def _report_evidence(file: Path, exported: Any, as_json: bool) -> None:
    from tranche.page import evidence_document, text_of_evidence

    document = evidence_document(exported)
    if as_json:
        show_json(document)
    else:
        click.echo(text_of_evidence(str(file), document))
