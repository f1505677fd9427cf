"""Works one command: load, decide, append, remember - one transaction each, repeated when others were faster.

What all commands share: the sheet a command is worked out on, and how an entry is posted and reversed.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from finance import fiscal, invoice, journal, numbering, period, policy, posting, rate, year
from finance.events import KINDS
from finance.money import BASE
from finance.ports import (
    Append,
    Book,
    Caller,
    Claimed,
    Clock,
    Conflict,
    Contended,
    Fault,
    MasterData,
    Store,
)
from finance.refusal import (
    AccountControlled,
    AccountInactive,
    AccountUnknown,
    CurrencyMismatch,
    DateMalformed,
    InvoiceCorrected,
    NotFound,
    PeriodClosed,
    RateMissing,
    Refused,
)

ATTEMPTS = 12
PAUSE_S = 0.004
Work = Callable[["Sheet"], Awaitable[tuple[str, Any]]]


@dataclass(slots=True)
class Sheet:
    """What a command has decided so far: streams as they will be, and the events that make them so.

    A `careful` one waits for others who change the same streams: an attempt that follows a conflict queues. `today`
    is the company's day; `ending` the stream of the year that is being closed or reopened, whose end may be posted to.
    Streams are loaded before the first number is drawn: drawing gives the transaction its place in the log, and a
    stream that somebody changed after that would be read in the wrong order.
    """

    book: Book
    caller: Caller
    today: date
    careful: bool = False
    numbered: bool = False
    ending: str | None = None
    states: dict[str, Any] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    read: dict[str, tuple[str, int]] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    events: list[Append] = field(default_factory=list)
    instead: tuple[str, Any] | None = None
    kept: int = 0
    later: list[Append] = field(default_factory=list)

    async def load(self, kind: str, stream_id: str) -> Any:
        """The present state of a stream.

        Raises:
            NotFound: there is none of this kind.
        """
        if stream_id not in self.states:
            assert not self.numbered, "load first, then draw"  # noqa: S101 - a bug, not a refusal
            if self.careful:
                await self.book.hold_stream(stream_id)
            self._note(kind, stream_id, await self.book.load(kind, [stream_id]))
        if self.kinds.get(stream_id) != kind:
            raise NotFound(f"No {kind} has the id {stream_id[:40]}.")
        return self.states[stream_id]

    async def document(
        self, document_id: str, kinds: Sequence[str] = ("invoice", "voucher")
    ) -> tuple[str, Any]:
        """The kind and state of what has this id, if it is of one of these kinds.

        Raises:
            NotFound: it is of none of them.
        """
        for kind in kinds:
            try:
                return kind, await self.load(kind, document_id)
            except NotFound:
                continue
        raise NotFound(f"No {' or '.join(kinds)} has the id {document_id[:40]}.")

    async def find(self, kind: str, stream_id: str, *, exclusively: bool = False) -> Any:
        """The present state of a stream that may not have begun, or None. It stays so until the end.

        Who wants to change it holds it exclusively, and waits for all who rely on it.
        """
        if self._unknown(stream_id):
            assert not self.numbered, "load first, then draw"  # noqa: S101 - a bug, not a refusal
            await self.book.hold([stream_id], exclusively=exclusively)
            self._note(kind, stream_id, await self.book.load(kind, [stream_id]))
            self.absent.add(stream_id)
        return self.states.get(stream_id)

    async def foresee(self, wanted: Mapping[str, Iterable[str]]) -> None:
        """Find streams, by kind, that are asked for later: one statement holds all of them, one loads each kind."""
        unknown = {kind: [one for one in ids if self._unknown(one)] for kind, ids in wanted.items()}
        held = [one for ids in unknown.values() for one in ids]
        if held:
            assert not self.numbered, "load first, then draw"  # noqa: S101 - a bug, not a refusal
            await self.book.hold(held, exclusively=False)
        for kind, ids in unknown.items():
            if ids:
                self._keep(kind, await self.book.load(kind, ids))
                self.absent.update(ids)

    def _unknown(self, stream_id: str) -> bool:
        return stream_id not in self.states and stream_id not in self.absent

    def decide(self, kind: str, stream_id: str, command: Any, *, effective: date | None = None) -> Any:
        """Let the aggregate decide, and keep what it says. Returns the state after it."""
        module = KINDS[kind]
        state = self.states.get(stream_id)
        for event in module.decide(state, command):
            version = 1 if state is None else state.version + 1
            state = module.evolve(state, event)
            self.events.append(
                Append(kind=kind, stream_id=stream_id, version=version, event=event, effective_date=effective)
            )
        self._keep(kind, {stream_id: state})
        return state

    def wait(self, kind: str, state: Any) -> None:
        """Others have to agree first: the answer is this state, and only what was decided until here is kept.

        The rest is worked all the same, for what refuses it: nobody is asked to agree to what cannot be done.
        """
        self.instead, self.kept = (kind, state), len(self.events)

    async def answer(self, kind: str, state: Any) -> tuple[str, Any]:
        """What the work comes to, when it has come to this.

        Raises:
            Conflict: others changed what a yes is given to; it is not written, so that its version does not tell.
        """
        if self.instead is None:
            return kind, state
        await self.agree()
        self.events, self.later = self.events[: self.kept], self.events[self.kept :]
        return self.instead

    def _note(self, kind: str, stream_id: str, found: Mapping[str, Any]) -> None:
        """Keep what was read, and at which version; 0 is none."""
        self.read[stream_id] = (kind, found[stream_id].version if stream_id in found else 0)
        self._keep(kind, found)

    async def agree(self) -> None:
        """That all that was read was so at one time: now, for it is still so.

        Raises:
            Conflict: others changed something meanwhile, and something else may have been read after that.
        """
        for kind in sorted({kind for kind, _ in self.read.values()}):
            ids = [one for one, (of, _) in self.read.items() if of == kind]
            now = await self.book.load(kind, ids)
            if any((now[one].version if one in now else 0) != self.read[one][1] for one in ids):
                raise Conflict(f"a {kind} was changed meanwhile")

    def _keep(self, kind: str, states: Mapping[str, Any]) -> None:
        """Note states, and of which kind they are: an id is of one kind, and nothing else has it."""
        self.states.update(states)
        self.kinds.update(dict.fromkeys(states, kind))

    async def admit(self, day: date, *, taxed: bool) -> None:
        """That a day can be posted to, and stays so until the end. Asked before the first number is drawn.

        Raises:
            Refused: its period is closed, a year that ends later is, or, for an entry with taxes, the day's taxes are
                locked; or no company has such a day.
        """
        if not fiscal.FIRST_DAY <= day <= fiscal.LAST_DAY:
            raise DateMalformed(f"Expected a day from {fiscal.FIRST_DAY} to {fiscal.LAST_DAY}, found {day}.")
        name, status = await self.closed_year(day)
        if name is not None:
            raise PeriodClosed(f"{name} is {status}, and with it all that is before its end.")
        tenant = self.book.tenant_id
        period_id, policy_id = period.stream(tenant, fiscal.period(day)), policy.stream(tenant)
        await self.foresee({"period": [period_id], "policy": [policy_id] if taxed else []})
        found: period.Period | None = await self.find("period", period_id)
        period.admit(found, by_closer=period.CLOSER in self.caller.permissions)
        if taxed:
            policy.admit(await self.find("policy", policy_id), day)

    async def closed_year(self, day: date) -> tuple[str | None, str]:
        """The first year that is closed and did not end before this day, and how far; it stays so until the end.

        What a year was closed with includes all that was before it, so no earlier day is open, whoever closed what of
        it. A year is closed once it has begun: none is further on than today's. Years are held before their periods,
        by whoever closes them too.
        """
        tenant, until = self.book.tenant_id, max(day, self.today)
        streams = {name: year.stream(tenant, name) for name in fiscal.years(day, until)}
        await self.foresee({"year": streams.values()})
        for name, stream_id in streams.items():
            status = year.status_of(self.states.get(stream_id))
            if status != year.OPEN and stream_id != self.ending:
                return name, status
        return None, year.OPEN

    async def rate(self, currency: str, day: date) -> Decimal | None:
        """What a unit of the currency is worth on a day; None for that of the books. Asked before numbers are drawn.

        Raises:
            RateMissing: the table has none for this day.
        """
        if currency == BASE:
            return None
        found: rate.Rate | None = await self.find("rate", rate.stream(self.book.tenant_id, currency))
        if found is None:
            raise RateMissing(f"Expected one of {currency} on {day} or before.")
        return found.on(day)

    async def corrections(self, document_id: str) -> list[Any]:
        """The approved notes that correct a document, by number; none is approved by others until the end."""
        await self.book.hold([f"corrects/{document_id}"], exclusively=True)
        found = await self.book.load("voucher", await self.book.corrections(document_id))
        standing = [one for one in found.values() if one.number is not None and not one.cancelled]
        return sorted(standing, key=lambda one: str(one.number))

    async def number(self, prefix: str, day: date) -> str:
        """Draw the next number of a series: INV-2026-11-23-000042, counted per fiscal year."""
        return numbering.of_document(prefix, day, await self._draw(prefix, day))

    async def journal_number(self, entry: journal.Journal) -> str:
        kind, day = entry.journal_type, entry.journal_date
        return numbering.of_entry(kind, day, await self._draw(journal.PREFIXES[kind], day))

    async def _draw(self, series: str, day: date) -> int:
        self.numbered = True
        if self.instead is not None and not self.caller.rehearsing:
            return 0  # nothing will bear it
        return await self.book.draw(series, fiscal.year(day))

    async def claim(self, kind: str, value: str, stream_id: str) -> None:
        """Take a value for a stream; where others have to agree first, only ask whether it could be taken.

        Raises:
            Claimed: another stream has it.
        """
        if self.instead is None:
            await self.book.claim(kind, value, stream_id)
            return
        owner_id = await self.book.owner(kind, value)
        if owner_id is not None and owner_id != stream_id:
            raise Claimed(value, owner_id)


class Rehearsed(Exception):
    """What a command would have done. Raised within its transaction, so that nothing of it stays.

    Where others `have_to_agree` first it would have written `events`, a yes; `later` are those of the last of them,
    and `entries` what these post.
    """

    def __init__(self, sheet: Sheet) -> None:
        super().__init__(f"{len(sheet.events)} events, none of them written")
        self.have_to_agree = sheet.instead is not None
        self.events = tuple(one.event for one in sheet.events)
        self.later = tuple(one.event for one in sheet.later)
        whole = (*sheet.events, *sheet.later)
        posted = [one.stream_id for one in whole if isinstance(one.event, journal.Posted)]
        self.entries: tuple[journal.Journal, ...] = tuple(sheet.states[one] for one in posted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clerk:
    """Has everything a command needs of the world. `pause` waits for so many seconds before another attempt."""

    store: Store
    masterdata: MasterData
    clock: Clock
    new_id: Callable[[], str]
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self, caller: Caller, key: str, request: Sequence[Any], work: Work) -> Any:
        """Do the work in one transaction, and answer the same request with this key in the same way again.

        Raises:
            Refused: the rules say no; nothing was written.
            Fault: the world did not do what was asked; nothing was written.
            Rehearsed: the caller only wants to know; nothing was written, and the key is as good as before.
        """
        digest = hashlib.sha256(msgspec.json.encode([*request, caller.user_id], enc_hook=str)).digest()
        for attempt in range(ATTEMPTS):
            try:
                async with self.store.book(caller.tenant_id) as book:
                    answered = await book.recall(key, digest)
                    if answered is not None and not caller.rehearsing:
                        return answered[1]
                    today = fiscal.today(self.clock.now())
                    sheet = Sheet(book, caller, today, careful=attempt > 0)
                    try:
                        kind, state = await sheet.answer(*await work(sheet))
                    except Refused:
                        await sheet.agree()
                        raise
                    if caller.rehearsing:
                        raise Rehearsed(sheet)
                    await book.append(sheet.events, actor=caller.user_id)
                    await book.remember(key, digest, kind, state)
                return state  # noqa: TRY300 - the answer stands only once the transaction is committed
            except Refused:
                answered = None if caller.rehearsing else await self._answered(caller, key, digest)
                if answered is None:
                    raise
                return answered[1]
            except Conflict:
                await self.pause(PAUSE_S * (1 + attempt))
        raise Contended(f"{ATTEMPTS} attempts were not enough")

    async def _answered(self, caller: Caller, key: str, digest: bytes) -> tuple[str, Any] | None:
        """Whether the same request was done meanwhile: what refuses its retry may be what it did itself."""
        async with self.store.book(caller.tenant_id) as book:
            return await book.recall(key, digest)

    async def check_accounts(self, sheet: Sheet, journal_id: str) -> None:
        """That every line's account is there, active and takes the entry's currency, and stays so until the end.

        The end of a year moves what accounts hold, also of those that nothing else can be posted to any more.
        """
        entry: journal.Journal = sheet.states[journal_id]
        if entry.document_id is None and entry.original_id is None:
            uncontrolled(sheet.book.tenant_id, (line.account_id for line in entry.lines))
        ids = sorted({line.account_id for line in entry.lines})
        await sheet.book.hold(ids, exclusively=False)
        found = await sheet.book.load("account", ids)
        for account_id in ids:
            one = found.get(account_id)
            if one is None:
                raise AccountUnknown(f"Found {account_id[:40]}.")
            if not one.active and not ends_year(sheet, entry):
                raise AccountInactive(f"It is {one.code}.")
            if one.currency not in {entry.currency, BASE}:
                raise CurrencyMismatch(f"{one.code} is in {one.currency}, the entry in {entry.currency}.")

    async def post(self, sheet: Sheet, journal_id: str) -> journal.Journal:
        """Number a draft and post it, into a period that is open."""
        entry: journal.Journal = sheet.states[journal_id]
        draft = entry.status == "DRAFT"  # a refusal needs no number
        worth = entry.rate
        if draft:
            taxed = posting.touches_tax(sheet.book.tenant_id, entry.lines)
            await sheet.admit(entry.journal_date, taxed=taxed)
            if worth is None and any(journal.unvalued(line) for line in entry.lines):
                worth = await sheet.rate(entry.currency, entry.journal_date)
        command = journal.Post(
            number=await sheet.journal_number(entry) if draft else "",
            posted_at=self.clock.now(),
            posted_by=sheet.caller.user_id,
            rate=worth,
        )
        posted: journal.Journal = sheet.decide("journal", journal_id, command, effective=entry.journal_date)
        await self.check_accounts(sheet, journal_id)
        return posted

    async def enter(self, sheet: Sheet, command: journal.Create) -> journal.Journal:
        """Draft and post an entry."""
        sheet.decide("journal", command.journal_id, command)
        return await self.post(sheet, command.journal_id)

    async def verified(
        self, caller: Caller, kind: str, record_id: str, refused: type[Refused]
    ) -> Callable[[], bool]:
        """Ask master data about a customer or vendor before the transaction, so that none waits for it.

        What is returned is asked within it, where a retry needs no answer of a neighbour: whether it was told.

        Raises:
            Fault: in the transaction: it could not be told, and may not be assumed.
            Refused: in the transaction: there is none.
        """
        fault: Fault | None = None
        told: bool | None = None
        try:
            told = await self.masterdata.exists(caller, kind, record_id)
        except Fault as error:
            fault = error

        def answer() -> bool:
            if fault is not None:
                raise fault
            if told is False:
                raise refused(f"Found {record_id[:40]}.")
            return told is True

        return answer

    async def cancel(self, sheet: Sheet, kind: str, document_id: str, *, reason: str, on: date | None) -> Any:
        """Cancel an invoice or voucher. What was posted is reversed, on its day or `on` a later one; what was paid, or
        is cancelled already, is left for the document to refuse.

        Raises:
            InvoiceCorrected: an approved note corrects it. Whoever approves one now waits, and finds it cancelled.
        """
        found = await sheet.load(kind, document_id)
        untouched = found.open_minor == found.total_minor and not found.cancelled
        if found.journal_id is None or not untouched:
            return sheet.decide(kind, document_id, invoice.Cancel(reason=reason, reversing_journal_id=None))
        await sheet.load("journal", found.journal_id)
        day = on or found.dated
        await sheet.admit(day, taxed=True)
        notes = await sheet.corrections(document_id)
        if notes:
            raise InvoiceCorrected(
                f"{found.number} is corrected by {', '.join(one.number for one in notes)}."
            )
        mirror = await self.reverse(sheet, found.journal_id, day, document_id=document_id)
        command = invoice.Cancel(reason=reason, reversing_journal_id=mirror.id, cancelled_on=day)
        return sheet.decide(kind, document_id, command)

    async def reverse(
        self, sheet: Sheet, journal_id: str, on: date, *, document_id: str | None, reason: str | None = None
    ) -> journal.Journal:
        """Post the mirror image of an entry that was loaded, on a day of an open period.

        Raises:
            DateMalformed: the day is before the entry's.
        """
        before: journal.Journal = sheet.states[journal_id]
        if on < before.journal_date:
            raise DateMalformed(f"The reversal's {on} is before the entry's {before.journal_date}.")
        mirror_id = self.new_id()
        command = journal.Reverse(by_journal_id=mirror_id, document_id=document_id, reason=reason)
        reversed_entry = sheet.decide("journal", journal_id, command)
        return await self.enter(sheet, journal.mirror(reversed_entry, journal_id=mirror_id, on=on))


def ends_year(sheet: Sheet, entry: journal.Journal) -> bool:
    """Whether a fiscal year posts it to move what was earned, or to take that back."""
    of = entry if entry.original_id is None else sheet.states.get(entry.original_id, entry)
    return of.journal_type == "CLOSING" and of.document_id is not None


def uncontrolled(tenant_id: str, account_ids: Iterable[str]) -> None:
    """Let an entry or a line that a person wrote onto these accounts.

    Raises:
        AccountControlled: only documents, or revaluations of currencies, post to one of them.
    """
    controlled, valued = posting.controls(tenant_id), posting.valuations(tenant_id)
    for account_id in account_ids:
        if account_id in controlled:
            raise AccountControlled(f"Found {account_id}.")
        if account_id in valued:
            raise AccountControlled(f"Found {account_id}, for revaluations of currencies alone.")
