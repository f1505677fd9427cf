"""Random histories hold every law; and a service that is broken on purpose breaks one, by its name."""

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import Any, Final

import msgspec
import pytest
from click.testing import CliRunner

from finance import (
    approval,
    approving,
    authority,
    bank_file,
    bankline,
    billing,
    chart,
    clerk,
    handle,
    invoice,
    journal,
    money,
    pairing,
    payment,
    period,
    policy,
    posting,
    report,
    revaluation,
    settlement,
    taxing,
)
from finance.adapters.memory import MemoryBook, MemoryStore
from finance.clerk import Clerk, Rehearsed, Sheet
from finance.ordeal.__main__ import main
from finance.ordeal.chance import USERS
from finance.ordeal.dice import WHY
from finance.ordeal.law import LAWS, Broken
from finance.ordeal.trial import IN_TURN, Trial
from finance.ordeal.world import Crashed
from finance.refusal import Refused

Patch = pytest.MonkeyPatch
SEEDS = 40
MOST = 200
"""Seeds within which a mutant must be caught."""


@pytest.fixture(autouse=True, scope="module")
def _opened() -> None:
    """The books that all histories begin with are opened once, and not by a broken service."""
    assert Trial(0, steps=0).run().broken is None


def test_random_histories_hold_every_law() -> None:
    told = [Trial(seed).run() for seed in range(SEEDS)]
    assert [(one.seed, str(one.broken)) for one in told if one.broken] == []
    checked = sum((one.checked for one in told), start=told[0].checked)
    assert set(checked) == set(LAWS) - {"bug"}
    happened = sum((one.happened for one in told), start=told[0].happened)
    assert {
        "allocate done",
        "close_year done",
        "run done",
        "approve maker-is-checker",
        "revalue done",
        "undo_revaluation done",
    } <= set(happened)


def test_a_seed_is_the_whole_of_a_history() -> None:
    one, again, other = (Trial(seed).run() for seed in (7, 7, 8))
    assert one.trace == again.trace != other.trace


def test_nobody_is_refused_for_what_never_was_together() -> None:
    """A payment was read with its allocation, and the allocation's entry after somebody took it back."""
    for seed in range(25):
        trial = Trial(seed, steps=0)
        trial.run()
        [tenant, _] = trial.world.tenants
        begun(trial, tenant)
        back = {"credit": "P1", "number": 0, "reason": WHY, "on": None}
        reversing = {"name": "P1", "reason": WHY, "on": None}
        trial.at_once(
            trial.asked(tenant, USERS[0], "unallocate", back),
            trial.asked(tenant, USERS[1], "take_back", reversing),
        )
        assert trial.happened["take_back done"] == 1


def test_a_yes_is_not_kept_to_what_somebody_else_has_just_changed() -> None:
    """The document was read before the last of those who agreed to another act, and the yeses after."""
    for seed in range(25):
        trial = Trial(seed)
        [tenant, _] = trial.world.tenants
        begun(trial, tenant)
        today = trial.clock.now().date()
        rule = {"day": today, "four_eyes": False, "tiers": ((0, 2, False),), "reason": WHY}
        trial.single(trial.asked(tenant, USERS[0], "set_rule", rule))
        rest = {"debt": "I1", "minor": 75, "told": WHY, "on": today, "code": None}
        lost, withheld = ({**rest, "kind": kind} for kind in ("WRITE_OFF", "WITHHOLDING"))
        trial.single(trial.asked(tenant, USERS[0], "settle", lost))
        trial.at_once(
            trial.asked(tenant, USERS[1], "settle", lost), trial.asked(tenant, USERS[2], "settle", withheld)
        )


def test_two_who_undo_a_match_at_once_are_told_that_it_is_undone() -> None:
    """The line was read with its match, and the payment after somebody had undone it: an error, not a refusal."""
    codes = set()
    for seed in range(25):
        trial = Trial(seed, steps=0)
        trial.run()
        [tenant, _] = trial.world.tenants
        begun(trial, tenant)
        rows = (("L1", trial.clock.now().date(), 575),)
        told = {"account": "1000", "currency": "BDT", "rows": rows, "cut": False, "kind": "CSV"}
        trial.single(trial.asked(tenant, USERS[0], "bring", told))
        trial.single(trial.asked(tenant, USERS[0], "match", {"lines": ("1000/L1",), "money": ("P1",)}))
        back = {"line": "1000/L1", "reason": WHY}
        trial.at_once(*(trial.asked(tenant, who, "unmatch", back) for who in USERS[:2]))
        codes |= {what for what in trial.happened if what.startswith("unmatch")}
    assert codes == {"unmatch done", "unmatch bank-line-not-matched"}


def begun(trial: Trial, tenant: str) -> None:
    """Money that pays an invoice."""
    today = trial.clock.now().date()
    line = {"price": 500, "quantity": 1000, "category": "STANDARD", "codes": (), "account": None}
    bill = {"name": "I1", "kind": "INVOICE", "partner": "C1", "currency": "BDT", "day": today, "due": today}
    terms = {"lines": [line], "prices": "EXCLUSIVE", "rounding": "LINE"}
    others = {"reference": None, "reason": None, "corrects": None}
    money = {"name": "P1", "target": None, "partner": "C1", "minor": 575, "currency": "BDT", "day": today}
    for who, verb, given in (
        (0, "draft", bill | terms | others),
        (1, "approve", {"name": "I1"}),
        (0, "pay", money | {"method": "CASH", "excess": False}),
        (1, "complete", {"name": "P1", "reference": "TRX-1"}),
        (0, "allocate", {"credit": "P1", "debt": "I1", "minor": 500, "on": None}),
    ):
        trial.single(trial.asked(tenant, USERS[who], verb, given))


def test_the_program_tells_what_happened_and_a_seed_with_its_trace() -> None:
    done = CliRunner().invoke(main, ["--seeds", "3"])
    assert done.exit_code == 0
    assert "3 seeds, " in done.output
    assert "law balance" in done.output
    one = CliRunner().invoke(main, ["--seed", "2", "--steps", "5"])
    assert one.exit_code == 0
    assert one.output.splitlines()[0].startswith("06-14 0a ")
    assert one.output.splitlines()[-1].endswith("no law broken")


def test_a_seed_that_breaks_a_law_says_which_and_how_to_see_it_again(monkeypatch: Patch) -> None:
    monkeypatch.setattr(settlement, "coverable", nothing)
    done = CliRunner().invoke(main, ["--seeds", "30", "--steps", "45"])
    assert done.exit_code == 1
    told = done.output.splitlines()
    assert told[-2].startswith("seed ")
    assert " refusal: " in told[-2] or " serial: " in told[-2]
    seed = told[-1].rpartition("SEED=")[2].split()[0]
    assert told[-1] == f"again, with its trace: make sim-finance SEED={seed} STEPS=45"
    again = CliRunner().invoke(main, ["--seed", seed, "--steps", "45"])
    assert again.exit_code == 1
    assert again.output.splitlines()[-2] == told[-2]


def test_a_store_that_is_not_told_of_is_asked_for(monkeypatch: Patch) -> None:
    monkeypatch.delenv("FINANCE_DATABASE_URL", raising=False)
    monkeypatch.setenv("FINANCE_OWNER_DATABASE_URL", "postgresql://somewhere")
    done = CliRunner().invoke(main, ["--store", "postgres"])
    assert done.exit_code == 2
    assert "FINANCE_DATABASE_URL: missing; set them" in done.output


# The service, broken


def nothing(*_: object, **__: object) -> None:
    """What a check does that was left out."""


async def nothing_awaited(*_: object, **__: object) -> None:
    """The same."""


def committed_on(kind: type[BaseException]) -> Callable[[Patch], None]:
    """A transaction that is committed though this came out of it."""

    @contextlib.asynccontextmanager
    async def book(self: MemoryStore, tenant_id: str) -> AsyncIterator[MemoryBook]:
        made = MemoryBook(self, tenant_id)
        try:
            yield made
            await self.turn()
            self.tables.take(made.own)
        except kind:
            self.tables.take(made.own)
            raise
        finally:
            self._release(made)
        await self.turn()

    return lambda patch: patch.setattr(MemoryStore, "book", book)


def without_versions(patch: Patch) -> None:
    """Whoever comes last writes over what the other wrote."""
    real = MemoryBook.append

    async def append(self: MemoryBook, events: Any, *, actor: str) -> None:
        made = []
        for one in events:
            there = self._rows_of(one.stream_id)
            ahead = [each.stream_id for each in made].count(one.stream_id)
            made.append(
                type(one)(
                    kind=one.kind,
                    stream_id=one.stream_id,
                    version=len(there) + 1 + ahead,
                    event=one.event,
                    effective_date=one.effective_date,
                )
            )
        await real(self, made, actor=actor)

    patch.setattr(MemoryBook, "append", append)


def without_tenant(patch: Patch) -> None:
    def rows_of(self: MemoryBook, stream_id: str) -> list[Any]:
        return [row for row in (*self._store.tables.rows, *self.own.rows) if row.stream_id == stream_id]

    patch.setattr(MemoryBook, "_rows_of", rows_of)


def holdings_of_all(patch: Patch) -> None:
    patch.setattr(
        MemoryBook,
        "_rows",
        lambda self, kind: (row for row in (*self._store.tables.rows, *self.own.rows) if row.kind == kind),
    )


def numbered_at_draft(patch: Patch) -> None:
    real = Sheet.decide

    def decide(self: Sheet, kind: str, stream_id: str, command: Any, **more: Any) -> Any:
        if isinstance(command, invoice.Create):
            place = (self.book.tenant_id, "INV", "FY2026-2027")
            own = self.book.own.counters
            own[place] = own.get(place, self.book._store.tables.counters.get(place, 0)) + 1
        return real(self, kind, stream_id, command, **more)

    patch.setattr(Sheet, "decide", decide)


def counted_in_memory(patch: Patch) -> None:
    """A number that is drawn without its lock."""

    async def draw(self: MemoryBook, series: str, fiscal_year: str) -> int:
        place = (self._tenant_id, series, fiscal_year)
        self._begun()
        last = self.own.counters.get(place, self._store.tables.counters.get(place, 0))
        await self._store.turn()
        self.own.counters[place] = last + 1
        return last + 1

    patch.setattr(MemoryBook, "draw", draw)


def without(module: Any, name: str, instead: Any = nothing) -> Callable[[Patch], None]:
    return lambda patch: patch.setattr(module, name, instead)


def forgetful(patch: Patch) -> None:
    patch.setattr(MemoryBook, "remember", nothing_awaited)


def reversed_twice(patch: Patch) -> None:
    real = journal._reverse
    patch.setattr(
        journal,
        "_reverse",
        lambda one, command: real(msgspec.structs.replace(one, status="POSTED"), command),
    )


def rounded_down(patch: Patch) -> None:
    patch.setattr(money, "half_even", lambda value: int(value // 1))


def paid_and_not_told(patch: Patch) -> None:
    """What a payment takes back is not open again."""
    real = Sheet.decide

    def decide(self: Sheet, kind: str, stream_id: str, command: Any, **more: Any) -> Any:
        if isinstance(command, invoice.WithdrawPayment):
            return self.states[stream_id]
        return real(self, kind, stream_id, command, **more)

    patch.setattr(Sheet, "decide", decide)


def entry_apart(patch: Patch) -> None:
    """The entry is posted in a transaction of its own, after the document's."""
    real = MemoryBook.append

    async def append(self: MemoryBook, events: Any, *, actor: str) -> None:
        first = [one for one in events if one.kind != "journal"]
        await real(self, first, actor=actor)
        self._store.tables.take(self.own)
        self.own = type(self.own)()
        await self._store.turn()
        await real(self, [one for one in events if one.kind == "journal"], actor=actor)

    patch.setattr(MemoryBook, "append", append)


def same_yes_twice(patch: Patch) -> None:
    real = approval.decide
    patch.setattr(approval, "decide", lambda _, command: real(None, command))


def drafters(*types: str) -> Callable[[Patch], None]:
    """Only events of these types tell who made something; all do when there are none."""
    return lambda patch: patch.setattr(approving, "DRAFTING", dict.fromkeys(approving.DRAFTING, types))


def cancelled_though_corrected(patch: Patch) -> None:
    """Notes are looked for when one more is approved, and not when their document is cancelled."""
    real = Clerk.cancel

    async def cancel(self: Clerk, sheet: Sheet, kind: str, document_id: str, **more: Any) -> Any:
        with patch.context() as meanwhile:
            meanwhile.setattr(Sheet, "corrections", nobody)
            return await real(self, sheet, kind, document_id, **more)

    patch.setattr(Clerk, "cancel", cancel)


async def nobody(*_: object) -> tuple[()]:
    return ()


def yes_to_anything(patch: Patch) -> None:
    """Whoever agreed to one act has agreed to every other."""
    patch.setattr(approval.Approval, "of", lambda one, yes: one.document_version == yes.document_version)


def yes_for_good(patch: Patch) -> None:
    """Whoever agreed to something as it was has agreed to it as it is."""
    patch.setattr(approval.Approval, "of", lambda one, yes: one.act == yes.act)


def yes_unseen(patch: Patch) -> None:
    """The first of several people is asked nothing but who they are."""
    real = approving.agreed

    class Enough(Refused):
        code = "enough"

    async def agreed(clerk: Clerk, sheet: Sheet, *given: Any, **more: Any) -> None:
        await real(clerk, sheet, *given, **more)
        if sheet.instead is not None:
            raise Enough

    async def run(self: Clerk, caller: Any, key: str, request: Any, work: Any) -> Any:
        async def cut(sheet: Sheet) -> Any:
            with contextlib.suppress(Enough):
                return await work(sheet)
            return sheet.instead

        return await running(self, caller, key, request, cut)

    running = Clerk.run
    patch.setattr(Clerk, "run", run)
    for module in (handle, billing):
        patch.setattr(module, "agreed", agreed)


def exchange_lost(patch: Patch) -> None:
    patch.setattr(posting, "_with_difference", lambda _tenant, lines, _currency: tuple(lines))


def not_taken_back(patch: Patch) -> None:
    """What a revaluation put on a day stays there."""
    real = Clerk.reverse

    async def reverse(self: Clerk, sheet: Sheet, journal_id: str, on: date, **more: Any) -> Any:
        one = sheet.states[journal_id]
        if one.journal_type == "ADJUSTMENT" and revaluation.owns(
            sheet.book.tenant_id, one.document_id, one.journal_date
        ):
            return one
        return await real(self, sheet, journal_id, on, **more)

    patch.setattr(Clerk, "reverse", reverse)


def advances_revalued(patch: Patch) -> None:
    """What was paid in advance is taken for money."""
    real = revaluation.beside

    def beside(tenant_id: str, one: Any) -> str | None:
        advances = {chart.account_id(tenant_id, code) for code in ("2300", "1400")}
        return chart.PAYABLES_REVALUED if one.id in advances else real(tenant_id, one)

    patch.setattr(revaluation, "beside", beside)


def stale_state(patch: Patch) -> None:
    """A state that does not survive being kept: its settlements are forgotten."""
    real = invoice.evolve

    def evolve_(one: Any, event: Any) -> Any:
        made = real(one, event)
        return msgspec.structs.replace(made, settlements=[*made.settlements])

    patch.setattr(invoice, "evolve", evolve_)


Mutants = dict[str, tuple[str, Callable[[Patch], None]]]
"""By what is broken: the law it breaks; or the laws, one of which it breaks first, as the dice fall."""

MUTANTS: Mutants = {
    "no tenant in what is loaded": ("refusal", without_tenant),
    "no tenant in what is summed": ("bug", holdings_of_all),
    "more is paid than is open": ("refusal", without(settlement, "coverable")),
    "more is allocated than is left": ("refusal", without(settlement, "spendable")),
    "the key is forgotten": ("retry", forgetful),
    "an entry is reversed twice": ("refusal", reversed_twice),
    "roundings go down": ("ledger document", rounded_down),
    "a number is drawn for a draft": ("numbers", numbered_at_draft),
    "a refused request writes": ("untouched", committed_on(Refused)),
    "a dry run leaves something": ("rehearsal", committed_on(Rehearsed)),
    "a closed period takes entries": ("refusal", without(period, "admit")),
    "locked taxes are posted": ("refusal", without(policy, "admit")),
    "the maker approves": ("refusal ledger", without(authority, "admit", lambda *_, **__: authority.ANYBODY)),
    "one person says yes twice": ("refusal", same_yes_twice),
    "who drafted it undoes it": ("refusal", drafters("none")),
    "who approved it may not undo it": ("refusal", drafters()),
    "a corrected document is cancelled": ("refusal", cancelled_though_corrected),
    "a yes is to any act": ("ledger refusal rehearsal", yes_to_anything),
    "a yes outlives a change": ("ledger refusal", yes_for_good),
    "the first yes is to what cannot be": ("rehearsal refusal", yes_unseen),
    "what is taken back is not open again": ("control", paid_and_not_told),
    "an exchange difference is lost": ("refusal", exchange_lost),
    "a changed tax rate is not seen": ("refusal", without(taxing, "unchanged")),
    "a revaluation is not taken back": ("ledger rehearsal", not_taken_back),
    "what was paid in advance is revalued": ("ledger rehearsal", advances_revalued),
    "a state is not what is kept of it": ("snapshot", stale_state),
}
AT_ONCE: Mutants = {
    "no expected version": ("serial stream", without_versions),
    "no lock of what is relied on": ("serial", without(MemoryBook, "hold", nothing_awaited)),
    "a number is drawn without its lock": ("numbers", counted_in_memory),
}
DYING: Mutants = {
    "what had begun stays after a crash": ("crash", committed_on(Crashed)),
    "the entry is posted apart": ("crash", entry_apart),
}
"""Those that only requests at once, or a crash, can show."""

KNOWN = [
    *((name, IN_TURN) for name in MUTANTS),
    *((name, ("single", "race")) for name in AT_ONCE),
    *((name, ("single", "crash")) for name in DYING),
]


SEEN: Final = {
    ("model", "an entry is reversed twice"): 45,
    ("model", "locked taxes are posted"): 38,
    ("model", "who drafted it undoes it"): 50,
    ("model", "who approved it may not undo it"): 49,
    ("model", "a yes is to any act"): 171,
    ("model", "a changed tax rate is not seen"): 128,
    ("model", "no lock of what is relied on"): 57,
    ("model", "a number is drawn without its lock"): 113,
    ("model", "what had begun stays after a crash"): 39,
    ("model", "the entry is posted apart"): 151,
    ("plain", "an entry need not balance"): 86,
    ("plain", "people post to control accounts"): 21,
    ("plain", "more is allocated than is left"): 22,
    ("plain", "a report leaves an account out"): 40,
    ("plain", "what is matched is matched again"): 86,
}
"""Where the first seed was that caught a mutant. It is tried first, which saves time and nothing else: whoever changes
what histories ask may leave it, and all of `MOST` are tried.
"""


def first_broken(judge: str, mutant: str, happenings: tuple[str, ...]) -> Broken | None:
    """The first law that a broken service breaks, of those that one of the two models judges."""
    seen = SEEN.get((judge, mutant), 0)
    for seed in (*range(seen, MOST), *range(seen)):
        told = Trial(seed, happenings=happenings, judges=(judge,)).run().broken
        if told is not None:
            return told
    return None


@pytest.mark.parametrize(("mutant", "happenings"), KNOWN)
def test_a_service_that_is_broken_breaks_a_law_by_its_name(
    monkeypatch: Patch, mutant: str, happenings: tuple[str, ...]
) -> None:
    law, patch = (MUTANTS | AT_ONCE | DYING)[mutant]
    patch(monkeypatch)
    told = first_broken("model", mutant, happenings)
    assert told is not None, f"{MOST} seeds were not enough"
    assert told.law in law.split(), str(told)


def unbalanced(patch: Patch) -> None:
    """An entry is posted as it was written, whatever its sides come to."""
    patch.setattr(journal, "balanced", nothing)


def changes_lost(patch: Patch) -> None:
    """A draft is answered as it was changed, and written as it was."""
    real = MemoryBook.append

    async def append(self: MemoryBook, events: Any, *, actor: str) -> None:
        await real(self, [one for one in events if type(one.event) is not invoice.Updated], actor=actor)

    patch.setattr(MemoryBook, "append", append)


def losses_left_out(patch: Patch) -> None:
    """Reports know only accounts of before there were exchange rates."""
    real = report.of_type

    def of_type(balances: Any, account_type: str) -> Any:
        return tuple(one for one in real(balances, account_type) if one.account.code != "5950")

    patch.setattr(report, "of_type", of_type)


def anywhere(patch: Patch) -> None:
    """A person posts to a control account, which only documents do."""
    patch.setattr(clerk, "uncontrolled", nothing)


def line_made_up(patch: Patch) -> None:
    """A file has a line more than the bank told."""
    real = bank_file.tied

    def tied(found: Any) -> Any:
        more = msgspec.structs.replace(found.rows[0], reference=f"{found.rows[0].reference}-2")
        return real(msgspec.structs.replace(found, rows=(*found.rows, more)))

    patch.setattr(bank_file, "tied", tied)


def matched_again(patch: Patch) -> None:
    """What is matched is matched with something else, too."""
    real_line, real_payment = bankline.decide, payment.decide

    def line(one: Any, command: Any) -> Any:
        forgets = isinstance(command, bankline.Match)
        return real_line(msgspec.structs.replace(one, match=None) if forgets else one, command)

    def money(one: Any, command: Any) -> Any:
        forgets = isinstance(command, payment.Reconcile) and one.status == "RECONCILED"
        return real_payment(msgspec.structs.replace(one, status="COMPLETED") if forgets else one, command)

    patch.setattr(bankline, "decide", line)
    patch.setattr(payment, "decide", money)


class Whatever(int):
    """An amount that is any other."""

    def __add__(self, _: int) -> "Whatever":
        return self

    __radd__ = __add__

    def __ne__(self, _: object) -> bool:
        return False

    __hash__ = int.__hash__


def taken_back_though_matched(patch: Patch) -> None:
    real = payment.decide

    def decide(one: Any, command: Any) -> Any:
        forgets = isinstance(command, payment.Reverse)
        return real(msgspec.structs.replace(one, match_id=None) if forgets else one, command)

    patch.setattr(payment, "decide", decide)


def half_unmatched(patch: Patch) -> None:
    """The lines of a match are free again, its payments are not."""
    real = Sheet.decide

    def decide(self: Sheet, kind: str, stream_id: str, command: Any, **more: Any) -> Any:
        if isinstance(command, payment.Unreconcile):
            return self.states[stream_id]
        return real(self, kind, stream_id, command, **more)

    patch.setattr(Sheet, "decide", decide)


PLAIN: Mutants = {
    "an entry need not balance": ("plain-balance", unbalanced),
    "people post to control accounts": ("plain-control", anywhere),
    "more is paid than is open": ("plain-open", without(settlement, "coverable")),
    "more is allocated than is left": ("plain-open", without(settlement, "spendable")),
    "what is taken back is not open again": ("plain-open", paid_and_not_told),
    "roundings go down": ("plain-open plain-statements", rounded_down),
    "a report leaves an account out": ("plain-statements", losses_left_out),
    "a refused request writes": ("plain-untouched", committed_on(Refused)),
    "a dry run leaves something": ("plain-untouched", committed_on(Rehearsed)),
    "a change is not written": ("plain-replay", changes_lost),
    "a state is not what is kept of it": ("plain-snapshot", stale_state),
    "a closed period takes entries": ("plain-possible", without(period, "admit")),
    "a corrected document is cancelled": ("plain-possible", cancelled_though_corrected),
    "a bank line is made up": ("bank-told", line_made_up),
    "what is matched is matched again": ("bank-once", matched_again),
    "a match need not tie": ("bank-tied", without(pairing, "signed_minor", lambda _: Whatever())),
    "matched money is taken back": ("bank-kept", taken_back_though_matched),
    "half a match is undone": ("bank-explained", half_unmatched),
}
"""As above: what the plain books alone find, and what banks told, which know no reason to refuse anything."""


@pytest.mark.parametrize("mutant", PLAIN)
def test_the_plain_books_alone_find_a_broken_service_by_a_law_of_theirs(
    monkeypatch: Patch, mutant: str
) -> None:
    law, patch = PLAIN[mutant]
    patch(monkeypatch)
    told = first_broken("plain", mutant, IN_TURN)
    assert told is not None, f"{MOST} seeds were not enough"
    assert told.law in law.split(), str(told)


def test_every_law_of_the_plain_books_is_broken_by_some_service() -> None:
    assert {law for laws, _ in PLAIN.values() for law in laws.split()} == {
        law for law in LAWS if law.startswith(("plain-", "bank-"))
    }
