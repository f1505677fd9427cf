"""The gates of a site, with what it lends them: the part of the composition root that only a controller needs."""

from collections.abc import Mapping

from tranche.adapters.clock import WallClock
from tranche.adapters.command import CommandGate
from tranche.adapters.drill import DrillGate
from tranche.adapters.http import HttpGate
from tranche.adapters.incidents import IncidentGate
from tranche.adapters.load_test import LoadGate
from tranche.adapters.prometheus import QueryGate
from tranche.adapters.proof import ProofGate
from tranche.adapters.scanner import ScanGate
from tranche.adapters.smoke import SmokeGate
from tranche.adapters.webhook import WebhookGate
from tranche.ports import Colour, Gate
from tranche.site import Site


def gates(site: Site, log_file: str) -> Mapping[str, Gate]:
    """Every kind of gate a plan may name, but for what people answer. `log_file` is what an event log is called."""
    green_url = f"http://{site.traffic.colours[Colour.GREEN]}"
    working: dict[str, Gate] = {
        "command": CommandGate(site.gates.environment),
        "drill": DrillGate(
            {name: folder / log_file for name, folder in site.gates.rehearsals.items()}, WallClock()
        ),
        "http": HttpGate(),
        "incidents": IncidentGate(site.gates.webhooks, site.gates.prometheus),
        "load_test": LoadGate(green_url, site.gates.targets),
        "proof": ProofGate(green_url, site.gates.proofs, site.gates.environment),
        "query": QueryGate(site.gates.prometheus),
        "security_scan": ScanGate(site.gates.scanners, site.gates.environment),
        "smoke": SmokeGate(green_url, site.gates.targets),
        "webhook": WebhookGate(site.gates.webhooks),
    }
    return working
