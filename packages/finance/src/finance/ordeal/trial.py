"""One history: what is asked in which order, by whom, and what happens to it. One seed is the whole of it."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import permutations
from random import Random
from typing import Any, Final

from finance import journal
from finance.handle import Books
from finance.ordeal.audit import Auditor
from finance.ordeal.chance import CUSTOMERS, USERS, VENDORS, Chance
from finance.ordeal.deed import attempt, foreseen
from finance.ordeal.desk import Ask, Desk, is_nowhere, partner_id
from finance.ordeal.law import Broken, Court, Deaf, differing
from finance.ordeal.model import Company, Who
from finance.ordeal.world import (
    START,
    CountedIds,
    KnownPartners,
    MemoryWorld,
    Outcome,
    SetClock,
    World,
    turn,
)

STEPS: Final = 40
AGREEING: Final = 0.35
"""How often a step is somebody's yes to what another asked for, where that was not enough."""

CHANGING: Final = 0.25
"""How often somebody changes it instead."""

SIX_HOURS: Final = timedelta(hours=6)
"""So much earlier than in UTC a day begins in Bangladesh."""

LONGEST_REQUEST: Final = 60
"""Turns within which a crash is thrown."""

HAPPENINGS: Final = {"single": 62, "rehearsal": 8, "retry": 7, "race": 15, "twice": 4, "crash": 4}
"""What a step may be, and how likely."""

IN_TURN: Final = ("single", "rehearsal", "retry")
"""Those in which nothing is beside a request, and nothing dies."""

JUDGES: Final = ("model", "plain")
"""Who judges a history; without the model, it only says what may be asked."""

JUDGED: dict[str, Any] = {}
"""Who has read the books as every history in memory begins with them: a court, an auditor."""


@dataclass(slots=True, kw_only=True)
class Told:
    """What a history came to. `broken` is None when every law held."""

    seed: int
    broken: Broken | None
    trace: list[str]
    happened: Counter[str]
    checked: Counter[str]


async def _pause(_: float) -> None:
    await turn()


class Trial:
    """A history of two companies, of these happenings."""

    def __init__(
        self,
        seed: int,
        *,
        steps: int = STEPS,
        happenings: Sequence[str] = tuple(HAPPENINGS),
        world: World | None = None,
        judges: Collection[str] = JUDGES,
    ) -> None:
        self.seed, self._steps, self._happenings = seed, steps, happenings
        self.dice = Random(seed)  # noqa: S311 - dice, not secrets
        self.world = world or MemoryWorld()
        self.clock = SetClock(START)
        partners = {
            "customers": frozenset(map(partner_id, CUSTOMERS)),
            "vendors": frozenset(map(partner_id, VENDORS)),
        }
        books = Books(
            store=self.world.store,
            masterdata=KnownPartners(partners),
            clock=self.clock,
            new_id=CountedIds(),
            pause=_pause,
        )
        self._fresh = world is not None
        self.court = self._court(Court if "model" in judges else Deaf)
        self.auditor = self._auditor() if "plain" in judges else None
        self.desk = Desk(books, self.world.tenants, self.court.state, self.court.parts_of)
        sides = {**dict.fromkeys(CUSTOMERS, 1), **dict.fromkeys(VENDORS, -1)}
        self.companies = {
            tenant: Company(START.date(), partners=dict(sides)) for tenant in self.world.tenants
        }
        self.chance = Chance(self.dice)
        self.trace: list[str] = []
        self.happened: Counter[str] = Counter()
        self._keys = 0
        self._done: list[tuple[Ask, Any]] = []
        self._waiting: list[Ask] = []

    def _court(self, kind: type[Court]) -> Court:
        """One that has read how the books were opened; the same in every history in memory."""
        tables = self.world.tables
        return kind(tables, self._read("court", lambda: Court(tables)))

    def _auditor(self) -> Auditor:
        tables, tenants, customers = self.world.tables, self.world.tenants, set(CUSTOMERS)
        before = self._read("auditor", lambda: Auditor(tables, tenants, customers))
        return Auditor(tables, tenants, customers, before)

    def _read(self, who: str, new: Callable[[], Any]) -> Any:
        found = None if self._fresh else JUDGED.get(who)
        if found is None:
            found = new()
            found.read()
        if not self._fresh:
            JUDGED[who] = found
        return found

    def run(self) -> Told:
        """The whole history, or as far as the first law that is broken."""
        broken = None
        try:
            self._begin()
            for _ in range(self._steps):
                self.step()
            self.end()
        except Broken as error:
            broken = error
        return Told(
            seed=self.seed,
            broken=broken,
            trace=self.trace,
            happened=self.happened,
            checked=Counter(self.court.checked) + Counter(self.auditor.checked if self.auditor else {}),
        )

    def _begin(self) -> None:
        """What most companies have before their first document: a rate, perhaps taxes, perhaps four eyes."""
        for tenant in self.world.tenants:
            day = START.date() - timedelta(days=200)
            self.single(self._asked(tenant, "set_rate", {"currency": "EUR", "day": day, "rate": 131_2575}))
            if self.dice.random() < 0.5:
                self.single(self._asked(tenant, "adopt", {}))
            if self.dice.random() < 0.4:
                self.single(self._asked(tenant, "set_rule", self.chance.rule(self.companies[tenant])))

    # Steps

    def step(self) -> None:
        """Something happens; then every law is held."""
        self.pass_time(timedelta(days=self.dice.choice((0, 0, 0, 1, 1, 3)), minutes=1))
        match self.dice.choices(self._happenings, [HAPPENINGS[one] for one in self._happenings])[0]:
            case "rehearsal":
                self.rehearse(self._any())
            case "retry":
                self.retry(self.dice)
            case "race":
                self.race()
            case "twice":
                self.twice()
            case "crash":
                self.crash()
            case _:
                self.single(self._any())

    def _any(self, *, but: Ask | None = None) -> Ask:
        """Something that somebody may ask for; by another person of the same company, where there is one `but` this."""
        yes = self._yes() if but is None else None
        if yes is not None:
            return yes
        tenant = (self.world.tenants[self.dice.random() < 0.15]) if but is None else but.tenant
        verb, given = self.chance.ask(self.companies[tenant], self._other(tenant))
        return self._asked(tenant, verb, given, but=but)

    def _yes(self) -> Ask | None:
        """Often, where something waited for others to agree: the same, asked for by one of them; or a change of it."""
        if not self._waiting or self.dice.random() > AGREEING:
            return None
        one = self._waiting.pop(self.dice.randrange(len(self._waiting)))
        verb, given = one.verb, one.given
        if verb == "write":
            verb, given = "book", {"name": given["name"]}
        if verb == "approve" and self.dice.random() < CHANGING:
            verb, given = "redraft", self.chance.redrafted(self.companies[one.tenant], given["name"])
        return self._asked(one.tenant, verb, given, but=one)

    def _other(self, tenant: str) -> Company:
        return next(one for of, one in self.companies.items() if of != tenant)

    def _asked(self, tenant: str, verb: str, given: dict[str, Any], *, but: Ask | None = None) -> Ask:
        who = self.dice.choice([one for one in USERS if but is None or one is not but.who])
        return self.asked(tenant, who, verb, given)

    def asked(self, tenant: str, who: Who, verb: str, given: dict[str, Any]) -> Ask:
        """A request with a key of its own."""
        self._keys += 1
        return Ask(verb=verb, given=given, tenant=tenant, who=who, key=f"k{self._keys}")

    def given(self, tenant: str, verb: str, dice: Random) -> dict[str, Any] | None:
        """What somebody may give with this verb, by other dice; None where there is nothing to ask it of."""
        self.chance.dice = dice
        return self.chance.given(verb, self.companies[tenant], self._other(tenant))

    def pass_time(self, span: timedelta) -> None:
        self.clock.instant += span
        for company in self.companies.values():
            company.today = (self.clock.instant + SIX_HOURS).date()

    def ask(self, *asks: Ask, crash_after: int | None = None) -> list[Outcome]:
        """Give them to the books, at once; each gets a line in the trace."""
        for one in asks:
            self.trace.append(f"{self.clock.instant:%m-%d} {one}")
        asked = [self.desk.ask(one) for one in asks]
        try:
            outcomes = self.world.give(asked, self.dice, crash_after)
        except Exception as error:
            raise Broken("bug", f"{type(error).__name__}: {error}") from error
        finally:
            for work in asked:
                work.close()
        for n, (one, outcome) in enumerate(zip(asks, outcomes, strict=True)):
            self.trace[n - len(asks)] += f" -> {outcome}"
            self.happened[f"{one.verb} {outcome}"] += 1
        if self.auditor is not None:
            self.auditor.heard(asks, outcomes)
        return outcomes

    def single(self, ask: Ask) -> None:
        """One request, with nobody beside it."""
        before = self.world.tables.image()
        [outcome] = self.ask(ask)
        why, after = attempt(self.companies[ask.tenant], ask.who, ask.verb, ask.given)
        self._refusal(ask, outcome, why)
        if outcome.code is not None:
            self.court.hold("untouched", self.world.tables.image() == before, lambda: str(ask))
            return
        had = self.companies[ask.tenant].yes
        if any(had.get(name) != yes for name, yes in after.yes.items()):
            self._waiting += [ask, ask]
        self.companies[ask.tenant] = after
        self._answered(ask, outcome)
        self._judged(ask.tenant)

    def _refusal(self, ask: Ask, outcome: Outcome, why: set[str]) -> None:
        fits = outcome.code in why if why else outcome.code is None
        self.court.hold(
            "refusal", fits, lambda: f"{ask} -> {outcome}; the model has {sorted(why) or 'no reason'}"
        )

    def _answered(self, ask: Ask, outcome: Outcome) -> None:
        self.desk.made(ask, outcome.answer)
        self._done.append((ask, outcome.answer))

    def _judged(self, tenant: str) -> None:
        """The log and the model of this company, and that nothing was written into another's books."""
        rows = self.court.read()
        self.court.hold("tenant", {row.tenant_id for row in rows} <= {tenant}, lambda: f"{rows}")
        ask, answer = self._done[-1]
        written = (self.court.state(row.stream_id) for row in rows)
        live = next((one for one in written if type(one) is type(answer)), answer)
        if hasattr(answer, "id") and not is_nowhere(ask, answer):
            live = self.court.state(answer.id)
        self.court.hold("replay", live == answer, lambda: f"{ask} -> {answer}, but folded it is {live}")
        self.court.agrees(tenant, self.companies[tenant], self.desk.ids, self.desk.names)

    def rehearse(self, ask: Ask) -> None:
        """A dry run, and then what it is the dry run of."""
        dry = replace(ask, rehearsing=True)
        before = self.world.tables.image()
        [outcome] = self.ask(dry)
        company = self.companies[ask.tenant]
        why, after = foreseen(company, ask.who, ask.verb, ask.given)
        future = ask.verb == "run" and ask.given["through"] > company.today
        if not future:  # a dry run may look ahead
            self._refusal(dry, outcome, why)
        law = "untouched" if outcome.code else "rehearsal"
        self.court.hold(law, self.world.tables.image() == before, lambda: f"{dry} left something")
        if outcome.rehearsed is not None and not future:
            found = sum((Counter(_amounts(one)) for one in outcome.rehearsed.entries), Counter())
            new = [one for name, one in after.entries.items() if _is_new(name, one, company)]
            wanted = Counter(minor for one in new for _, minor, *_ in one["lines"])
            self.court.hold("rehearsal", found == wanted, lambda: f"{dry}: {differing(found, wanted)}")
            waits = outcome.rehearsed.have_to_agree
            self.court.hold("rehearsal", waits == (after.waits is not None), lambda: f"{dry}: waits {waits}")
        self.single(ask)

    def retry(self, dice: Random) -> None:
        """A request that was done, again; or another one with its key."""
        if not self._done:
            return
        ask, answer = dice.choice(self._done)
        before = self.world.tables.image()
        if dice.random() < 0.3:
            other = self._any()
            ask_ = Ask(verb=other.verb, given=other.given, tenant=ask.tenant, who=other.who, key=ask.key)
            [outcome] = self.ask(ask_)
            fits = outcome.code is not None or (ask_.verb, ask_.given) == (ask.verb, ask.given)
            self.court.hold("retry", fits, lambda: f"{ask_} -> {outcome}, though its key was used")
        else:
            [outcome] = self.ask(ask)
            same = outcome.answer == answer
            self.court.hold("retry", same, lambda: f"{ask} -> {outcome.answer or outcome}, and was {answer}")
        self.court.hold("retry", self.world.tables.image() == before, lambda: f"{ask} did something again")

    def race(self) -> None:
        """Two requests of one company at once: they come to what they come to in one order or the other."""
        one = self._any()
        if self.dice.random() < 0.5:
            other = self._any(but=one)
        else:
            verb, given = self.chance.against(self.companies[one.tenant], one.verb, one.given)
            other = self._asked(one.tenant, verb, given, but=one)
        self.at_once(one, other)

    def at_once(self, *asks: Ask) -> None:
        """Requests of one company, each by somebody else."""
        before = len(self.world.tables.rows)
        outcomes = self.ask(*asks)
        done = [ask for ask, outcome in zip(asks, outcomes, strict=True) if outcome.code is None]
        actors = list(dict.fromkeys(row.actor for row in self.world.tables.rows[before:]))
        self.court.hold(
            "untouched", set(actors) <= {ask.who.name for ask in done}, lambda: f"{actors} of {done}"
        )
        for ask, outcome in zip(asks, outcomes, strict=True):
            if outcome.code is None:
                self._answered(ask, outcome)
        self.court.read()
        last = len(actors)
        places = {ask.who.name: last for ask in asks} | {name: n for n, name in enumerate(actors)}
        first = sorted(range(len(asks)), key=lambda n: places[asks[n].who.name])
        self._in_some_order(asks[0].tenant, asks, outcomes, first)

    def _in_some_order(
        self, tenant: str, asks: Sequence[Ask], outcomes: list[Outcome], first: Sequence[int]
    ) -> None:
        """The order of the log is tried first: of several that fit it is the one that tells who made what."""
        told = []
        for order in permutations(first):
            company = self.companies[tenant]
            try:
                touched: dict[str, None] = {}
                for n in order:
                    if outcomes[n].code == "contended":
                        continue
                    why, company = attempt(company, asks[n].who, asks[n].verb, asks[n].given)
                    touched |= company.touched
                    self._refusal(asks[n], outcomes[n], why)
                company.touched = touched
                self.court.agrees(tenant, company, self.desk.ids, self.desk.names)
            except Broken as error:
                told.append(str(error))
                continue
            self.companies[tenant] = company
            self.court.checked["serial"] += 1
            return
        raise Broken("serial", " | ".join(told))

    def twice(self) -> None:
        """The same request with the same key, twice at once."""
        ask = self._any()
        before = self.world.tables.image()
        outcomes = self.ask(ask, ask)
        told = [one for one in outcomes if one.code != "contended"]
        why, after = attempt(self.companies[ask.tenant], ask.who, ask.verb, ask.given)
        for outcome in told:
            self._refusal(ask, outcome, why)
        if why or not told:
            self.court.hold("untouched", self.world.tables.image() == before, lambda: str(ask))
            return
        same = all(one.answer == told[0].answer for one in told)
        self.court.hold("retry", same, lambda: f"{ask}: {[one.answer for one in told]}")
        self.companies[ask.tenant] = after
        self._answered(ask, told[0])
        self._judged(ask.tenant)

    def crash(self) -> None:
        """The process dies somewhere in a request; whoever asked asks again with the same key."""
        ask = self._any()
        before = self.world.tables.image()
        [outcome] = self.ask(ask, crash_after=self.dice.randrange(LONGEST_REQUEST))
        happened = self.world.tables.image() != before
        try:
            self._asked_again(ask, outcome, before)
        except Broken as error:
            if outcome.crashed:
                raise Broken(
                    "crash", f"{ask}, of which {'something' if happened else 'nothing'} was there: {error}"
                ) from error
            raise
        self.court.checked["crash"] += 1

    def _asked_again(self, ask: Ask, first: Outcome, before: object) -> None:
        why, after = attempt(self.companies[ask.tenant], ask.who, ask.verb, ask.given)
        if not first.crashed:
            self._refusal(ask, first, why)
        [again] = self.ask(ask)
        self._refusal(ask, again, why)
        if again.code is not None:
            self.court.hold("untouched", self.world.tables.image() == before, lambda: str(ask))
            return
        self.companies[ask.tenant] = after
        self._answered(ask, again)
        self._judged(ask.tenant)

    def end(self) -> None:
        """Everything once more, from the beginning of the log; as any release that comes later reads it."""
        self.court.again()
        if self.auditor is not None:
            self.auditor.end()
        for tenant, company in self.companies.items():
            kept = (company.documents, company.money, company.templates, company.entries, company.lines)
            company.touched = dict.fromkeys(name for one in kept for name in one)
            self.court.agrees(tenant, company, self.desk.ids, self.desk.names)


def _amounts(entry: journal.Journal) -> list[int]:
    return [line.debit_minor - line.credit_minor for line in entry.lines]


def _is_new(name: str, one: dict[str, Any], company: Company) -> bool:
    """Whether an entry of the model was posted since."""
    before = company.entries.get(name, {"status": "DRAFT"})
    return bool(before["status"] == "DRAFT" and one["status"] != "DRAFT")
