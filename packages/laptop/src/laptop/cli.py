"""`laptop`: the whole topology on one machine. Exit 0 done, 1 refused, 2 usage, 3 fault."""

import os
import signal
import sys
import time
from pathlib import Path

import click

from laptop.fault import LaptopFault, LaptopRefused

REFUSED, FAULT = 1, 3


def main() -> None:
    try:
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
        sys.exit(commands(standalone_mode=False))
    except LaptopRefused as error:
        sys.exit(say(f"laptop: {error}", REFUSED))
    except LaptopFault as error:
        sys.exit(say(f"laptop: {error}", FAULT))
    except click.ClickException as error:
        sys.exit(say(f"laptop: {error.format_message()}", 2))
    except (KeyboardInterrupt, click.Abort):
        sys.exit(say("laptop: interrupted; everything was stopped", REFUSED))


def say(text: str, code: int) -> int:
    click.echo(text, err=True)
    return code


@click.group()
def commands() -> None:
    """The production topology on one machine."""


state_option = click.option(
    "--state", type=click.Path(path_type=Path), help="A new folder for everything. Default: .state/laptop-PID"
)
port_option = click.option("--port", type=int, help="Where users arrive. Default: a free port")
rate_option = click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    help="Requests a second. Default: what the machine can bear",
)
users_option = click.option("--users", default=3000, show_default=True, help="People who may log in")


def new_state(state: Path | None) -> Path:
    return state or Path(".state") / f"laptop-{os.getpid()}"


@commands.command()
@state_option
@port_option
@users_option
def up(state: Path | None, port: int | None, users: int) -> None:
    """Start everything but green, print where it is, and keep it running until Ctrl-C."""
    from laptop import keeper
    from laptop.show import addresses, starting, stopping
    from laptop.supervisor import Supervisor
    from laptop.topology import Size, prepare, schedule, start

    place = new_state(state)
    with Supervisor(place / "logs") as supervisor:
        topology = prepare(place, size=Size(users=users), port=port)
        try:
            with starting() as tell:
                start(topology, supervisor, tell)
            supervisor.start(schedule(topology))  # nobody waits for it; `check` misses it when it dies
            addresses(topology)
            while True:
                supervisor.check()
                time.sleep(0.5)
        finally:
            with stopping() as tell:
                keeper.stop_all(topology.state / "environment")
                supervisor.stop(tell)
            topology.cluster.remove_scratch()


@commands.command()
@click.option("--bad", type=click.Choice(["errors", "slow", "crash"]), help="Roll a bad release out instead")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures here")
@rate_option
@click.option("--plan", type=click.Path(exists=True, path_type=Path), default="plans/finance-demo.yaml")
@state_option
@port_option
@users_option
def demo(
    bad: str | None,
    json_file: Path | None,
    rate: float | None,
    plan: Path,
    state: Path | None,
    port: int | None,
    users: int,
) -> None:
    """Roll finance 1.1.0 out under traffic, from 0 to 100 % or back."""
    from laptop.demo import Demo

    ended = Demo(
        bad=bad, json_file=json_file, rate=rate, plan=plan, state=new_state(state), port=port, users=users
    ).run()
    if not ended:
        sys.exit(REFUSED)


@commands.command()
@click.option("--url", required=True, help="Where users arrive")
@click.option("--users-file", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--password-file", type=click.Path(exists=True, path_type=Path), required=True)
@rate_option
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A folder for what happened")
@click.option("--seed", default=1, show_default=True, help="Of arrivals and choices")
def traffic(
    url: str, users_file: Path, password_file: Path, rate: float | None, out: Path, seed: int
) -> None:
    """Be the users: log in, work until SIGTERM, then look every acknowledged write up."""
    from laptop.traffic import run

    run(
        url=url,
        users_file=users_file,
        password=password_file.read_text(encoding="utf-8").strip(),
        rate=rate,
        out=out,
        seed=seed,
    )


@commands.group()
def release() -> None:
    """Releases as they are shipped to this machine."""


@release.command("run")
@click.argument("service")
@click.argument("version")
@click.option("--colour", type=click.Choice(["blue", "green"]), required=True)
@click.option("--settings-file", type=click.Path(exists=True, path_type=Path), required=True)
@click.argument("arguments", nargs=-1)
def run_release(
    service: str, version: str, colour: str, settings_file: Path, arguments: tuple[str, ...]
) -> None:
    """Become this version of the service, or another of its commands: -- prove books --of 1.1.0"""
    from laptop.release import SERVE, become, load

    become(load(service, version), colour, settings_file, arguments or SERVE)
