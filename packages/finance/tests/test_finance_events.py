"""Events as the log keeps them: every one comes back as it went in, and none is guessed at."""

import types
import typing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finance import invoice, journal
from finance.events import KINDS, TYPES, UnknownEvent, decode, encode, evolve, kind_of
from finance.money import Money

NAMES = {
    *(f"account.{name}/1" for name in ("created", "renamed", "moved", "deactivated")),
    *(f"invoice.{name}/1" for name in ("created", "updated", "approved", "cancelled")),
    *(f"invoice.payment-{name}/1" for name in ("recorded", "withdrawn")),
    *(f"{kind}.{name}/1" for kind in ("invoice", "voucher") for name in ("settled", "settlement-withdrawn")),
    *(f"{kind}.{name}/1" for kind in ("payment", "voucher") for name in ("allocated", "unallocated")),
    *(f"voucher.{name}/1" for name in ("created", "updated", "approved", "cancelled")),
    *(f"voucher.payment-{name}/1" for name in ("recorded", "withdrawn")),
    *(f"payment.{name}/1" for name in ("created", "opened", "updated", "completed", "failed")),
    *(f"payment.{name}/1" for name in ("reconciled", "reversed")),
    *(f"journal.{name}/1" for name in ("created", "line-added", "updated", "posted", "reversed")),
    *(f"period.{name}/1" for name in ("soft-closed", "closed", "locked", "reopened")),
    *("approval.given/1", "authority.set/1", "folder.attached/1"),
    *(f"template.{name}/1" for name in ("created", "approved", "ran", "ended")),
    *("bankfile.imported/1", "payment.unreconciled/1"),
    *(f"bankline.{name}/1" for name in ("imported", "matched", "unmatched")),
    "rate.set/1",
    *(f"tax.{name}/1" for name in ("defined", "rated", "deactivated", "reactivated")),
    *(f"year.{name}/1" for name in ("closed", "reopened", "locked")),
    "policy.tax-pack-adopted/1",
    "policy.identified/1",
    *(f"policy.taxes-{name}/1" for name in ("locked", "unlocked")),
}
"""Names that lie in logs: one may be added, none may go or change."""

PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(),
    int: st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    date: st.dates(),
    datetime: st.datetimes(timezones=st.just(UTC)),
    Decimal: st.decimals(-(10**20), 10**20, places=6),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that events are made of."""
    if kind in PLAIN:
        return PLAIN[kind]
    if isinstance(kind, types.UnionType):
        inner = [part for part in typing.get_args(kind) if part is not type(None)]
        return st.none() | values(inner[0])
    if typing.get_origin(kind) is tuple:
        return st.lists(values(typing.get_args(kind)[0]), max_size=3).map(tuple)
    return st.builds(kind, **{name: values(part) for name, part in typing.get_type_hints(kind).items()})


def terms_of(line: invoice.Line) -> invoice.Terms:
    day = date(2026, 11, 23)
    return invoice.Terms(customer_id="c", invoice_date=day, due_date=day, lines=(line,))


def test_the_names_in_the_log_are_these() -> None:
    assert set(TYPES) == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
@settings(max_examples=25)
@given(data=st.data())
def test_every_event_comes_back_from_the_log_as_it_went_in(name: str, data: st.DataObject) -> None:
    event = data.draw(values(TYPES[name]))
    event_type, encoded = encode(event)
    assert event_type == name
    assert kind_of(name) in KINDS
    assert decode(event_type, encoded) == event


WRITTEN = (Path(__file__).parent / "events.jsonl").read_text().splitlines()
"""Events as releases wrote them, each field with a value. A line may be added, none may go or change."""


def kept(written: Any, again: Any) -> bool:
    """Whether everything that was written is there again; more may be."""
    if isinstance(written, dict):
        return all(name in again and kept(value, again[name]) for name, value in written.items())
    if isinstance(written, list):
        return len(written) == len(again) and all(map(kept, written, again))
    return bool(written == again)


@pytest.mark.parametrize("line", WRITTEN, ids=range(len(WRITTEN)))
def test_what_any_release_wrote_is_read_and_nothing_of_it_is_lost(line: str) -> None:
    written = msgspec.json.decode(line)
    _, again = encode(decode(written["type"], line.encode()))
    assert kept(written, msgspec.json.decode(again))


def test_there_is_a_written_event_of_every_type() -> None:
    assert {msgspec.json.decode(line)["type"] for line in WRITTEN} == NAMES


def test_quantities_are_kept_exactly_and_never_as_floating_point() -> None:
    line = invoice.line(
        description="Rice",
        quantity=Decimal("0.100000"),
        unit_price=Money(100, "BDT"),
        vat_category="REDUCED",
        product_id=None,
    )
    kept = msgspec.json.decode(encode(invoice.Updated(terms=terms_of(line)))[1])["terms"]["lines"][0]
    assert (kept["quantity"], kept["vat_percent"], kept["amount_minor"]) == ("0.100000", "7.5", 10)


@pytest.mark.parametrize("name", ["invoice.approved/2", "invoice.teleported/1", "invoice", ""])
def test_an_event_of_a_type_that_is_not_known_is_refused_and_not_skipped(name: str) -> None:
    with pytest.raises(UnknownEvent, match=f"known event types, found '{name}'"):
        decode(name, b"{}")


def test_a_field_that_a_newer_release_added_is_ignored() -> None:
    kept = b'{"type": "journal.reversed/1", "by_journal_id": "k", "approved_by": "nobody"}'
    assert decode("journal.reversed/1", kept) == journal.Reversed(by_journal_id="k")


def test_a_field_that_an_older_release_did_not_write_has_its_default() -> None:
    kept = b'{"type": "invoice.cancelled/1", "reason": "a mistake"}'
    assert decode("invoice.cancelled/1", kept).reversing_journal_id is None


def test_an_event_under_another_name_is_refused() -> None:
    _, encoded = encode(journal.Reversed(by_journal_id="k"))
    with pytest.raises(msgspec.ValidationError):
        decode("account.renamed/1", encoded)


def test_an_event_goes_to_the_aggregate_of_its_name() -> None:
    created = TYPES["account.created/1"](
        account_id="a", code="1000", name="Cash", account_type="ASSET", currency="BDT"
    )
    renamed = TYPES["account.renamed/1"](name="Till")
    assert evolve(evolve(None, created), renamed).name == "Till"
