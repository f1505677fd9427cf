"""Lines of a bank that no payment explains are booked from the line, or matched with an entry, and that is undone."""

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_finance_drilling import Reader

from finance import bankline, chart, journal, payment
from finance.adapters.memory import MemoryStore
from finance.adapters.postgres.opening import add_accounts
from finance.authority import Rule, Tier
from finance.bank_file import Columns
from finance.bank_refusal import BankLineMatched, BankMatchUntied, JournalMatched
from finance.banking import Given
from finance.bankline import Bankline
from finance.booking import Against, Booking, entry_of
from finance.graphql.permission import NEEDED
from finance.handle import Books
from finance.ids import new_id
from finance.money import Money
from finance.ports import Caller
from finance.refusal import (
    AccountControlled,
    AmountMalformed,
    DateMalformed,
    JournalLineOneSided,
    JournalNotPosted,
    JournalOfDocument,
    JournalTooShort,
    JournalUnbalanced,
    MakerIsChecker,
    NotFound,
    PeriodClosed,
    Refused,
    TaxCodeUnknown,
    TextMalformed,
)

Desk = Any
DAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
WHY = "it was the wrong account"
COLUMNS = Columns(booked_on="day", amount="amount", reference="reference", text="text")


def key() -> str:
    return str(uuid4())


class Noon:
    def now(self) -> datetime:
        return NOON


class Everybody:
    """Master data that knows whoever is asked for."""

    async def find(self, *_: object) -> dict[str, Any]:
        return {}

    async def exists(self, *_: object) -> bool:
        return True


async def at_once(_: float) -> None:
    await asyncio.sleep(0)


@dataclass
class Till:
    """Books in memory with the standard accounts, and somebody who keeps them."""

    tenant: str
    store: MemoryStore
    books: Books
    caller: Caller
    references: Any = field(default_factory=itertools.count)

    def account(self, code: str) -> str:
        return chart.account_id(self.tenant, code)

    async def line(self, minor: int, *, code: str = "1010", day: date = DAY, text: str = "CHARGE") -> str:
        """A line that the bank of an account told; its id."""
        reference = f"B-{next(self.references)}"
        rows = f"day,amount,reference,text\n{day},{Money(minor, 'BDT')},{reference},{text}\n"
        given = Given(
            account_id=self.account(code), currency="BDT", kind="CSV", name="n.csv", content=rows.encode(),
            columns=COLUMNS,
        )  # fmt: skip
        await self.books.banking.take(self.caller, key(), given)
        return bankline.stream(self.tenant, self.account(code), reference)

    async def book(
        self, *line_ids: str, code: str = "5900", post: bool = True, by: Caller | None = None, **asked: Any
    ) -> journal.Journal:
        against = asked.pop("against", (Against(account_id=self.account(code)),))
        booking = Booking(line_ids=line_ids, against=against, **asked)
        return await self.books.banking.book(by or self.caller, key(), booking, post=post)

    async def entry(self, minor: int, *codes: str, post: bool = True) -> journal.Journal:
        """An entry by hand of money that comes onto the first account from the other."""
        debit, credit = map(self.account, codes)
        lines = (
            journal.Line(account_id=debit, debit_minor=minor),
            journal.Line(account_id=credit, credit_minor=minor),
        )
        command = journal.Create(
            journal_id="", journal_date=DAY, journal_type="GENERAL", description="By hand", currency="BDT", lines=lines
        )  # fmt: skip
        return await self.books.create_journal(self.caller, key(), command, post=post)

    async def match(
        self, line_ids: tuple[str, ...], *journal_ids: str, paid: tuple[str, ...] = ()
    ) -> Bankline:
        return await self.books.banking.match(self.caller, key(), line_ids, paid, journal_ids)

    async def load(self, kind: str, stream_id: str) -> Any:
        return await self.books.read(self.caller, kind, stream_id)

    def types(self) -> Counter[str]:
        return Counter(row.type for row in self.store.tables.rows if row.actor != "opening")

    async def refuses(self, code: type[Refused], asked: Any) -> Refused:
        """That something is refused for this reason, and nothing was written."""
        before = self.store.tables.image()
        with pytest.raises(code) as told:
            await asked
        assert self.store.tables.image() == before
        return told.value


@pytest.fixture
async def till() -> Till:
    tenant = str(uuid4())
    store = MemoryStore([tenant])
    async with store.book(tenant) as book:
        await add_accounts(book)
    books = Books(store=store, masterdata=Everybody(), clock=Noon(), new_id=new_id, pause=at_once)
    caller = Caller(user_id="rahim", tenant_id=tenant, permissions=frozenset(), token="")
    return Till(tenant=tenant, store=store, books=books, caller=caller)


# What the entry is


def told(minor: int, day: date = DAY, text: str = "CHARGE") -> Bankline:
    return Bankline(
        id=str(uuid4()), account_id="bank", file_id="f", currency="BDT", booked_on=day, amount_minor=minor,
        reference="B-1", text=text,
    )  # fmt: skip


@given(
    st.lists(st.integers(-(10**9), 10**9).filter(bool), min_size=1, max_size=4).filter(sum),
    st.lists(st.integers(1, 10**6), max_size=3),
    st.integers(0, 40),
)
def test_the_banks_side_is_what_the_bank_told_line_by_line_and_the_rest_is_on_the_other(
    minors: list[int], said: list[int], days: int
) -> None:
    lines = [told(minor, DAY + timedelta(days=number)) for number, minor in enumerate(minors)]
    against = tuple(Against(account_id=f"a{number}", amount_minor=minor) for number, minor in enumerate(said))
    day = DAY + timedelta(days=days)
    asked = Booking(line_ids=("1",), against=(*against, Against(account_id="rest")), day=day)
    if days < len(minors) - 1:
        with pytest.raises(DateMalformed):
            entry_of(lines, asked, journal_id="j")
        return
    made = entry_of(lines, asked, journal_id="j")
    bank, other = made.lines[: len(lines)], made.lines[len(lines) :]
    assert [one.debit_minor - one.credit_minor for one in bank] == minors
    assert {one.account_id for one in bank} == {"bank"}
    assert sum(one.debit_minor - one.credit_minor for one in other) == -sum(minors)
    sign = -1 if sum(minors) > 0 else 1
    assert [sign * (one.debit_minor - one.credit_minor) for one in other[:-1]] == said
    assert made.journal_date == day
    assert made.journal_type == ("CASH_RECEIPT" if sum(minors) > 0 else "CASH_PAYMENT")


def test_only_one_account_takes_the_rest() -> None:
    rest = Against(account_id="a")
    with pytest.raises(AmountMalformed):
        entry_of([told(5)], Booking(line_ids=("1",), against=(rest, rest)), journal_id="j")


@pytest.mark.parametrize(
    ("text", "said"), [("x", "Bank line B-1"), ("", "Bank line B-1"), ("y" * 600, "y" * 500)]
)
def test_an_entry_says_what_the_bank_says_where_that_says_enough(text: str, said: str) -> None:
    asked = Booking(line_ids=("1",), against=(Against(account_id="a"),))
    assert entry_of([told(5, text=text)], asked, journal_id="j").description == said


# Booked and matched


async def test_a_line_is_booked_on_its_day_to_the_last_poisha_and_matched_at_once(till: Till) -> None:
    one = await till.line(-345_67, text="MONTHLY CHARGE")
    before = till.types()
    done = await till.book(one)
    assert (done.status, done.journal_date, done.journal_type) == ("POSTED", DAY, "CASH_PAYMENT")
    assert (done.description, done.document_id) == ("MONTHLY CHARGE", None)
    bank, fee = done.lines
    assert (bank.account_id, bank.credit_minor, bank.reference) == (till.account("1010"), 345_67, "B-0")
    assert (fee.account_id, fee.debit_minor) == (till.account("5900"), 345_67)
    line = await till.load("bankline", one)
    assert (line.match.line_ids, line.match.payment_ids, line.match.journal_ids) == ((one,), (), (done.id,))
    new = till.types() - before
    assert new == {"journal.created/1": 1, "journal.posted/1": 1, "bankline.matched/1": 1}
    later = await till.book(
        await till.line(12_00), code="4000", day=date(2026, 12, 3), description="Interest"
    )
    assert (later.journal_date, later.journal_type, later.lines[0].debit_minor) == (
        date(2026, 12, 3),
        "CASH_RECEIPT",
        12_00,
    )


async def test_a_fee_is_parted_from_its_tax_and_several_lines_are_one_entry(till: Till) -> None:
    await till.books.taxes.adopt(till.caller, key(), "bangladesh")
    both = await till.line(-115_00), await till.line(-23_00, day=DAY + timedelta(days=1))
    against = (
        Against(account_id=till.account("5900"), tax_code="VAT15", cost_center="C-1"),
        Against(account_id=till.account("1410"), amount_minor=18_00, tax_code="VAT15"),
    )
    done = await till.book(*both, against=against)
    assert [one.debit_minor - one.credit_minor for one in done.lines] == [-115_00, -23_00, 120_00, 18_00]
    assert [one.tax_code for one in done.lines[2:]] == ["VAT15", "VAT15"]
    assert done.journal_date == DAY + timedelta(days=1)
    assert (await till.load("bankline", both[1])).match.line_ids == both


async def test_what_cannot_be_booked_is_refused_and_nothing_is_written(till: Till) -> None:
    one, out = await till.line(-100_00), await till.line(40_00)
    cash = await till.line(-100_00, code="1000")
    of = till.account
    part = Against(account_id=of("5900"), amount_minor=99_00)
    for code in (chart.RECEIVABLE, chart.PAYABLE):
        for post in (True, False):
            told = await till.refuses(AccountControlled, till.book(one, code=code, post=post))
            assert told.code == "account-controlled"
    await till.refuses(JournalTooShort, till.book(one, against=()))
    for post in (True, False):
        await till.refuses(JournalUnbalanced, till.book(one, against=(part,), post=post))
        await till.refuses(BankMatchUntied, till.book(one, one, post=post))
        await till.refuses(BankMatchUntied, till.book(one, code="1010", post=post))
        await till.refuses(BankMatchUntied, till.book(one, cash, post=post))
    await till.refuses(JournalLineOneSided, till.book(one, await till.line(100_00)))
    await till.refuses(BankMatchUntied, till.book())
    await till.refuses(NotFound, till.book(key()))
    await till.refuses(TextMalformed, till.book(one, description="x"))
    await till.refuses(DateMalformed, till.book(one, day=DAY - timedelta(days=1)))
    await till.refuses(
        TaxCodeUnknown, till.book(one, against=(Against(account_id=of("5900"), tax_code="NO"),))
    )
    await till.books.closing.close_period(till.caller, key(), "FY2026-2027-P05", to="CLOSED")
    await till.refuses(PeriodClosed, till.book(one))
    assert (await till.book(one, day=date(2026, 12, 1))).status == "POSTED"
    await till.refuses(BankLineMatched, till.book(one, day=date(2026, 12, 1)))
    await till.refuses(BankLineMatched, till.book(one, day=date(2026, 12, 1), post=False))
    assert (await till.load("bankline", out)).match is None


async def test_of_two_who_book_one_line_at_once_the_first_does(till: Till) -> None:
    one = await till.line(-100_00)
    done = await asyncio.gather(till.book(one), till.book(one, code="5000"), return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["BankLineMatched", "Journal"]
    assert till.types()["journal.posted/1"] == 1


async def test_the_same_request_again_books_nothing_more(till: Till) -> None:
    one, name = await till.line(-100_00), key()
    asked = Booking(line_ids=(one,), against=(Against(account_id=till.account("5900")),))
    first = await till.books.banking.book(till.caller, name, asked, post=True)
    before = till.store.tables.image()
    assert await till.books.banking.book(till.caller, name, asked, post=True) == first
    assert till.store.tables.image() == before


# Who may


async def ruled(till: Till, **rule: Any) -> tuple[Caller, Caller, Caller]:
    await till.books.governing.set_rule(
        till.caller, key(), Rule(valid_from=NOON.date(), **rule), reason="the board decided so"
    )
    return till.caller, replace(till.caller, user_id="salma"), replace(till.caller, user_id="karim")


async def test_under_four_eyes_one_drafts_and_another_posts_and_only_that_matches(till: Till) -> None:
    maker, checker, _ = await ruled(till)
    one = await till.line(-100_00)
    await till.refuses(MakerIsChecker, till.book(one))
    draft = await till.book(one, post=False)
    assert (draft.status, draft.bank_line_ids) == ("DRAFT", (one,))
    assert (await till.load("bankline", one)).match is None
    await till.refuses(MakerIsChecker, till.books.post_journal(maker, key(), draft.id))
    await till.books.post_journal(checker, key(), draft.id)
    assert (await till.load("bankline", one)).match.journal_ids == (draft.id,)


async def test_where_it_takes_several_people_the_last_posts_and_matches(till: Till) -> None:
    first, second, third = await ruled(till, four_eyes=False, tiers=(Tier(above_minor=50_00, approvers=2),))
    small, large = await till.line(-50_00), await till.line(-50_01)
    assert (await till.book(small)).status == "POSTED"
    waiting = await till.book(large)
    assert (waiting.status, (await till.load("bankline", large)).match) == ("DRAFT", None)
    taken = await till.entry(50_01, "5900", "1010", post=False)
    await till.books.post_journal(first, key(), taken.id)
    await till.books.post_journal(third, key(), taken.id)
    await till.match((large,), taken.id)
    before = till.store.tables.image()
    with pytest.raises(BankLineMatched):  # nobody is asked to agree to what cannot be
        await till.books.post_journal(second, key(), waiting.id)
    assert till.store.tables.image() == before
    await till.books.banking.unmatch(first, key(), large, reason=WHY)
    assert (await till.books.post_journal(second, key(), waiting.id)).status == "POSTED"
    assert (await till.load("bankline", large)).match.journal_ids == (waiting.id,)


async def test_a_draft_that_no_longer_ties_with_its_lines_is_not_posted(till: Till) -> None:
    draft = await till.book(await till.line(-100_00), post=False)
    bank, fee = draft.lines
    lines = (
        msgspec.structs.replace(bank, credit_minor=99_00),
        msgspec.structs.replace(fee, debit_minor=99_00),
    )
    await till.books.change_journal(till.caller, key(), draft.id, journal.Update(lines=lines))
    await till.refuses(BankMatchUntied, till.books.post_journal(till.caller, key(), draft.id))


# Undone


async def test_a_booking_is_undone_by_unmatching_and_then_reversing_and_the_line_can_be_booked_again(
    till: Till,
) -> None:
    one = await till.line(-100_00)
    done = await till.book(one)
    told = await till.refuses(JournalMatched, till.books.reverse_journal(till.caller, key(), done.id, DAY))
    assert told.code == "journal-matched"
    await till.books.banking.unmatch(till.caller, key(), one, reason=WHY)
    assert (await till.load("journal", done.id)).status == "POSTED"
    await till.books.reverse_journal(till.caller, key(), done.id, DAY)
    again = await till.book(one, code="5000")
    assert (await till.load("bankline", one)).match.journal_ids == (again.id,)
    assert (await till.load("bankline", one)).version == 4


async def test_a_mirror_is_no_booking_of_the_lines(till: Till) -> None:
    one = await till.line(-100_00)
    done = await till.book(one)
    await till.books.banking.unmatch(till.caller, key(), one, reason=WHY)
    mirror = await till.books.reverse_journal(till.caller, key(), done.id, DAY)
    assert (mirror.bank_line_ids, (await till.load("bankline", one)).match) == ((), None)


# Matched with entries that were there


async def test_money_between_two_own_accounts_is_booked_from_one_and_matched_on_both(till: Till) -> None:
    out, come = await till.line(-500_00), await till.line(500_00, code="1020")
    other = await till.line(500_00, code="1020")
    moved = await till.book(out, code="1020")
    await till.match((come,), moved.id)
    await till.refuses(JournalMatched, till.match((other,), moved.id))
    await till.books.banking.unmatch(till.caller, key(), out, reason=WHY)
    await till.refuses(JournalMatched, till.books.reverse_journal(till.caller, key(), moved.id, DAY))
    await till.books.banking.unmatch(till.caller, key(), come, reason=WHY)
    await till.match((other,), moved.id)
    await till.books.banking.unmatch(till.caller, key(), other, reason=WHY)
    assert (await till.books.reverse_journal(till.caller, key(), moved.id, DAY)).status == "POSTED"


async def paid(till: Till, minor: int) -> payment.Payment:
    command = payment.Create(
        payment_id="", customer_id=key(), amount=Money(minor, "BDT"), payment_date=DAY,
        details=payment.Details(method="BANK_TRANSFER"),
    )  # fmt: skip
    made = await till.books.create_payment(till.caller, key(), command)
    return await till.books.complete_payment(till.caller, key(), made.id, transaction_reference="TRX-1")


async def test_lines_are_matched_with_payments_and_entries_together_where_they_tie(till: Till) -> None:
    both = await till.line(70_00), await till.line(35_00)
    money, entry = await paid(till, 100_00), await till.entry(5_00, "1010", "4000")
    await till.refuses(BankMatchUntied, till.match(both, paid=(money.id,)))
    await till.refuses(BankMatchUntied, till.match(both, entry.id))
    await till.refuses(BankMatchUntied, till.match(both, entry.id, entry.id, paid=(money.id,)))
    apart = both[0], await till.line(30_00, code="1020")
    await till.refuses(BankMatchUntied, till.match(apart, paid=(money.id,)))
    await till.match(both, entry.id, paid=(money.id,))
    assert (await till.load("payment", money.id)).status == "RECONCILED"
    await till.books.banking.unmatch(till.caller, key(), both[1], reason=WHY)
    assert (await till.load("payment", money.id)).status == "COMPLETED"
    assert [(await till.load("bankline", one)).match for one in both] == [None, None]


async def test_only_a_posted_entry_that_no_document_made_and_that_is_on_the_account_is_matched(
    till: Till,
) -> None:
    one = await till.line(100_00)
    draft = await till.entry(100_00, "1010", "4000", post=False)
    await till.refuses(JournalNotPosted, till.match((one,), draft.id))
    gone = await till.entry(100_00, "1010", "4000")
    await till.books.reverse_journal(till.caller, key(), gone.id, DAY)
    await till.refuses(JournalNotPosted, till.match((one,), gone.id))
    money = await paid(till, 100_00)
    await till.refuses(JournalOfDocument, till.match((one,), str(money.journal_id)))
    elsewhere = await till.entry(100_00, "1020", "4000")
    await till.refuses(BankMatchUntied, till.match((one,), elsewhere.id))
    await till.refuses(BankMatchUntied, till.match((one,), elsewhere.id, paid=(money.id,)))
    await till.refuses(NotFound, till.match((one,), key()))


async def test_one_entry_is_matched_once_by_whoever_is_first_and_not_reversed_meanwhile(till: Till) -> None:
    lines = await till.line(100_00), await till.line(100_00)
    entry = await till.entry(100_00, "1010", "4000")
    done = await asyncio.gather(*(till.match((one,), entry.id) for one in lines), return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["Bankline", "JournalMatched"]
    other = await till.entry(7_00, "1010", "4000")
    seven = await till.line(7_00)
    done = await asyncio.gather(
        till.match((seven,), other.id),
        till.books.reverse_journal(till.caller, key(), other.id, DAY),
        return_exceptions=True,
    )
    reversed_ = (await till.load("journal", other.id)).status == "REVERSED"
    matched = (await till.load("bankline", seven)).match is not None
    assert (reversed_, matched) in {(True, False), (False, True)}
    assert sum(isinstance(one, Refused) for one in done) == 1


# Beside a release that does not know it


class Matched(msgspec.Struct, frozen=True, kw_only=True, tag="bankline.matched/1"):
    """The event as releases before this one read it."""

    match_id: str
    line_ids: tuple[str, ...]
    payment_ids: tuple[str, ...]


async def test_a_release_that_knows_no_bookings_reads_the_line_as_matched_and_undoes_that(till: Till) -> None:
    one = await till.line(-100_00)
    await till.book(one)
    [row] = [each for each in till.store.tables.rows if each.type == "bankline.matched/1"]
    old = msgspec.json.decode(row.data, type=Matched)
    assert (old.line_ids, old.payment_ids) == ((one,), ())
    theirs = bankline.decide(
        bankline.evolve(
            told(-100_00), bankline.Matched(match_id=old.match_id, line_ids=(one,), payment_ids=())
        ),
        bankline.Unmatch(reason=WHY),
    )
    assert theirs == [bankline.Unmatched(match_id=old.match_id, reason=WHY)]


def test_a_retry_of_an_older_releases_request_has_its_digest() -> None:
    """The digest of a key is over all fields of the command: none may be added to this one."""
    assert "bank_line_ids" not in {one.name for one in msgspec.structs.fields(journal.Create)}


# On a real ledger


ORIGIN = """query ($id: ID!) { journal(id: $id) { bankLineIds origin { rule documentKind makers approvers
    bankLines { reference journalIds paymentIds isMatched } } } }"""
MATCH = """mutation ($lines: [ID!]!, $entries: [ID!], $key: ID!) {
    matchBankLines(lineIds: $lines, journalIds: $entries, idempotencyKey: $key) {
    ... on BankLine { isMatched journalIds } ... on Refusal { code } } }"""
BOOK = """mutation ($input: BookBankLinesInput!, $key: ID!) { bookBankLines(input: $input, idempotencyKey: $key) {
    ... on Journal { status journalType bankLineIds totalDebit { amount } lines { accountId debit { amount } } }
    ... on Refusal { code } } }"""
RECONCILED = """query ($id: ID!) { bankReconciliation(accountId: $id, asOf: "2026-11-30") { bookBalance { amount }
    unmatchedLines { reference } unmatchedLinesTotal { amount } expectedBalance { amount } } }"""


@pytest.mark.integration
async def test_an_entry_says_which_lines_it_was_booked_from_and_books_and_bank_agree(desk: Desk) -> None:
    reference = await desk.bank_line(-100_00, "FEE-1")
    one = bankline.stream(desk.ledger.tenant, desk.account("1010"), reference)
    asked = Booking(line_ids=(one,), against=(Against(account_id=desk.account("5900")),))
    before = await desk.asked(RECONCILED, id=desk.account("1010"))
    assert (before["bookBalance"]["amount"], before["expectedBalance"]["amount"]) == ("0.00", "-100.00")
    draft = await desk.books.banking.book(desk.caller, key(), asked, post=False)
    karim = replace(desk.caller, user_id="karim")
    await desk.books.post_journal(karim, key(), draft.id)
    after = await desk.asked(RECONCILED, id=desk.account("1010"))
    assert (after["bookBalance"]["amount"], after["expectedBalance"]["amount"]) == ("-100.00", "-100.00")
    assert (after["unmatchedLines"], after["unmatchedLinesTotal"]["amount"]) == ([], "0.00")
    shown = await desk.asked(ORIGIN, id=draft.id)
    line = {"reference": "FEE-1", "journalIds": [draft.id], "paymentIds": [], "isMatched": True}
    assert shown["bankLineIds"] == [one]
    assert shown["origin"] == {
        "rule": "BANK_LINES",
        "documentKind": None,
        "makers": ["rahim"],
        "approvers": ["karim"],
        "bankLines": [line],
    }
    await desk.books.banking.unmatch(desk.caller, key(), one, reason=WHY)
    entry = await desk.books.create_journal(
        desk.caller, key(), msgspec.structs.replace(desk.sale(), lines=draft.lines), post=True
    )
    matched = await desk.asked(MATCH, lines=[one], entries=[entry.id], key=key())
    assert matched == {"isMatched": True, "journalIds": [entry.id]}
    assert (await desk.asked(ORIGIN, id=draft.id))["origin"]["bankLines"] == []
    found = (await desk.asked(ORIGIN, id=entry.id))["origin"]
    assert (found["rule"], [each["reference"] for each in found["bankLines"]]) == ("BY_HAND", ["FEE-1"])


@pytest.mark.integration
async def test_booking_takes_the_permissions_to_reconcile_to_draft_and_to_post(desk: Desk) -> None:
    one = bankline.stream(desk.ledger.tenant, desk.account("1010"), await desk.bank_line(-100_00))
    everything = frozenset(NEEDED.values())
    against = [{"accountId": desk.account("5900")}, {"accountId": desk.account("5000"), "amount": "30.00"}]
    given_ = {"lineIds": [one], "against": against}
    for missing in ("payment:reconcile", "journal:create", "journal:post"):
        body = await (await Reader.of(desk, everything - {missing})).body(BOOK, input=given_, key=key())
        assert [error["extensions"]["code"] for error in body["errors"]] == ["permission-missing"], missing
    assert "journal.created" not in await desk.types()
    reader = await Reader.of(desk, everything - {"journal:post"})
    draft = (await reader.ask(BOOK, input=given_ | {"autoPost": False}, key=key()))["bookBankLines"]
    assert (draft["status"], draft["journalType"], draft["bankLineIds"]) == ("DRAFT", "CASH_PAYMENT", [one])
    made = (await (await Reader.of(desk)).ask(BOOK, input=given_, key=key()))["bookBankLines"]
    assert (made["status"], made["totalDebit"]["amount"]) == ("POSTED", "100.00")
    assert [line["debit"]["amount"] for line in made["lines"]] == ["0.00", "70.00", "30.00"]
