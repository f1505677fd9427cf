"""What users meet on a real Envoy while weights change, builds are replaced, green dies, and a person takes it back.

    python benches/data_plane.py [--rate N] [--changes N] [--replacements N] [--who N] [--deaths N] [--rollbacks N]
                                 [--large] [--json FILE]

The load is open and comes from a process of its own (`users.py`): half of the users have tokens, half have cookies. An
answer is held against what the engine says: every one that lies between two changes must be of the arm that `who`
names, a user who met green must not meet blue while the weight rises, and none may fail.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from place import USERS, WITHIN_S, Answer, Load, Place, Stretch, known, standing, until
from rich.console import Console
from rich.table import Table

from tranche import language, wiring
from tranche.adapters.envoy import EnvoySignals
from tranche.bucket import arm_of
from tranche.page import who_is
from tranche.ports import Arm, Colour, Split
from tranche.progress import State

RISING: Final = (0, 1000, 3000, 6000, 10_000)

# What is found.


def thrown_back(answers: Sequence[Answer], stretches: Sequence[Stretch]) -> set[str]:
    """Users who met green and, in a request that began after that, blue, while the weight rose."""
    found: set[str] = set()
    for rise in rises(stretches):
        met_green: dict[str, float] = {}
        for answer in answers:
            if not (rise[0] <= answer.began and answer.ended <= rise[1]):
                continue
            if answer.arm == Arm.GREEN:
                met_green[answer.user] = min(answer.ended, met_green.get(answer.user, float("inf")))
            elif answer.began > met_green.get(answer.user, float("inf")):
                found.add(answer.user)
    return found


def rises(stretches: Sequence[Stretch]) -> list[tuple[float, float]]:
    """Times in which the weight of one salt did not fall."""
    found: list[tuple[float, float]] = []
    before: Stretch | None = None
    for stretch in stretches:
        goes_on = before is not None and (
            before.split.salt == stretch.split.salt
            and before.split.green_weight <= stretch.split.green_weight
        )
        begins = found.pop()[0] if goes_on else stretch.begins
        found.append((begins, stretch.ends))
        before = stretch
    return found


def misplaced(answers: Sequence[Answer], stretches: Sequence[Stretch]) -> tuple[int, int]:
    """Answers that lie within one stretch; and those of them that are of another arm than the engine says."""
    looked_at = wrong = 0
    for stretch in stretches:
        for answer in answers:
            if stretch.has(answer) and answer.is_good and answer.name:
                looked_at += 1
                wrong += answer.arm != arm_of(answer.name, stretch.split, internal=False)
    return looked_at, wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What users met while weights changed, or builds were replaced: `times` how often."""

    times: int
    requests: int
    failed: int
    users: int
    thrown_back: int
    placed: int
    misplaced: int
    late_ms_p99: float


def moved(load: Load, stretches: Sequence[Stretch], times: int) -> Moved:
    # A visitor's first answer brings the cookie: it is known by it from then on, and that answer was of it, too.
    looked_at, wrong = misplaced(load.answers, stretches)
    return Moved(
        times=times,
        requests=len(load.answers),
        failed=load.failed,
        users=len({answer.user for answer in load.answers}),
        thrown_back=len(thrown_back(load.answers, stretches)),
        placed=looked_at,
        misplaced=wrong,
        late_ms_p99=round(load.late_ms_p99, 1),
    )


def changes(place: Place, *, times: int, rate: float, every_s: float) -> Moved:
    """The weight set so often, one rollout's rise after the other's, `every_s` apart."""
    traffic, stretches = place.here.traffic(), list[Stretch]()
    with place.load(rate, place.known, USERS) as load:
        for number in range(times + 1):
            turn, step = divmod(number, len(RISING))
            split = Split(
                identifier=f"bench-{turn}/{step}",
                salt=f"salt-{turn}",
                green_weight=RISING[step],
                internal_to_green=False,
            )
            began = time.time()
            traffic.apply(split)
            if stretches:
                stretches[-1] = Stretch(stretches[-1].split, stretches[-1].begins, began)
            stretches.append(Stretch(split, time.time(), float("inf")))
            time.sleep(every_s)
        load.stop()
    return moved(load, stretches, times)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How many users `who` was asked about, and where Envoy had them elsewhere."""

    users: int
    green: int
    wrong: int


def replacements(place: Place, *, times: int, rate: float, who: int) -> tuple[Moved, Asked]:
    """Green replaced so often in the middle of a rollout; and then, where each of `who` users is."""
    with place.rollout("v0", 30):
        with place.load(rate, place.known, USERS) as load:
            for number in range(1, times + 1):
                place.ask("retarget", "--version", f"v{number}", "--reason", "a newer build")
                until(lambda number=number: place.has_users(f"v{number}"), f"v{number} has users")
                time.sleep(2 * USERS / rate)  # so that each user comes again while it rises
            load.stop()
        asked = where(place, who, rate)
    return moved(load, place.stretches(), times), asked


def where(place: Place, users: int, rate: float) -> Asked:
    """Every one of so many users asks once; `who` is asked about each."""
    progress = place.here.desk.progress()
    with place.load(rate, known(users), 0, once=True) as load:
        load.wait(users / rate + WITHIN_S)
    found = {answer.user: answer.arm for answer in load.answers if answer.is_good}
    wrong = [
        user for user in known(users) if found.get(user) != who_is(progress, user=user, internal=False)["arm"]
    ]
    return Asked(users=users, green=sum(arm == Arm.GREEN for arm in found.values()), wrong=len(wrong))


@dataclass(frozen=True, slots=True, kw_only=True)
class Died:
    """Green killed with no controller alive. Times in seconds from the kill; `under_way` are requests of green's users.

    `back_after_s`: from when on every request of green's users was answered well by blue.
    """

    requests: int
    under_way: int
    failed: int
    detected_after_s: float
    back_after_s: float


def death(place: Place, version: str, *, rate: float, watch_s: float) -> Died:
    """The controller killed, then green with its keeper; nobody decides anything."""
    signals = EnvoySignals(place.here.site.traffic)
    with place.rollout(version, 60) as controller, place.load(rate, place.known, USERS, "/slow") as load:
        time.sleep(watch_s)
        controller.kill()
        controller.wait()
        keeper = json.loads((place.folder / "environment" / "green.json").read_text())["pid"]
        killed = time.time()
        os.kill(keeper, signal.SIGKILL)  # what it keeps dies with it
        until(lambda: not place.green_listens(), "green is gone")
        gone = time.time()
        until(lambda: signals.scrape().healthy_hosts[Colour.GREEN] == 0, "green is known to be dead")
        detected = time.time()
        time.sleep(watch_s)
        load.stop()
    of_green = [answer for answer in load.answers if answer.arm in {Arm.GREEN, ""}]
    under_way = [answer for answer in of_green if answer.began <= gone and answer.ended >= killed]
    after = [answer for answer in of_green if answer.began > gone]
    late = [answer.began - killed for answer in after if not (answer.is_good and answer.version == "blue")]
    return Died(
        requests=len(load.answers),
        under_way=len(under_way),
        failed=load.failed,
        detected_after_s=round(detected - killed, 3),
        back_after_s=round(max(late, default=0.0), 3),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenBack:
    """`tranche rollback` so often: ms from the start of the command until green's last request began.

    None where green had no request after the command began: that tells nothing of the time.
    """

    times: int
    requests: int
    failed: int
    last_green_ms: list[float | None]


def rollbacks(place: Place, *, times: int, rate: float) -> TakenBack:
    """Nearly everybody on green, and the command; its controller is alive."""
    plan, begun = place.plan(99), list[tuple[float, float]]()
    with place.load(rate, place.known, USERS) as load:
        for _ in range(times):
            controller = threading.Thread(target=_control, args=(place, plan), daemon=True)
            controller.start()
            until(lambda: place.has_users("green"), "green has users")
            time.sleep(20 / rate)
            began = time.time()
            place.ask("rollback", "--reason", "no")
            controller.join(WITHIN_S)
            begun.append((began, time.time()))
            if place.here.desk.progress().state is not State.ROLLED_BACK:
                raise TimeoutError("the rollout was not taken back")
        load.stop()
    last_ms = []
    for began, ended in begun:
        green = [
            each.began for each in load.answers if each.version == "green" and began <= each.began <= ended
        ]
        last_ms.append(round(1000 * (max(green) - began), 1) if green else None)
    return TakenBack(times=times, requests=len(load.answers), failed=load.failed, last_green_ms=last_ms)


def _control(place: Place, plan: Path) -> None:
    """A whole rollout, as `tranche start` runs it."""
    here = wiring.installation(place.here.site)
    read, text = language.load(plan)
    here.control.acquire(wait_s=WITHIN_S)
    try:
        progress = here.desk.start(read, text=text, file=str(plan), version="green", actor="bench")
        wiring.run(here, progress, lambda _: None)
    finally:
        here.control.release()


# The whole of it.

LARGE: Final = {"rate": 500, "changes": 50, "replacements": 10, "who": 10_000, "deaths": 5, "rollbacks": 100}


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as name, standing(Path(name)) as place:
        found["changes"] = asdict(changes(place, times=chosen.changes, rate=chosen.rate, every_s=0.3))
        replaced, asked = replacements(place, times=chosen.replacements, rate=chosen.rate, who=chosen.who)
        found |= {"replacements": asdict(replaced), "who": asdict(asked)}
        found["deaths"] = [
            asdict(death(place, f"d{number}", rate=chosen.rate, watch_s=1.0))
            for number in range(chosen.deaths)
        ]
        found["rollbacks"] = asdict(rollbacks(place, times=chosen.rollbacks, rate=chosen.rate))
    return found


def show(found: dict[str, Any], console: Console) -> None:
    table = Table(title="on a real Envoy, under load", title_justify="left")
    table.add_column("what")
    table.add_column("found")
    for what in ("changes", "replacements"):
        row = found[what]
        told = f"{row['failed']} of {row['requests']} requests failed; {row['thrown_back']} of {row['users']} users"
        told += f" thrown back; {row['misplaced']} of {row['placed']} answers on another arm than said"
        table.add_row(f"{row['times']} {what}", f"{told}; load late {row['late_ms_p99']} ms (p99)")
    asked = found["who"]
    table.add_row(f"who, {asked['users']} users", f"{asked['wrong']} wrong ({asked['green']} on green)")
    for row in found["deaths"]:
        told = f"{row['failed']} failed, {row['under_way']} were under way; known after {row['detected_after_s']} s"
        table.add_row("green killed", f"{told}, all on blue after {row['back_after_s']} s")
    row = found["rollbacks"]
    times_ms = sorted(each for each in row["last_green_ms"] if each is not None)
    told = "cannot tell: green had no request after any command"
    if times_ms:
        p99 = times_ms[min(len(times_ms) - 1, int(0.99 * len(times_ms)))]
        told = f"last green request after {times_ms[len(times_ms) // 2]} ms (p50), {p99} ms (p99)"
        told += f", of {len(times_ms)} in which it had one"
    table.add_row(
        f"{row['times']} rollbacks", f"{told}; {row['failed']} of {row['requests']} requests failed"
    )
    console.print(table)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--rate", type=float, default=200)
    options.add_argument("--changes", type=int, default=20)
    options.add_argument("--replacements", type=int, default=2)
    options.add_argument("--who", type=int, default=1000)
    options.add_argument("--deaths", type=int, default=1)
    options.add_argument("--rollbacks", type=int, default=10)
    options.add_argument("--json", type=Path)
    options.add_argument(
        "--large", action="store_true", help="the size it must hold, where nothing else is said"
    )
    options.set_defaults(**(LARGE if "--large" in sys.argv else {}))
    chosen = options.parse_args()
    found = measure(chosen)
    show(found, Console())
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
