"""Journal entries: two sides that are equal, posted once, never changed, taken back once."""

from collections import Counter
from datetime import UTC, date, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finance import journal
from finance.journal import AddLine, Create, Journal, Line, Post, Reverse, Update, decide, evolve, mirror
from finance.money import LARGEST_MINOR
from finance.refusal import (
    AmountMalformed,
    AmountNotPositive,
    JournalLineOneSided,
    JournalNotDraft,
    JournalNotPosted,
    JournalOfDocument,
    JournalReversedAlready,
    JournalTooShort,
    JournalUnbalanced,
    Refused,
    TextMalformed,
)

DAY = date(2026, 11, 23)
POST = Post(number="GJ-2026-11-000001", posted_at=datetime(2026, 11, 23, 8, tzinfo=UTC), posted_by="rahim")


def debit(minor: int, account_id: str = "cash") -> Line:
    return Line(account_id=account_id, debit_minor=minor)


def credit(minor: int, account_id: str = "sales") -> Line:
    return Line(account_id=account_id, credit_minor=minor)


def create(*lines: Line, document_id: str | None = None) -> Create:
    return Create(
        journal_id="j",
        journal_date=DAY,
        journal_type="GENERAL",
        description="A sale",
        currency="BDT",
        lines=lines,
        document_id=document_id,
    )


def after(state: Journal | None, *commands: journal.Command) -> Journal:
    for command in commands:
        for event in decide(state, command):
            state = evolve(state, event)
    assert state is not None
    return state


def posted(document_id: str | None = None) -> Journal:
    return after(None, create(debit(5), credit(5), document_id=document_id), POST)


sides = st.builds(
    lambda account, minor, is_debit: debit(minor, account) if is_debit else credit(minor, account),
    st.sampled_from(["cash", "sales", "vat", "stock"]),
    st.integers(1, 50),
    st.booleans(),
)
balanced = st.lists(
    st.tuples(st.integers(1, LARGEST_MINOR // 20), sides, sides), min_size=1, max_size=10
).map(
    lambda pairs: tuple(
        line
        for minor, one, other in pairs
        for line in (debit(minor, one.account_id), credit(minor, other.account_id))
    )
)


@given(st.lists(sides, max_size=5))
def test_an_entry_is_posted_only_when_it_balances(lines: list[Line]) -> None:
    draft = after(None, create(*lines))
    difference = sum(line.debit_minor - line.credit_minor for line in lines)
    try:
        entry = after(draft, POST)
    except JournalTooShort:
        assert len(lines) < 2
    except JournalUnbalanced:
        assert difference != 0
    else:
        assert difference == 0
        assert entry.debit_minor == entry.credit_minor > 0


@given(balanced)
def test_a_mirror_cancels_its_entry_to_zero(lines: tuple[Line, ...]) -> None:
    entry = after(None, create(*lines), POST)
    back = after(None, mirror(entry, journal_id="k", on=DAY), POST)
    holding: Counter[str] = Counter()
    for line in (*entry.lines, *back.lines):
        holding[line.account_id] += line.debit_minor - line.credit_minor
    assert set(holding.values()) == {0}
    assert (back.original_id, back.journal_type) == ("j", "REVERSING")


def test_an_unbalanced_entry_is_refused_and_stays_a_draft() -> None:
    draft = after(None, create(debit(5), credit(4)))
    with pytest.raises(JournalUnbalanced, match="debits 5, credits 4") as told:
        decide(draft, POST)
    assert told.value.code == "journal-unbalanced"
    assert (draft.status, draft.version) == ("DRAFT", 1)


@pytest.mark.parametrize("lines", [(), (debit(5),)])
def test_an_entry_of_fewer_than_two_lines_is_not_posted(lines: tuple[Line, ...]) -> None:
    with pytest.raises(JournalTooShort) as told:
        decide(after(None, create(*lines)), POST)
    assert told.value.code == "journal-too-short"


@pytest.mark.parametrize(("of_debit", "of_credit"), [(0, 0), (1, 1), (-1, 0), (0, -1), (-1, 1), (5, -5)])
def test_a_line_has_one_side_and_is_not_negative(of_debit: int, of_credit: int) -> None:
    line = Line(account_id="cash", debit_minor=of_debit, credit_minor=of_credit)
    draft = after(None, create(debit(5), credit(5)))
    asked: list[tuple[Journal | None, journal.Command]] = [
        (None, create(line)),
        (draft, AddLine(line=line)),
        (draft, Update(lines=(line,))),
    ]
    negative = min(of_debit, of_credit) < 0
    for state, command in asked:
        with pytest.raises(AmountNotPositive if negative else JournalLineOneSided) as told:
            decide(state, command)
        assert told.value.code == ("amount-not-positive" if negative else "journal-line-one-sided")


@pytest.mark.parametrize(
    ("of_debit", "worth"), [(0, (5, 5)), (5, (5, 5)), (5, (0, 5)), (5, (-5, 0)), (0, (-5, 0))]
)
def test_a_line_has_the_same_side_in_the_currency_of_the_books(of_debit: int, worth: tuple[int, int]) -> None:
    line = Line(
        account_id="cash", debit_minor=of_debit, base_debit_minor=worth[0], base_credit_minor=worth[1]
    )
    expected = AmountNotPositive if min(worth) < 0 else JournalLineOneSided
    with pytest.raises(expected):
        decide(None, create(line))
    lines = (line, credit(5) if of_debit else line)
    draft = msgspec.structs.replace(after(None, create(debit(5), credit(5))), lines=lines)
    with pytest.raises(expected):
        decide(draft, POST)


def test_an_entry_too_large_for_the_books_is_refused() -> None:
    lines = [line for _ in range(2) for line in (debit(LARGEST_MINOR), credit(LARGEST_MINOR))]
    with pytest.raises(AmountMalformed):
        after(None, create(*lines), POST)


@pytest.mark.parametrize("description", ["", "ab", " ab ", "x" * 501])
def test_an_entry_says_what_it_is_for(description: str) -> None:
    with pytest.raises(TextMalformed, match="description"):
        decide(None, msgspec.structs.replace(create(), description=description))


def test_a_draft_can_be_changed_and_what_is_not_given_stays() -> None:
    draft = after(None, create(debit(5)), AddLine(line=credit(7)), Update(reference="R-1"))
    assert (draft.lines, draft.reference, draft.journal_date) == ((debit(5), credit(7)), "R-1", DAY)
    changed = after(draft, Update(journal_date=date(2026, 12, 1), description="Another", lines=(debit(1),)))
    assert (changed.lines, changed.description, changed.reference) == ((debit(1),), "Another", "R-1")
    assert (changed.journal_date, changed.version) == (date(2026, 12, 1), 4)


def test_a_posted_entry_never_changes() -> None:
    for command in (AddLine(line=debit(1)), Update(description="Another"), POST):
        with pytest.raises(JournalNotDraft) as told:
            decide(posted(), command)
        assert told.value.code == "journal-not-draft"


def test_posting_says_by_whom_and_when() -> None:
    entry = posted()
    assert (entry.status, entry.number, entry.posted_by) == ("POSTED", POST.number, "rahim")
    assert entry.posted_at == POST.posted_at


def test_a_draft_is_not_reversed() -> None:
    with pytest.raises(JournalNotPosted) as told:
        decide(after(None, create(debit(5), credit(5))), Reverse(by_journal_id="k"))
    assert told.value.code == "journal-not-posted"


def test_an_entry_is_reversed_once() -> None:
    reversed_entry = after(posted(), Reverse(by_journal_id="k"))
    assert (reversed_entry.status, reversed_entry.reversed_by_id) == ("REVERSED", "k")
    with pytest.raises(JournalReversedAlready) as told:
        decide(reversed_entry, Reverse(by_journal_id="l"))
    assert told.value.code == "journal-reversed-already"


@pytest.mark.parametrize(("owner", "asking"), [("invoice", None), ("invoice", "payment"), (None, "invoice")])
def test_the_entry_of_a_document_is_reversed_by_this_document_only(
    owner: str | None, asking: str | None
) -> None:
    with pytest.raises(JournalOfDocument) as told:
        decide(posted(owner), Reverse(by_journal_id="k", document_id=asking))
    assert told.value.code == "journal-of-document"
    assert after(posted(owner), Reverse(by_journal_id="k", document_id=owner)).status == "REVERSED"


commands = st.one_of(
    st.builds(AddLine, line=sides),
    st.builds(Update, description=st.none() | st.text(max_size=5), lines=st.none() | balanced),
    st.just(POST),
    st.builds(Reverse, by_journal_id=st.just("k"), document_id=st.none() | st.just("d")),
)


@given(st.lists(sides, max_size=3), st.lists(commands, max_size=8))
def test_what_is_decided_can_always_be_folded_and_a_posted_entry_keeps_its_lines(
    lines: list[Line], asked: list[journal.Command]
) -> None:
    state, kept = after(None, create(*lines)), None
    for command in asked:
        before = state.version
        try:
            events = decide(state, command)
        except Refused:
            continue
        for event in events:
            state = evolve(state, event)
        assert state.version == before + len(events)
        if state.status != "DRAFT":
            kept = kept or state.lines
            assert state.lines == kept
            assert state.debit_minor == state.credit_minor


@given(balanced, st.integers(1, 50))
def test_one_line_more_on_one_side_never_passes(lines: tuple[Line, ...], minor: int) -> None:
    with pytest.raises(JournalUnbalanced):
        after(None, create(*lines, debit(minor)), POST)
