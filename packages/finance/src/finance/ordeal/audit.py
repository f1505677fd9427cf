"""The auditor: reads what was written byte by byte, keeps the plain books beside it, and holds one to the other.

Seven laws after every request, and an eighth: what was accepted can be. Entries are read as JSON; what the service
makes of them - states, snapshots, statements - is what is on trial. Of the large model nothing is known here.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import permutations
from typing import Any, Final

import msgspec

from finance import report
from finance.adapters.memory import Row, Tables
from finance.adapters.postgres.store import STATES, encoded
from finance.events import decode, evolve
from finance.ordeal.bank import Bank
from finance.ordeal.desk import Ask, is_nowhere
from finance.ordeal.law import Broken
from finance.ordeal.levied import Impossible
from finance.ordeal.plain import BOOKS, Plain, Sums
from finance.ordeal.world import Outcome
from finance.payment import Payment
from finance.voucher import Voucher

CONTROLS: Final = frozenset({"1200", "2000", "1400", "2300"})


class Auditor:
    """Of two companies. `checked` counts the laws by their names.

    What was read before the history began is taken from the auditor that read it.
    """

    def __init__(
        self,
        tables: Tables,
        tenants: Iterable[str],
        customers: Iterable[str],
        before: "Auditor | None" = None,
    ) -> None:
        self._tables = tables
        self.books = {tenant: Plain(customers) for tenant in tenants}
        self.banks = {tenant: Bank(partial(self._code, tenant)) for tenant in self.books}
        self.ids: dict[str, dict[str, str]] = {tenant: {} for tenant in self.books}
        self.checked: dict[str, int] = defaultdict(int)
        self.rows_read: int = before.rows_read if before else 0
        self.states: dict[str, Any] = dict(before.states) if before else {}
        self.kept: dict[str, Any] = dict(before.kept) if before else {}
        self.codes: dict[str, tuple[str, str]] = dict(before.codes) if before else {}
        self._held: dict[str, Sums] = {tenant: {} for tenant in self.books}
        self._entries: Counter[str] = Counter()
        self._judged: dict[str, tuple[int, int]] = {}
        self._image: object = tables.image()
        self._changed: dict[str, str] = {}
        self._recent: list[str] = []
        self._answered: set[tuple[str, str]] = set()

    def hold(self, law: str, holds: object, *how: object) -> None:
        self.checked[law] += 1
        if not holds:
            raise Broken(law, " ".join(map(str, how)))

    # What is heard

    def heard(self, asks: Sequence[Ask], outcomes: Sequence[Outcome]) -> None:
        """Requests that were made at once, and what they came to; nothing is told of one whose process died, until it
        is asked again.
        """
        if any(one.crashed for one in outcomes):
            return
        both = zip(asks, outcomes, strict=True)
        done = {ask.key: (ask, one.answer) for ask, one in both if one.code is None and one.rehearsed is None}
        new = [one for key, one in done.items() if (one[0].tenant, key) not in self._answered]
        if not new:
            self.untouched(asks[0])
            return
        rows = self.read()
        self._enter(new, rows)
        self._banks(new, rows)
        for ask, answer in new:
            self._answered.add((ask.tenant, ask.key))
            self.replay(ask, answer, rows)
        self._image = self._tables.image()

    def _enter(self, done: list[tuple[Ask, Any]], rows: list[Row]) -> None:
        """In the order of the log, or in any other in which the laws hold. A yes that is not enough does nothing."""
        tenant = done[0][0].tenant
        made = [row for row in rows if row.kind != "approval"]
        order = list(dict.fromkeys(row.actor for row in made))
        done = [one for one in done if one[0].who.name in order]
        told: Broken | None = None
        before = self.books[tenant]
        for some in permutations(sorted(done, key=lambda one: order.index(one[0].who.name))):
            self.books[tenant] = before.copy() if len(done) > 1 else before
            try:
                for ask, answer in some:
                    self._told(ask, answer)
                self.judge(tenant)
            except Broken as error:
                told = told or error
            else:
                return
        if told is not None:
            raise told

    def _banks(self, done: list[tuple[Ask, Any]], rows: list[Row]) -> None:
        for ask, _ in done:
            if ask.verb == "bring":
                given = ask.given
                self.banks[ask.tenant].brought(given["account"], given["currency"], given["rows"])
        about = [self.banks[row.tenant_id].read(row) for row in rows]
        if any(about):
            self.banks[done[0][0].tenant].judge(self.hold)

    def _told(self, ask: Ask, answer: Any) -> None:
        given = dict(ask.given)
        if ask.verb in {"draft", "pay"}:
            self.ids[ask.tenant][given["name"]] = answer.id
        if ask.verb == "write":
            given["post"] = answer.status != "DRAFT"
        try:
            self.books[ask.tenant].enter(ask.verb, given, closer=ask.who.closer)
        except (Impossible, LookupError) as error:  # what these books have no name for cannot be asked about
            raise Broken("plain-possible", f"{ask}: {error}") from error
        self.checked["plain-possible"] += 1

    # What was written

    def _code(self, tenant: str, account_id: str) -> str | None:
        of, code = self.codes.get(account_id, ("", None))
        return code if of == tenant else None

    def read(self) -> list[Row]:
        """What is new in the log. Every state is folded live, and again from what was kept of the version before."""
        rows, self._recent = self._tables.rows[self.rows_read :], []
        self.rows_read += len(rows)
        for row in rows:
            self._changed[row.stream_id] = row.tenant_id
            state = self.states[row.stream_id] = folded(self.states.get(row.stream_id), row, row.event)
            self._recent.append(row.stream_id)
            kept = folded(self.kept.get(row.stream_id), row, row.event)
            self.kept[row.stream_id] = STATES[row.kind].decode(encoded(kept))
            self.hold(
                "plain-snapshot",
                self.kept[row.stream_id] == state,
                row.type,
                row.version,
                state,
            )
            if row.type == "account.created/1":
                self.codes[row.stream_id] = (row.tenant_id, msgspec.json.decode(row.data)["code"])
            if row.type == "journal.posted/1":
                self._entries[row.tenant_id] += 1
                self._posted(row.tenant_id, msgspec.json.decode(row.data))
        return rows

    def _posted(self, tenant: str, entry: dict[str, Any]) -> None:
        held, currency, sums = self._held[tenant], entry["currency"], [0, 0]
        for line in entry["lines"]:
            of, code = self.codes[line["account_id"]]
            net = line.get("debit_minor", 0) - line.get("credit_minor", 0)
            worth = (line.get("base_debit_minor") or 0) - (line.get("base_credit_minor") or 0)
            worth = net if currency == BOOKS else worth
            was = held.get((code, currency), (0, 0))
            held[code, currency] = (was[0] + net, was[1] + worth)
            sums = [sums[0] + net, sums[1] + worth]
            self.hold("plain-balance", of == tenant, entry["number"], "is in the books of another")
        self.hold("plain-balance", sums == [0, 0], entry["number"], "is", sums)

    # The laws

    def judge(self, tenant: str) -> None:
        """Those about what the books come to; of entries only where one was posted, here or there."""
        self.open(tenant)
        entries = (self._entries[tenant], len(self.books[tenant].entries))
        if self._judged.get(tenant) != entries:
            self.balance(tenant)
            self.control(tenant)
            self.statements(tenant)
            self._judged[tenant] = entries

    def balance(self, tenant: str) -> None:
        """Debits equal credits per tenant and currency, and in that of the books."""
        by_currency: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for (_, currency), (minor, worth) in self._held[tenant].items():
            by_currency[currency][0] += minor
            by_currency[currency][1] += worth
        self.hold("plain-balance", not any(map(any, by_currency.values())), dict(by_currency))

    def control(self, tenant: str) -> None:
        """Sub-ledgers equal their control accounts."""
        held = {at: sums for at, sums in self._held[tenant].items() if at[0] in CONTROLS and any(sums)}
        owed = self.books[tenant].owed()
        self.hold("plain-control", held == owed, "held is", held, "and open", owed)

    def open(self, tenant: str) -> None:
        """Open amount is total less allocations, of each document and of all money; and never below nothing."""
        book = self.books[tenant]
        left = book.open()
        for name, one in self.ids[tenant].items():
            minor, worth = (book.sign(name) * each for each in left.get(name, (0, 0)))
            found = open_of(self.states[one])
            self.hold("plain-open", found == (minor, worth), name, "has", found, "open, not", (minor, worth))
            self.hold("plain-open", minor >= 0, name, "has", minor, "open")

    def statements(self, tenant: str) -> None:
        """The trial balance is that of the plain books, account by account, and the statements tie to it."""
        held = {place: sums for place, sums in self._held[tenant].items() if any(sums)}
        trial = self.books[tenant].trial()
        self.hold("plain-statements", held == trial, held, "is not", trial)
        worths: dict[str, int] = defaultdict(int)
        for (code, _), (_, worth) in held.items():
            worths[code] += worth
        balances = [
            report.Balance(account=one, debit_minor=max(worths[code], 0), credit_minor=max(-worths[code], 0))
            for account_id, (of, code) in self.codes.items()
            if of == tenant and code in worths
            for one in [self.states[account_id]]
        ]
        sheet = report.balance_sheet(balances)
        profit = report.profit_and_loss(balances).profit_minor
        found = (sheet.assets_minor, sheet.liabilities_minor, sheet.equity_minor, profit)
        owned, owed, put_in, sold, spent = self.books[tenant].statement(trial)
        earned = -sold - spent
        wanted = (owned, -owed, earned - put_in, earned)
        self.hold("plain-statements", found == wanted, found, "is not", wanted)
        self.hold("plain-statements", found[0] == found[1] + found[2], found)

    def untouched(self, by: object) -> None:
        """A refused command changed no byte; neither did a dry run, nor what had been done already."""
        image = self._tables.image()
        self.hold("plain-untouched", image == self._image, by)
        self._image = image

    def replayed(self) -> None:
        """The same, of every stream that changed lately, as it is now."""
        for one in self._recent:
            found = self._folded(self._changed[one], one)
            self.hold("plain-replay", found == self.states[one], one, "is", found)

    def restored(self) -> None:
        """Snapshot equals replay: of what changed lately, the last state that was kept, and all were, one by one."""
        for one in self._recent:
            self.hold("plain-snapshot", self.kept[one] == self.states[one], one, "is", self.kept[one])

    def replay(self, ask: Ask, answer: Any, rows: Sequence[Row]) -> None:
        """Replay equals live: what was answered is what the stream said then, folded from its first byte on."""
        own = [row.stream_id for row in rows if row.actor == ask.who.name]
        alike = [one for one in own if isinstance(self.states[one], type(answer))]
        one = getattr(answer, "id", alike[0] if alike else None)
        if one is not None:
            found = self._folded(ask.tenant, one, answer.version)
            holds = found == answer or (found is None and is_nowhere(ask, answer))
            self.hold("plain-replay", holds, ask, "->", answer, "and folded it is", found)

    def _folded(self, tenant: str, stream_id: str, version: int | None = None) -> Any:
        """A stream, up to this version."""
        state = None
        for row in self._tables.streams[tenant, stream_id][:version]:
            state = folded(state, row, decode(row.type, row.data))
        return state

    def end(self) -> None:
        """Every law once more, with every stream that this history changed from its first byte."""
        for stream_id, tenant in self._changed.items():
            found = self._folded(tenant, stream_id)
            self.hold("plain-replay", found == self.states[stream_id], stream_id, "is", found)
        for tenant in self.books:
            self.judge(tenant)


def folded(state: Any, row: Row, event: Any) -> Any:
    """The state after an event of the log.

    Raises:
        Broken: it cannot follow.
    """
    try:
        return evolve(state, event)
    except AssertionError as error:
        raise Broken("plain-replay", f"{row.type} {row.version} of {row.stream_id}: {error}") from error


def open_of(state: Any) -> tuple[int, int]:
    """What the service says is open of a document, or left of money, and what that is worth."""
    if isinstance(state, Payment) or (isinstance(state, Voucher) and state.is_credit and not state.cancelled):
        return state.credit.minor, state.credit.base_minor
    if state.number is None or state.cancelled:
        return 0, 0
    return state.open_minor, state.base_open_minor
