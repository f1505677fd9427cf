"""An Envoy that takes over from another one in the middle of a rollout, as docs/traffic.md has it: nobody notices."""

import json
import os
import subprocess
import urllib.request
from pathlib import Path

import pytest
from data_plane import misplaced, thrown_back
from place import USERS, Place, Stretch, envoy_command, standing, until

from tranche import cli
from tranche.adapters.envoy import EnvoySignals
from tranche.ports import Split

RATE = 100.0
QUICKLY = ("--drain-time-s", "1", "--parent-shutdown-time-s", "2")


def epoch(place: Place) -> int:
    """Of the Envoy that answers."""
    with urllib.request.urlopen(f"{place.here.site.traffic.admin}/server_info", timeout=5) as answer:
        return int(json.load(answer)["command_line_options"]["restart_epoch"])


def answers(place: Place) -> bool:
    try:
        return epoch(place) == 1
    except OSError:
        return False


def share(place: Place, weight: int) -> Split:
    made = Split(identifier=f"r/{weight}", salt="s", green_weight=weight, internal_to_green=False)
    place.here.traffic().apply(made)
    return made


def requests(place: Place) -> int:
    return sum(counted.requests for counted in EnvoySignals(place.here.site.traffic).scrape().arms.values())


@pytest.mark.integration
def test_an_envoy_takes_over_under_load_and_no_user_fails_or_moves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    number = ("--base-id", str(os.getpid() % 100_000))
    with standing(tmp_path, envoy=(*number, "--restart-epoch", "0")) as place:
        before = share(place, 3000)
        with place.load(RATE, place.known, USERS) as load:
            until(lambda: requests(place) > 50, "users are there")
            site = str(tmp_path / "site.yaml")
            assert cli.run(["traffic", "config", "--keep-routes", "--site", site]) == 0
            new = subprocess.Popen(envoy_command(tmp_path, *number, "--restart-epoch", "1", *QUICKLY))
            try:
                until(lambda: answers(place), "the new one answers")
                assert place.here.traffic().serving() == before.identifier, "the routes that were served"
                until(lambda: place.envoy.poll() is not None, "the old one has ended under load")
                after, counted = share(place, 6000), requests(place)
                until(lambda: requests(place) > counted + RATE, "users met the new weight")
                load.stop()
            finally:
                new.terminate()
                new.wait(20)

    assert "the routes stay as they are" in capsys.readouterr().out
    assert len(load.answers) > 3 * RATE
    assert load.failed == 0
    began = load.answers[0].began
    assert thrown_back(load.answers, [Stretch(after, began, float("inf"))]) == set()
    of_old = [answer for answer in load.answers if answer.began < began + 1]
    assert misplaced(of_old, [Stretch(before, began, float("inf"))])[1] == 0
