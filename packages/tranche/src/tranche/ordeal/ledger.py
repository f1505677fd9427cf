"""What a log says, read a second time: the laws are judged by this, and not by the engine's own fold.

It reads events as they are stored, knows no plan and decides nothing. Where the engine folds what it needs in order to
go on, this keeps what is needed to tell that something happened which must not.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tranche.ports import Recorded

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Yes:
    """A yes as it was recorded."""

    gate: str
    by: str
    digest: str
    stay: str
    evidence: Json
    expires_at: datetime

    @property
    def is_of_its_digest(self) -> bool:
        """Whether it was given to the evidence that stands beside it."""
        text = json.dumps(self.evidence, sort_keys=True, separators=(",", ":"))
        return self.digest == "sha256:" + hashlib.sha256(text.encode()).hexdigest()


@dataclass(slots=True, kw_only=True)
class Ledger:
    """A rollout, event by event. `stay` is the split that the present stay is of; `gates` are its last answers."""

    rollout: str = ""
    position: int = 0
    version: str = ""
    salt: str = ""
    phase: int = 0
    stay: str = ""
    internal_only: bool = False
    requested: str = ""
    green_weight: int = 0
    internal_to_green: bool = False
    requests: int = 0
    applied: str | None = None
    gates: dict[str, tuple[str, str]] = field(default_factory=dict)
    yes: list[Yes] = field(default_factory=list)
    brought_by: set[str] = field(default_factory=set)
    is_paused: bool = False
    is_hotfix: bool = False
    is_waived: bool = False
    held: Json | None = None
    was_paged: bool = False
    returns_to: int = 1
    reached: int = 0
    rollback: str | None = None
    rolled_back: bool = False
    completed: bool = False
    blue_retired: bool = False
    _begins: bool = False

    @property
    def is_finished(self) -> bool:
        return self.rolled_back or (self.completed and self.rollback is None)

    @property
    def has_users(self) -> bool:
        """Whether the log gives green users."""
        return self.green_weight > 0 or self.internal_to_green

    def counting(self, gate: str, *, approvers: tuple[str, ...], now: datetime) -> set[str]:
        """Who has said yes to what is there now, and may; by the rules as people read them."""
        return {
            yes.by
            for yes in self.yes
            if yes.gate == gate
            and yes.stay == self.stay
            and now < yes.expires_at
            and yes.by not in self.brought_by
            and (not approvers or yes.by in approvers)
            and yes.is_of_its_digest
            and self._is_still_so(yes.evidence)
        }

    def _is_still_so(self, seen: Json) -> bool:
        """Whether what somebody has seen is what is there."""
        same = (seen["rollout"], seen["version"], seen["stay"], seen["phase"])
        answers = {
            name: (each["verdict"], each["reason"])
            for name, each in seen["gates"].items()
            if each["verdict"] != "not yet" or name in self.gates
        }
        return same == (self.rollout, self.version, self.stay, self.phase) and answers == self.gates

    def take(self, recorded: Recorded) -> None:
        """One more event."""
        data, kind = recorded.data, recorded.type.partition("/")[0]
        self.position = recorded.position
        match kind:
            case "started":
                self.rollout, self.version = recorded.rollout, str(data["version"])
                self.stay = self.requested = f"{recorded.rollout}/0"
                self.salt, self.requests = str(data["salt"]), 1
                self.brought_by.add(recorded.actor)
            case "phase-entered" | "stepped-back" | "retargeted":
                self._enter(kind, recorded)
            case "weight-requested":
                self._request(data)
            case "weight-applied":
                self.applied = str(data["identifier"])
            case "gate-answered" if data["phase"] == self.phase:
                self.gates[str(data["gate"])] = (str(data["verdict"]), str(data["reason"]))
            case "approval-given" | "approval-revoked":
                self._approve(kind, recorded)
            case "paused" | "resumed":
                self.is_paused = kind == "paused"
            case "advance-requested":
                self.is_waived = self.is_waived or data["phase"] == self.phase
            case "hotfix-declared":
                self.is_hotfix = True
            case "held":
                self.held, self.was_paged = data, self.was_paged or bool(data["page"])
            case "rollback-decided" | "rolled-back" | "completed" | "retired":
                self._end(kind, data)

    def _enter(self, kind: str, recorded: Recorded) -> None:
        data, widens = recorded.data, False
        if kind == "retargeted":
            self.version, self.returns_to = str(data["version"]), int(str(data["phase"]))
            self.brought_by.add(recorded.actor)
            self.phase, self.internal_only, self.was_paged = 0, False, False
        else:
            phase = int(str(data["phase"]))
            widens = self.internal_only and phase == self.phase
            self.phase, self.internal_only = phase, bool(data.get("internal_only", False))
        if not widens:
            self.gates = {}
        self.yes, self.is_waived, self.held, self._begins = [], False, None, True
        self.reached = max(self.reached, self.phase)

    def _request(self, data: Json) -> None:
        self.requested, self.requests = str(data["identifier"]), self.requests + 1
        self.green_weight, self.internal_to_green = data["green_weight"], data["internal_to_green"]
        if self._begins:
            self.stay, self._begins = self.requested, False

    def _approve(self, kind: str, recorded: Recorded) -> None:
        data = recorded.data
        if kind == "approval-revoked":
            self.yes = [yes for yes in self.yes if yes.gate != data["gate"]]
            return
        self.yes.append(
            Yes(
                gate=str(data["gate"]),
                by=recorded.actor,
                digest=str(data["digest"]),
                stay=str(data["stay"]),
                evidence=data["evidence"],  # type: ignore[arg-type]  # an object, as it was recorded
                expires_at=datetime.fromisoformat(str(data["expires_at"])),
            )
        )

    def _end(self, kind: str, data: Json) -> None:
        match kind:
            case "rollback-decided":
                self.rollback, self.held = str(data["cause"]), None
            case "rolled-back":
                self.rolled_back = True
            case "completed":
                self.completed, self.held = True, None
            case _:
                self.blue_retired = self.blue_retired or data["colour"] == "blue"


def said(entry: Recorded) -> Json:
    """What an entry of the hash chain says, by the text in its envelope."""
    envelope: Any = entry.data["envelope"]
    found: Json = json.loads(base64.b64decode(envelope["payload"]))["predicate"]
    return found
