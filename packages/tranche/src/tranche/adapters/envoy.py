"""Envoy as the data plane: the split is one file, the counters are one read.

A split counts as applied when Envoy shows its version, not when the file is written: Envoy keeps what it has when it
refuses an update. Envoy 1.40 counts a request once, on the name of the cluster that the route chose, as
tests/test_envoy.py holds it: what the fallback answered for green is on green's name too. That green has no
healthy host, which is then so, is what the limits of health are for.
"""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from typing import Final
from urllib.parse import urlsplit

from tranche.adapters.envoy_config import (
    FALLBACK,
    FASTER_THAN_MS,
    GREEN_HOSTS,
    ROUTES,
    STAT_PREFIX,
    write_routes,
)
from tranche.ports import Arm, ArmCounters, Colour, Scrape, SignalsFault, Split, TrafficFault
from tranche.site import TrafficSite

CONFIRM_WITHIN_S: Final = 5.0
POLL_S: Final = 0.002
SETTLE_S: Final = 0.05
TIMEOUT_S: Final = 2.0
FOR_EVER_MS: Final = 3_600_000
"""Stands for no upper edge, in the buckets that are handed on."""

VERSION: Final = f"http.{STAT_PREFIX}.rds.{ROUTES}.version_text"
REFUSED: Final = rf"^http\.{STAT_PREFIX}\.rds\.{ROUTES}\.update_(rejected|failure)$"
"""Rejected is what Envoy understood and did not want; failure, on a file, is what it could not read."""
HOSTS: Final = {Colour.BLUE: Arm.BLUE.value, Colour.GREEN: GREEN_HOSTS[Arm.GREEN]}
COUNTED: Final = "|".join(sorted({*(arm.value for arm in Arm), *HOSTS.values()}))
FILTER: Final = (
    rf"^cluster\.({COUNTED})\.(upstream_rq_completed|upstream_rq_5xx|upstream_rq_time|membership_healthy)$"
)
SERVED_BY: Final = {
    Colour.BLUE: (Arm.BLUE.value, Arm.CONTROL.value, FALLBACK),
    Colour.GREEN: tuple(GREEN_HOSTS.values()),
}
"""The clusters on which a request is under way to a colour: those of its hosts, whichever arm it came by."""
SAMPLE: Final = re.compile(r"(envoy_cluster_\w+)\{([^}]*)\} (\d+)")
LABEL: Final = re.compile(r'(\w+)="([^"]*)"')
MEANING: Final = {str(edge): meant for meant, edge in FASTER_THAN_MS.items()} | {"+Inf": FOR_EVER_MS}


class Admin:
    """Envoy's administration interface.

    With the standard library's client: a larger one takes longer to import than a rollback by hand may take.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._address, self._path = urlsplit(url).netloc, urlsplit(url).path.rstrip("/")

    def get(self, path: str) -> str:
        """The text at a path.

        Raises:
            OSError: Envoy does not answer, or not with 200.
        """
        connection = HTTPConnection(self._address, timeout=TIMEOUT_S)
        try:
            connection.request("GET", self._path + path)
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, HTTPException) as error:
            raise OSError(f"Envoy does not answer at {self._url} ({type(error).__name__})") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise OSError(f"Envoy answers {answer.status} at {self._url}{path}")
        return text


class EnvoyTraffic:
    """The split of traffic, as Envoy serves it."""

    def __init__(self, site: TrafficSite) -> None:
        self._site = site
        self._admin = Admin(site.admin)

    def apply(self, split: Split) -> None:
        """As the port says. A rename is followed by Envoy within milliseconds."""
        try:
            refused = self._refused()
            write_routes(self._site, split)
        except OSError as error:
            raise TrafficFault(f"the split {split.identifier} could not be written: {error}") from error
        deadline = time.monotonic() + CONFIRM_WITHIN_S
        while True:
            if self._serves(split.identifier):
                return
            if self._refused_since(refused):
                raise TrafficFault(f"Envoy refused the split {split.identifier}: {self._complaint()}")
            if time.monotonic() > deadline:
                told = f"Envoy did not take the split {split.identifier} over in {CONFIRM_WITHIN_S:g} s"
                raise TrafficFault(f"{told}; look at its log and at {self._site.directory}/rds")
            time.sleep(POLL_S)

    def serving(self) -> str | None:
        """As the port says."""
        try:
            return self._version()
        except OSError as error:
            raise TrafficFault(str(error)) from error

    def _serves(self, identifier: str) -> bool:
        try:
            return self._version() == identifier
        except OSError:
            return False

    def _version(self) -> str | None:
        text = self._admin.get(f"/stats?filter=^{VERSION}$")
        _, _, value = text.partition(f"{VERSION}: ")
        return value.strip().strip('"') or None

    def _refused(self) -> int:
        text = self._admin.get(f"/stats?filter={REFUSED}")
        return sum(int(line.rpartition(": ")[2]) for line in text.splitlines() if ": " in line)

    def _refused_since(self, before: int) -> bool:
        try:
            return self._refused() > before
        except OSError:
            return False

    def _complaint(self) -> str:
        try:
            dump = self._admin.get("/config_dump?resource=dynamic_route_configs")
        except OSError as error:
            return str(error)
        found = re.search(r'"details": "((?:[^"\\]|\\.)*)"', dump)
        return found[1][:300] if found else "it does not say why; look at its log"


class EnvoySignals:
    """What users met, as Envoy counted it."""

    def __init__(self, site: TrafficSite) -> None:
        self._admin = Admin(site.admin)

    def scrape(self) -> Scrape:
        """As the port says. About a millisecond; buckets are at most half a second behind the counters."""
        try:
            text = self._admin.get(f"/stats/prometheus?filter={FILTER}")
        except OSError as error:
            raise SignalsFault(str(error)) from error
        return parse(text, at=datetime.now(UTC))


class EnvoyDrain:
    """Waits for what is under way to a colour, once nobody is sent there any more."""

    def __init__(self, site: TrafficSite) -> None:
        self._within_s = site.drain_s
        self._admin = Admin(site.admin)

    def under_way(self, colour: Colour) -> int:
        """Requests that the colour's hosts are answering, or that wait for a connection to them.

        Raises:
            OSError: Envoy does not answer, or does not know the colour.
        """
        names = "|".join(SERVED_BY[colour])
        text = self._admin.get(f"/stats?filter=^cluster\\.({names})\\.upstream_rq_(pending_)?active$")
        found = [int(line.rpartition(": ")[2]) for line in text.splitlines() if ": " in line]
        if not found:
            raise OSError(f"Envoy's counters do not name {colour}; is this the Envoy of this site?")
        return sum(found)

    def wait(self, colour: Colour) -> str:
        """Until nothing is under way, twice in a row: Envoy's threads follow a new split one after the other.

        At most `drain_s`; then what is left, in words. "" when everything was answered.
        """
        deadline, idle = time.monotonic() + self._within_s, 0
        while True:
            try:
                number = self.under_way(colour)
                left = f"{number} requests were still under way after {self._within_s:g} s"
            except OSError as error:
                number, left = 1, f"whether requests were under way cannot be told ({error})"
            idle = idle + 1 if number == 0 else 0
            if idle == 2:
                return ""
            if time.monotonic() > deadline:
                return left
            time.sleep(SETTLE_S)


def parse(text: str, *, at: datetime) -> Scrape:
    """A scrape from Envoy's metrics.

    Raises:
        SignalsFault: blue is not in it: this is not the Envoy that was configured, or not yet.
    """
    requests: dict[str, int] = {}
    errors: dict[str, int] = {}
    buckets: dict[str, dict[int, int]] = {}
    healthy: dict[str, int] = {}
    for name, labels, value in samples(text):
        cluster = labels.get("envoy_cluster_name", "")
        match name:
            case "envoy_cluster_upstream_rq_completed":
                requests[cluster] = value
            case "envoy_cluster_upstream_rq_xx":
                if labels.get("envoy_response_code_class") == "5":
                    errors[cluster] = value
            case "envoy_cluster_upstream_rq_time_bucket":
                buckets.setdefault(cluster, {})[MEANING[labels["le"]]] = value
            case "envoy_cluster_membership_healthy":
                healthy[cluster] = value
            case _:
                pass
    if Arm.BLUE.value not in healthy:
        raise SignalsFault("Envoy's counters do not name blue; is this the Envoy of this site?")
    return Scrape(
        at=at,
        arms={
            arm: ArmCounters(
                requests=requests.get(arm.value, 0),
                errors=errors.get(arm.value, 0),
                latency_buckets=dict(sorted(buckets.get(arm.value, {}).items())),
            )
            for arm in Arm
        },
        healthy_hosts={colour: healthy.get(cluster, 0) for colour, cluster in HOSTS.items()},
    )


def samples(text: str) -> Iterator[tuple[str, dict[str, str], int]]:
    for found in SAMPLE.finditer(text):
        yield found[1], dict(LABEL.findall(found[2])), int(found[3])
