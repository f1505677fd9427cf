"""What a tick and a change of weight cost on a real Envoy, each as a multiple of one plain read of its version.

    python benches/switch.py [--times N] [--json FILE]

Everything is measured in one run and interleaved, so that a busy machine makes all of it slower alike.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from laptop import binaries
from laptop.ports import HOST, free_ports
from tranche.adapters.envoy import EnvoySignals, EnvoyTraffic
from tranche.adapters.envoy_config import write_all
from tranche.bucket import arm_of
from tranche.ports import TOTAL_WEIGHT, Arm, Colour, Split, TrafficFault
from tranche.site import Identity, TrafficSite


def split(number: int) -> Split:
    weight = TOTAL_WEIGHT * (number % 5) // 5
    return Split(identifier=f"bench/{number}", salt="salt", green_weight=weight, internal_to_green=True)


def site_in(folder: Path) -> TrafficSite:
    """An Envoy whose neighbours are not there: routes and counters need none."""
    listen, admin, blue, green = (f"{HOST}:{port}" for port in free_ports(4))
    return TrafficSite(
        kind="envoy",
        directory=folder,
        admin=f"http://{admin}",
        listen=listen,
        identity=Identity(issuer="bench", audience="bench", jwks=f"http://{blue}/jwks"),
        colours={Colour.BLUE: blue, Colour.GREEN: green},
        health_path="/ready",
    )


def wait_for(traffic: EnvoyTraffic) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            if traffic.serving() is not None:
                return
        except TrafficFault:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def milliseconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begun)


def place(present: Split) -> list[Arm]:
    return [arm_of(f"user-{number}", present, internal=False) for number in range(1000)]


def measure(site: TrafficSite, times: int, console: Console) -> dict[str, list[float]]:
    traffic, signals = EnvoyTraffic(site), EnvoySignals(site)
    wait_for(traffic)
    found: dict[str, list[float]] = {"read the version": [], "read all counters": [], "change the weight": []}
    found["place 1,000 users"] = []
    for number in track(range(1, times + 1), description="switching", console=console, transient=True):
        present = split(number)
        found["read the version"].append(milliseconds(traffic.serving))
        found["read all counters"].append(milliseconds(signals.scrape))
        found["change the weight"].append(milliseconds(partial(traffic.apply, present)))
        found["place 1,000 users"].append(milliseconds(partial(place, present)))
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--times", type=int, default=200)
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        site = site_in(Path(folder))
        write_all(site, split(0))
        command = [str(binaries.envoy()), "-c", f"{folder}/bootstrap.json", "--disable-hot-restart"]
        envoy = subprocess.Popen([*command, "--log-level", "off"], stderr=subprocess.DEVNULL)
        try:
            found = measure(site, chosen.times, console)
        finally:
            envoy.terminate()
            envoy.wait()
    unit = statistics.median(found["read the version"])
    table = Table(title=f"as multiples of reading the version ({unit:.2f} ms here)", title_justify="left")
    for heading in ("what", "median", "99th percentile"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    ratios = {}
    for what, values in found.items():
        ratios[what] = {
            "median": statistics.median(values) / unit,
            "p99": statistics.quantiles(values, n=100)[98] / unit,
        }
        table.add_row(what, f"{ratios[what]['median']:.1f} ×", f"{ratios[what]['p99']:.1f} ×")
    console.print(table)
    if chosen.json is not None:
        chosen.json.write_text(
            json.dumps({"unit_ms": unit, "ratios": ratios}, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
