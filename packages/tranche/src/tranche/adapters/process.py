"""Versions as supervised processes of one machine.

Each managed colour has a keeper (`keeper.py`), a process that outlives the controller. Its state file says which
version it keeps, how often that was restarted, and which process the keeper is - by pid and start time, so that a
recycled pid is never taken for it, let alone killed.
"""

import contextlib
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tranche.adapters.pids import is_zombie, started_at
from tranche.ports import Artifact, Colour, ColourState, EnvironmentFault, Stage
from tranche.site import ColourSite, EnvironmentSite

ANSWER_WITHIN_S: Final = 1.0
STARTED_WITHIN_S: Final = 5.0
POLL_S: Final = 0.01
CRASH_LOOP: Final = 3
MOST_SAID: Final = 200


class ProcessEnvironment:
    """Starts, shows and retires versions by keepers.

    `drain` waits until nobody is answered by a colour any more, at most so long; it answers as `retire` does.
    """

    def __init__(self, site: EnvironmentSite, drain: Callable[[Colour], str]) -> None:
        self._site, self._drain = site, drain

    def identify(self, version: str) -> Artifact:
        """As the port says: the digest of the file that the site names as the artifact of this version."""
        if self._site.artifact is None:
            return Artifact(unknown_because="the site names no artifact of a version")
        path = Path(str(self._site.artifact).replace("{version}", version))
        try:
            with path.open("rb") as file:
                return Artifact(digest=f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}")
        except OSError as error:
            told = f"the artifact {path} cannot be read ({error.strerror})"
            return Artifact(unknown_because=told, is_missing=isinstance(error, FileNotFoundError))

    def ensure(self, colour: Colour, version: str) -> None:
        """As the port says."""
        found = self._site.colours[colour]
        if not found.managed:
            return
        kept = self._kept(colour)
        if kept is not None:
            if kept["version"] == version:
                return
            self.retire(colour)
        self._start(colour, version, found)

    def state(self, colour: Colour) -> ColourState:
        """As the port says."""
        found = self._site.colours[colour]
        if not found.managed:
            ready = self._ready(found)
            return ColourState(stage=Stage.READY if ready is None else Stage.STARTING, detail=ready or "")
        kept = self._kept(colour)
        if kept is None:
            return ColourState(stage=Stage.ABSENT)
        why = self._ready(found) if kept["running"] else str(kept["detail"])
        stage = Stage.READY if why is None else Stage.STARTING
        if not kept["running"] and kept["restarts"] >= CRASH_LOOP:
            stage = Stage.FAILED
        return ColourState(stage=stage, version=kept["version"], restarts=kept["restarts"], detail=why or "")

    def retire(self, colour: Colour) -> str:
        """As the port says. Tells the version to end when nothing is under way, and then waits at most its grace."""
        kept = self._kept(colour)
        if kept is None or not self._site.colours[colour].managed:
            return ""
        left = self._drain(colour)
        with contextlib.suppress(ProcessLookupError):
            os.kill(kept["pid"], signal.SIGTERM)
        deadline = time.monotonic() + self._site.colours[colour].grace_s + STARTED_WITHIN_S
        while started_at(kept["pid"]) == kept["started"] and not is_zombie(kept["pid"]):
            if time.monotonic() > deadline:
                raise EnvironmentFault(
                    f"{colour} ({kept['version']}) did not stop; its keeper is {kept['pid']}"
                )
            time.sleep(POLL_S)
        self._state_file(colour).unlink(missing_ok=True)
        return left

    def _state_file(self, colour: Colour) -> Path:
        return self._site.directory / f"{colour}.json"

    def _kept(self, colour: Colour) -> dict[str, Any] | None:
        """What the colour's keeper says of itself, if it lives."""
        try:
            kept: dict[str, Any] = json.loads(self._state_file(colour).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise EnvironmentFault(f"{self._state_file(colour)} cannot be read ({error})") from error
        alive = started_at(kept["pid"]) == kept["started"] and not is_zombie(kept["pid"])
        return kept if alive else None

    def _ready(self, found: ColourSite) -> str | None:
        """None when it answers 200, otherwise why not."""
        import urllib3  # who only stops a version waits for no client

        try:
            answer = urllib3.request("GET", found.ready, timeout=ANSWER_WITHIN_S, retries=False)
        except urllib3.exceptions.HTTPError as error:
            return f"{found.ready} does not answer ({type(error).__name__})"
        if answer.status == 200:
            return None
        said = answer.data.decode(errors="replace")[:MOST_SAID].strip()
        return f"{found.ready} answers {answer.status}" + (f": {said}" if said else "")

    def _start(self, colour: Colour, version: str, found: ColourSite) -> None:
        import subprocess  # who only stops a version waits for no such thing

        directory = self._site.directory
        names = {"{version}": version, "{colour}": colour.value}
        log = directory / f"{colour}-{version}.log"
        order = {
            "version": version,
            "command": [put(word, names) for word in found.command],
            "environment": {key: put(value, names) for key, value in found.environment.items()},
            "grace_s": found.grace_s,
            "lifeline_pid": self._site.lifeline_pid,
            "log": str(log),
        }
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._state_file(colour).unlink(missing_ok=True)
            with (directory / f"{colour}-keeper.log").open("ab") as output:
                begun = subprocess.run(
                    [sys.executable, "-m", "tranche.adapters.keeper", str(self._state_file(colour))],
                    input=json.dumps(order).encode(),
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    check=False,
                )
        except OSError as error:
            raise EnvironmentFault(f"{colour} ({version}) could not be started: {error}") from error
        deadline = time.monotonic() + STARTED_WITHIN_S
        while not self._state_file(colour).exists():
            if begun.returncode or time.monotonic() > deadline:
                raise EnvironmentFault(f"the keeper of {colour} did not start; see {output.name}")
            time.sleep(POLL_S)


def put(text: str, names: dict[str, str]) -> str:
    """The text with {version} and {colour} filled in."""
    for name, value in names.items():
        text = text.replace(name, value)
    return text
