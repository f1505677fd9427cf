"""What many trials have come to: how they ended, what was injected, which laws were put to the test, what people asked.

A law that nothing has put to the test was not kept: it is said to have been missed.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.table import Table

from tranche.ordeal.law import LAWS
from tranche.ordeal.trial import Outcome
from tranche.ordeal.world import ABOUT

ENDINGS: Final = {
    "completed": "completed",
    "rolled back": "rolled back",
    "paged": "stopped, and somebody called",
    "paused": "paused, and nobody resumes it",
    "frozen": "frozen",
    "waits for approval": "waiting for people to agree",
    "not well": "held, as green is not well",
}
WIDTH: Final = 112


@dataclass(slots=True)
class Tally:
    """The sum of outcomes."""

    seeds: int = 0
    steps: int = 0
    states: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)
    hit: Counter[str] = field(default_factory=Counter)
    laws: Counter[str] = field(default_factory=Counter)
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """One trial more, in which no law was broken."""
        self.seeds += 1
        self.steps += outcome.steps
        self.states[outcome.state] += 1
        self.troubles += outcome.troubles
        self.hit += Counter(outcome.troubles.keys())
        self.laws += outcome.laws
        self.asked += outcome.asked

    @property
    def missed(self) -> list[str]:
        """Laws that nothing was judged by."""
        return [law for law in LAWS if not self.laws[law]]

    def sentence(self, spent_s: float) -> str:
        """The first line: what held, under what, and what it cost."""
        kept = len(LAWS) - len(self.missed)
        told = f"No law was broken in {self.seeds:,} rollouts: {kept} laws held in {self.steps:,} steps"
        return f"{told}, under {self.troubles.total():,} injected faults ({spent_s:.0f} s of CPU)."

    def document(self, spent_s: float) -> dict[str, Any]:
        """As JSON."""
        asked: dict[str, dict[str, int]] = {}
        for (verb, told), many in sorted(self.asked.items()):
            asked.setdefault(verb, {})[told] = many
        return {
            "seeds": self.seeds,
            "steps": self.steps,
            "cpu_s": round(spent_s, 3),
            "endings": dict(self.states),
            "faults": dict(self.troubles),
            "laws": {law: self.laws[law] for law in LAWS},
            "missed": self.missed,
            "asked": asked,
        }


def show(tally: Tally, spent_s: float) -> None:
    """The sentence, and the tables behind it."""
    console = Console()
    wide = Console(width=min(console.width, WIDTH) if console.is_terminal else WIDTH, highlight=False)
    wide.print(tally.sentence(spent_s))
    for law in tally.missed:
        wide.print(f"Nothing was judged by '{law}': try more seeds.")
    wide.print(Group("", *_tables(tally)))


def _tables(tally: Tally) -> list[RenderableType]:
    endings = _table("rollouts", "", "how they ended or where they rest")
    for state, told in ENDINGS.items():
        many = tally.states[state]
        endings.add_row(f"{many:,}", f"{100 * many / max(tally.seeds, 1):.0f} %", told)
    faults = _table("faults", "seeds", "what was done to them")
    for name, told in ABOUT.items():
        faults.add_row(f"{tally.troubles[name]:,}", f"{tally.hit[name]:,}", told)
    laws = _table("judged", "law", "what it says")
    for law, told in LAWS.items():
        laws.add_row(f"{tally.laws[law]:,}", law, told.partition(": ")[2] or told)
    asked = _table("asked", "done", "what people asked, and why it was refused")
    for verb in dict.fromkeys(verb for verb, _ in sorted(tally.asked)):
        answers = Counter({told: many for (each, told), many in tally.asked.items() if each == verb})
        refused = ", ".join(f"{many:,} {told}" for told, many in answers.most_common() if told != "done")
        asked.add_row(f"{answers.total():,}", f"{answers['done']:,}", f"{verb.replace('_', ' ')}: {refused}")
    return [endings, "", faults, "", laws, "", asked]


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head, justify in zip(heads, ("right", "left", "left"), strict=True):
        table.add_column(
            head, justify="right" if justify == "right" or head in {"seeds", "done", ""} else "left"
        )
    return table
