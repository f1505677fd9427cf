"""Who may make what binding: four eyes, tiers by amount, reasons; and that attachments are never removed."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finance import approval, folder, journal
from finance.adapters.postgres.opening import open_books
from finance.authority import ANYBODY, SENIOR, Authority, Rule, SetRule, Tier, admit, decide, evolve
from finance.refusal import (
    ApprovalBeyondAuthority,
    ApprovalGivenAlready,
    AttachmentMalformed,
    AttachmentTwice,
    AttachmentUnknown,
    AuthorityMalformed,
    InvoiceNotDraft,
    JournalUnbalanced,
    MakerIsChecker,
    NotFound,
    ReasonMissing,
    TextMalformed,
)

Desk = Any
TODAY = date(2026, 11, 23)
WHY = "the board decided so"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TIERS = (Tier(above_minor=1000_00, senior=True), Tier(above_minor=5000_00, approvers=2))


def key() -> str:
    return str(uuid4())


def after(before: Authority | None, *rules: Rule, today: date = TODAY) -> Authority:
    for rule in rules:
        for event in decide(before, SetRule(rule=rule, reason=WHY, today=today)):
            before = evolve(before, event)
    assert before is not None
    return before


def test_a_rule_counts_from_its_day_until_the_next_ones() -> None:
    later = Rule(valid_from=TODAY + timedelta(days=5), four_eyes=False)
    found = after(None, Rule(valid_from=TODAY), later)
    assert found.on(TODAY - timedelta(days=1)) is None
    assert found.on(TODAY + timedelta(days=4)) == Rule(valid_from=TODAY)
    assert found.on(TODAY + timedelta(days=5)) == later
    assert found.version == 2


def test_nobody_loosens_a_rule_and_uses_that_on_the_same_day() -> None:
    ruled = after(None, Rule(valid_from=TODAY))
    loose = Rule(valid_from=TODAY, four_eyes=False)
    with pytest.raises(AuthorityMalformed) as told:
        decide(ruled, SetRule(rule=loose, reason=WHY, today=TODAY))
    assert told.value.code == "authority-malformed"
    assert decide(
        after(None, Rule(valid_from=TODAY + timedelta(days=1))), SetRule(rule=loose, reason=WHY, today=TODAY)
    )


@pytest.mark.parametrize(
    "rule",
    [
        Rule(valid_from=TODAY - timedelta(days=1)),
        Rule(valid_from=TODAY, tiers=(Tier(above_minor=5), Tier(above_minor=5))),
        Rule(valid_from=TODAY, tiers=(Tier(above_minor=6), Tier(above_minor=5))),
        Rule(valid_from=TODAY, tiers=(Tier(above_minor=-1),)),
        Rule(valid_from=TODAY, tiers=(Tier(approvers=0),)),
        Rule(valid_from=TODAY, tiers=(Tier(approvers=6),)),
        Rule(valid_from=TODAY, tiers=tuple(Tier(above_minor=n) for n in range(11))),
    ],
)
def test_a_rule_that_says_nothing_sensible_is_refused(rule: Rule) -> None:
    with pytest.raises(AuthorityMalformed):
        decide(None, SetRule(rule=rule, reason=WHY, today=TODAY))


def test_a_rule_needs_a_reason() -> None:
    with pytest.raises(TextMalformed):
        decide(None, SetRule(rule=Rule(valid_from=TODAY), reason="because", today=TODAY))


@given(st.lists(st.integers(0, 10**12), unique=True, max_size=10).map(sorted), st.integers(0, 10**13))
def test_the_tier_of_an_amount_is_the_highest_that_it_is_above(edges: list[int], worth: int) -> None:
    rule = Rule(valid_from=TODAY, tiers=tuple(Tier(above_minor=edge, approvers=2) for edge in edges))
    above = [edge for edge in edges if worth > edge]
    assert rule.tier(worth) == (Tier(above_minor=max(above), approvers=2) if above else ANYBODY)


def test_on_the_edge_of_a_tier_it_is_not_reached() -> None:
    rule = Rule(valid_from=TODAY, tiers=TIERS)
    assert rule.tier(1000_00) == ANYBODY
    assert rule.tier(1000_01) == TIERS[0]
    with pytest.raises(ApprovalBeyondAuthority) as told:
        admit(rule, 1000_01, approver="b", makers={"a"}, permissions=set())
    assert told.value.code == "approval-beyond-authority"
    assert admit(rule, 1000_01, approver="b", makers={"a"}, permissions={SENIOR}) == TIERS[0]


def test_a_yes_counts_for_the_document_as_it_was() -> None:
    def give(before: approval.Approval | None, who: str, version: int) -> approval.Approval:
        yes = approval.Given(
            document_kind="invoice", document_id="i", document_version=version, approver=who, given_at=NOON
        )
        [event] = approval.decide(before, approval.Give(yes=yes))
        return approval.evolve(before, event)

    first = give(None, "a", 1)
    with pytest.raises(ApprovalGivenAlready):
        give(first, "a", 1)
    assert give(first, "b", 1).approvers == ("a", "b")
    changed = give(first, "a", 2)
    assert (changed.approvers, changed.version) == (("a",), 2)


# On a real ledger


def other(desk: Desk, name: str = "karim", *permissions: str) -> Any:
    return replace(desk.caller, user_id=name, permissions=frozenset(permissions))


async def ruled(desk: Desk, **changes: Any) -> None:
    await desk.books.governing.set_rule(desk.caller, key(), Rule(valid_from=TODAY, **changes), reason=WHY)


async def contents(desk: Desk) -> list[str]:
    """Every row of the log's tables, as text."""
    tables = ("events", "counters", "claims", "answers")
    async with desk.ledger.connected("finance_projector") as connection:
        rows = [
            f"{row}" for row in await connection.fetch("SELECT * FROM finance_log.events ORDER BY position")
        ]
    for table in tables[1:]:
        query = f"SELECT coalesce(json_agg(t ORDER BY t::text)::text, '') FROM finance_log.{table} t"
        rows.append(await desk.ledger.seen(desk.ledger.tenant, query))
    return rows


@pytest.mark.integration
async def test_whoever_drafted_or_changed_a_document_does_not_make_it_binding(desk: Desk) -> None:
    await ruled(desk)
    books = desk.books
    one, bill = await desk.invoice_drafted(), await desk.voucher_drafted("BILL")
    entry = await books.create_journal(desk.caller, key(), desk.sale(), post=False)
    before = await contents(desk)
    for asked in (
        books.approve_invoice(desk.caller, key(), one.id),
        books.billing.approve(desk.caller, key(), bill.id),
        books.post_journal(desk.caller, key(), entry.id),
        books.create_journal(desk.caller, key(), desk.sale(), post=True),
    ):
        with pytest.raises(MakerIsChecker) as told:
            await asked
        assert told.value.code == "maker-is-checker"
    assert await contents(desk) == before
    karim = other(desk)
    assert (await books.approve_invoice(karim, key(), one.id)).status == "APPROVED"
    assert (await books.billing.approve(karim, key(), bill.id)).status == "APPROVED"
    changed = await books.change_journal(karim, key(), entry.id, journal.Update(description="Another sale"))
    for who in (karim, desk.caller):
        with pytest.raises(MakerIsChecker):
            await books.post_journal(who, key(), changed.id)
    assert (await books.post_journal(other(desk, "salma"), key(), entry.id)).status == "POSTED"


@pytest.mark.integration
async def test_whoever_changed_a_draft_last_is_its_maker_too_and_every_version_is_kept(desk: Desk) -> None:
    await ruled(desk, tiers=(Tier(approvers=2),))
    books, karim = desk.books, other(desk)
    one, bill = await desk.invoice_drafted(), await desk.voucher_drafted("BILL")

    def later(draft: Any) -> Any:
        return msgspec.structs.replace(draft.terms, due_date=date(2026, 12, 24))

    for kind, document, update, approve in (
        ("invoice", one, books.update_invoice, books.approve_invoice),
        ("voucher", bill, books.billing.update, books.billing.approve),
    ):
        assert (await approve(other(desk, "salma"), key(), document.id)).status == "DRAFT"
        changed = await update(karim, key(), document.id, asked="later", change=later)
        assert (changed.version, changed.terms.due_date) == (2, date(2026, 12, 24))
        for maker in (desk.caller, karim):
            with pytest.raises(MakerIsChecker):
                await approve(maker, key(), document.id)
        assert (await approve(other(desk, "salma"), key(), document.id)).status == "DRAFT", (
            "her yes was to another"
        )
        assert (await approve(other(desk, "bea"), key(), document.id)).status == "APPROVED"
        kept = [one.event for one in await desk.log() if one.stream_id == document.id]
        assert [event.terms.due_date for event in kept[:2]] == [TODAY, date(2026, 12, 24)], kind
        with pytest.raises(InvoiceNotDraft):
            await update(karim, key(), document.id, asked="again", change=later)


@pytest.mark.integration
async def test_nobody_is_asked_to_agree_to_what_cannot_be_posted(desk: Desk) -> None:
    await ruled(desk)
    sale = desk.sale()
    uneven = msgspec.structs.replace(sale, lines=(sale.lines[0], sale.lines[0]))
    with pytest.raises(JournalUnbalanced):
        await desk.books.create_journal(desk.caller, key(), uneven, post=True)
    draft = await desk.books.create_journal(desk.caller, key(), uneven, post=False)
    with pytest.raises(JournalUnbalanced):
        await desk.books.post_journal(desk.caller, key(), draft.id)
    with pytest.raises(MakerIsChecker):
        await desk.books.create_journal(desk.caller, key(), sale, post=True)


@pytest.mark.integration
async def test_whoever_recorded_a_payment_does_not_complete_it(desk: Desk) -> None:
    one = await desk.invoice_approved()
    await ruled(desk)
    with pytest.raises(MakerIsChecker):
        await desk.payment_completed(one.id, 115_00)
    async with desk.ledger.connected("finance_projector") as connection:
        made = await connection.fetchval(
            "SELECT stream_id::text FROM finance_log.events WHERE kind = 'payment'"
        )
    done = await desk.books.complete_payment(other(desk), key(), made, transaction_reference="TRX-1")
    assert done.status == "COMPLETED"


@pytest.mark.integration
async def test_large_amounts_take_somebody_senior_and_then_two_people(desk: Desk) -> None:
    await ruled(desk, tiers=TIERS)
    books, senior = desk.books, other(desk, "salma", SENIOR)
    small, large = (
        await desk.invoice_drafted(1000_00, vat="EXEMPT"),
        await desk.invoice_drafted(1000_01, vat="EXEMPT"),
    )
    assert (await books.approve_invoice(other(desk), key(), small.id)).status == "APPROVED"
    with pytest.raises(ApprovalBeyondAuthority):
        await books.approve_invoice(other(desk), key(), large.id)
    assert (await books.approve_invoice(senior, key(), large.id)).status == "APPROVED"
    huge = await desk.invoice_drafted(6000_00)
    first = await books.approve_invoice(other(desk), key(), huge.id)
    assert (first.status, first.number) == ("DRAFT", None)
    asked = "query ($id: ID!) { approvals(documentId: $id) { documentVersion approvers } }"
    assert await desk.asked(asked, id=huge.id) == {"documentVersion": 1, "approvers": ["karim"]}
    with pytest.raises(ApprovalGivenAlready) as told:
        await books.approve_invoice(other(desk), key(), huge.id)
    assert told.value.code == "approval-given-already"
    second = await books.approve_invoice(senior, key(), huge.id)
    assert (second.status, second.number) == ("APPROVED", "INV-2026-11-23-000003")
    entry = await drafted(desk, 2000_00)
    with pytest.raises(ApprovalBeyondAuthority):
        await books.post_journal(other(desk), key(), entry.id)


async def drafted(desk: Desk, minor: int) -> Any:
    return await desk.books.create_journal(desk.caller, key(), desk.sale(minor), post=False)


@pytest.mark.integration
async def test_a_document_that_was_changed_needs_all_its_yeses_again(desk: Desk) -> None:
    await ruled(desk, tiers=(Tier(approvers=2),))
    entry = await drafted(desk, 5)
    books, salma = desk.books, other(desk, "salma")
    await books.post_journal(other(desk), key(), entry.id)
    await books.change_journal(desk.caller, key(), entry.id, journal.Update(description="Another sale"))
    assert (await books.post_journal(salma, key(), entry.id)).status == "DRAFT"
    assert (await books.post_journal(other(desk), key(), entry.id)).status == "POSTED"


@pytest.mark.integration
async def test_what_another_currency_is_worth_decides_its_tier(desk: Desk) -> None:
    await desk.rate_set("100")
    await ruled(desk, four_eyes=False, tiers=TIERS)
    one = await desk.invoice_drafted(10_01, currency="EUR", vat="EXEMPT")
    with pytest.raises(ApprovalBeyondAuthority):
        await desk.books.approve_invoice(desk.caller, key(), one.id)


@pytest.mark.integration
async def test_whoever_reverses_an_entry_says_why(desk: Desk) -> None:
    entry = await desk.books.create_journal(desk.caller, key(), desk.sale(), post=True)
    await ruled(desk)
    with pytest.raises(ReasonMissing) as told:
        await desk.books.reverse_journal(other(desk), key(), entry.id, TODAY)
    assert told.value.code == "reason-missing"
    await desk.books.reverse_journal(other(desk), key(), entry.id, TODAY, reason="booked on the wrong day")
    [kept] = [one.event for one in await desk.log() if isinstance(one.event, journal.Reversed)]
    assert kept.reason == "booked on the wrong day"


@pytest.mark.integration
async def test_new_books_begin_with_four_eyes_and_old_ones_stay_as_they_were(desk: Desk) -> None:
    fresh = str(uuid4())
    url = desk.ledger.url("finance_owner")
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as owner:
        await open_books(owner, {fresh: "New", desk.ledger.tenant: "Padma Traders"})
    theirs = replace(desk.caller, tenant_id=fresh)
    shown = "{ approvalAuthority { version rules { validFrom fourEyes tiers { approvers } } } }"
    assert (await desk.asked(shown))["rules"] == []
    found = await replace(desk, caller=theirs).asked(shown)
    assert found == {"version": 1, "rules": [{"validFrom": "0001-01-01", "fourEyes": True, "tiers": []}]}


def paper(sha256: str = "a" * 64, **changes: Any) -> folder.Attachment:
    given = {"name": "challan.pdf", "size_bytes": 5, "media_type": "application/pdf"}
    return folder.Attachment(sha256=sha256, attached_by="", attached_at=NOON, **(given | changes))


@pytest.mark.parametrize(
    "bad",
    [
        paper("a" * 63),
        paper("A" * 64),
        paper(size_bytes=0),
        paper(size_bytes=10**10 + 1),
        paper(media_type="pdf"),
        paper(media_type="application/pdf; charset=x"),
    ],
)
def test_an_attachment_is_told_whole(bad: folder.Attachment) -> None:
    with pytest.raises(AttachmentMalformed) as told:
        folder.decide(None, folder.Attach(document_kind="invoice", document_id="i", attachment=bad))
    assert told.value.code == "attachment-malformed"


@pytest.mark.integration
async def test_an_attachment_is_superseded_and_never_removed(desk: Desk) -> None:
    one, attach = await desk.invoice_drafted(), desk.books.governing.attach
    await attach(desk.caller, key(), one.id, paper())
    with pytest.raises(AttachmentTwice) as twice:
        await attach(desk.caller, key(), one.id, paper())
    better = paper("b" * 64, supersedes="a" * 64)
    await attach(other(desk), key(), one.id, better)
    for gone in ("a" * 64, "c" * 64):
        with pytest.raises(AttachmentUnknown) as unknown:
            await attach(desk.caller, key(), one.id, paper("d" * 64, supersedes=gone))
    assert (twice.value.code, unknown.value.code) == ("attachment-twice", "attachment-unknown")
    with pytest.raises(NotFound):
        await attach(desk.caller, key(), str(uuid4()), paper())
    asked = (
        "query ($id: ID!) { attachments(documentId: $id) { attachments { sha256 attachedBy isSuperseded } } }"
    )
    shown = await desk.asked(asked, id=one.id)
    assert shown["attachments"] == [
        {"sha256": "a" * 64, "attachedBy": "rahim", "isSuperseded": True},
        {"sha256": "b" * 64, "attachedBy": "karim", "isSuperseded": False},
    ]
