"""The chart of accounts: what an account may be called, where it may stand, and when it may go."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finance import account, chart
from finance.account import Account, Create, Deactivate, Update, decide, evolve
from finance.refusal import (
    AccountCodeMalformed,
    AccountHasChildren,
    AccountInactive,
    AccountNotEmpty,
    AccountParentImpossible,
    Refused,
    TextMalformed,
)

TENANT = "0198c5a0-0000-7000-8000-000000000001"


def an_account(account_id: str = "a", code: str = "1100", **changes: object) -> Account:
    given = {"name": "Cash", "account_type": "ASSET", "currency": "BDT"} | changes
    return Account(id=account_id, code=code, **given)  # type: ignore[arg-type]


def create(code: str = "1110", account_type: str = "ASSET", **changes: object) -> Create:
    given = {"account_id": "b", "name": "Petty cash", "currency": "BDT"} | changes
    return Create(code=code, account_type=account_type, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "account_type"),
    [
        ("1000", "ASSET"),
        ("2000-01", "LIABILITY"),
        ("3000-01-02", "EQUITY"),
        ("4000-01-02-03", "REVENUE"),
        ("5999-99-99-99-99", "EXPENSE"),
    ],
)
def test_the_first_digit_of_a_code_tells_the_type(code: str, account_type: str) -> None:
    [created] = decide(None, create(code, account_type))
    assert evolve(None, created) == Account(
        id="b", code=code, name="Petty cash", account_type=account_type, currency="BDT"
    )


@pytest.mark.parametrize(
    ("code", "account_type"),
    [
        ("1000", "LIABILITY"),
        ("6000", "EXPENSE"),
        ("0000", "ASSET"),
        ("100", "ASSET"),
        ("10000", "ASSET"),
        ("1000-1", "ASSET"),
        ("1000-01-01-01-01-01", "ASSET"),
        ("1000\n", "ASSET"),
        ("1১00", "ASSET"),
        ("", "ASSET"),
    ],
)
def test_a_code_that_does_not_fit_is_refused(code: str, account_type: str) -> None:
    with pytest.raises(AccountCodeMalformed) as told:
        decide(None, create(code, account_type))
    assert told.value.code == "account-code-malformed"


@pytest.mark.parametrize("name", ["", "ab", "  ab  ", "x" * 256])
def test_a_name_too_short_or_too_long_is_refused(name: str) -> None:
    with pytest.raises(TextMalformed, match="account name: expected 3 to 255 characters") as told:
        decide(None, create(name=name))
    assert told.value.code == "text-malformed"


def test_a_name_is_kept_without_blanks_around_it() -> None:
    [created] = decide(None, create(name="  Petty cash "))
    assert evolve(None, created).name == "Petty cash"


@pytest.mark.parametrize("changes", [{"account_type": "EXPENSE"}, {"currency": "EUR"}])
def test_a_parent_of_another_type_or_currency_is_refused(changes: dict[str, object]) -> None:
    parent = an_account(**changes)
    with pytest.raises(AccountParentImpossible) as told:
        decide(None, create(parent=parent))
    assert told.value.code == "account-parent-impossible"
    with pytest.raises(AccountParentImpossible):
        decide(an_account("b"), Update(ancestors=(parent,)))


def test_nothing_is_put_below_an_inactive_account() -> None:
    parent = an_account(active=False)
    with pytest.raises(AccountInactive):
        decide(None, create(parent=parent))
    with pytest.raises(AccountInactive):
        decide(an_account("b"), Update(ancestors=(parent,)))


def test_an_account_is_never_below_itself() -> None:
    top = an_account("top")
    middle = an_account("middle", parent_id="top")
    with pytest.raises(AccountParentImpossible):
        decide(top, Update(ancestors=(top,)))
    with pytest.raises(AccountParentImpossible, match="already"):
        decide(top, Update(ancestors=(middle, top)))


def test_moving_and_renaming_are_two_events() -> None:
    before = an_account("b")
    events = decide(before, Update(name="Bank", ancestors=(an_account("a"),)))
    assert events == [account.Renamed(name="Bank"), account.Moved(parent_id="a")]
    after = evolve(evolve(before, events[0]), events[1])
    assert (after.name, after.parent_id, after.version) == ("Bank", "a", 3)


def test_what_changes_nothing_is_no_event() -> None:
    before = an_account("b", parent_id="a")
    assert decide(before, Update(name=" Cash ", ancestors=(an_account("a"),))) == []
    assert decide(before, Update()) == []


def test_an_account_that_holds_something_stays() -> None:
    with pytest.raises(AccountNotEmpty) as told:
        decide(an_account(), Deactivate(reason="not needed", holds_minor=-1, children=0))
    assert told.value.code == "account-not-empty"


def test_an_account_with_active_accounts_below_it_stays() -> None:
    with pytest.raises(AccountHasChildren) as told:
        decide(an_account(), Deactivate(reason="not needed", holds_minor=0, children=1))
    assert told.value.code == "account-has-children"


def test_an_account_goes_for_a_reason() -> None:
    with pytest.raises(TextMalformed, match="reason"):
        decide(an_account(), Deactivate(reason="  ", holds_minor=0, children=0))


def test_an_inactive_account_is_not_changed_nor_deactivated_again() -> None:
    [gone] = decide(an_account(), Deactivate(reason="not needed", holds_minor=0, children=0))
    inactive = evolve(an_account(), gone)
    assert not inactive.active
    for command in (Update(name="Bank"), Deactivate(reason="not needed", holds_minor=0, children=0)):
        with pytest.raises(AccountInactive) as told:
            decide(inactive, command)
        assert told.value.code == "account-inactive"


ancestors = st.lists(
    st.builds(an_account, st.sampled_from("abcd"), active=st.booleans()), max_size=3, unique_by=lambda a: a.id
).map(tuple)
commands = st.one_of(
    st.builds(Update, name=st.none() | st.text(max_size=6), ancestors=ancestors),
    st.builds(
        Deactivate, reason=st.text(max_size=6), holds_minor=st.integers(-1, 1), children=st.integers(0, 1)
    ),
)


@given(st.lists(commands, max_size=8))
def test_what_is_decided_can_always_be_folded_and_versions_count_it(asked: list[account.Command]) -> None:
    [created] = decide(None, create(account_id="b"))
    state, folded = evolve(None, created), 1
    for command in asked:
        try:
            events = decide(state, command)
        except Refused:
            continue
        for event in events:
            state, folded = evolve(state, event), folded + 1
    assert state.version == folded
    assert state.parent_id != state.id
    assert (state.code, state.account_type, state.currency) == ("1110", "ASSET", "BDT")


def test_the_standard_chart_is_accepted_and_its_ids_follow_from_the_tenant() -> None:
    opened = [evolve(None, event) for command in chart.opening(TENANT) for event in decide(None, command)]
    assert len({one.code for one in opened}) == len({one.id for one in opened}) == len(chart.STANDARD)
    assert all(one.id == chart.account_id(TENANT, one.code) for one in opened)
    other = str(UUID(int=UUID(TENANT).int + 1))
    assert chart.account_id(other, chart.CASH) != chart.account_id(TENANT, chart.CASH)
