"""Resolvers of templates: journal entries that come again and again."""

from datetime import date
from typing import Any

from finance import template
from finance.graphql import shape
from finance.graphql.context import Context
from finance.graphql.governing import mutation
from finance.graphql.reading import Info, one, page, query
from finance.graphql.writing import Given, command
from finance.handle import Books
from finance.money import Money
from finance.ports import Caller

__all__ = ["mutation"]


@query.field("journalTemplate")
async def journal_template(_: object, info: Info, *, id: str) -> Any:
    found = await one(info, "template", id)
    return shape.template(found, info.context.today) if found else None


@query.field("journalTemplates")
async def journal_templates(
    _: object, info: Info, *, status: str | None = None, limit: int, offset: int
) -> Any:
    found = await page(info, "template", limit=limit, offset=offset, status=status)
    return [shape.template(state, info.context.today) for state in found]


@query.field("dueJournalTemplates")
async def due_journal_templates(_: object, info: Info, *, on: date, limit: int, offset: int) -> Any:
    found = await page(info, "template", limit=limit, offset=offset, order="position", status="ACTIVE")
    shown = [shape.template(state, on) for state in found]
    return [one for one in shown if one["dueOn"]]


def asset_of(given: Given | None, currency: str) -> template.Asset | None:
    if given is None:
        return None
    return template.Asset(
        method=given["method"],
        cost_minor=Money.parse(given["cost"], currency).minor,
        salvage_minor=Money.parse(given["salvage"], currency).minor,
        life_months=given["lifeMonths"],
        expense_account_id=given["expenseAccountId"],
        accumulated_account_id=given["accumulatedAccountId"],
    )


@command("createJournalTemplate")
async def create_journal_template(
    context: Context, books: Books, caller: Caller, *, input: Given, idempotencyKey: str
) -> shape.Shown:
    terms = template.Terms(
        kind=input["kind"],
        name=input["name"],
        currency=input["currency"],
        schedule=template.Schedule(
            frequency=input["frequency"], starts_on=input["startsOn"], ends_on=input.get("endsOn")
        ),
        lines=tuple(
            template.Line(
                account_id=line["accountId"],
                debit=line.get("debit"),
                credit=line.get("credit"),
                description=line.get("description"),
            )
            for line in input["lines"]
        ),
        asset=asset_of(input.get("asset"), input["currency"]),
    )
    made = await books.automating.create(caller, idempotencyKey, terms)
    return shape.template(made, context.today)


@command("approveJournalTemplate")
async def approve_journal_template(
    context: Context, books: Books, caller: Caller, *, id: str, idempotencyKey: str
) -> shape.Shown:
    return shape.template(await books.automating.approve(caller, idempotencyKey, id), context.today)


@command("endJournalTemplate")
async def end_journal_template(
    context: Context, books: Books, caller: Caller, *, id: str, reason: str, idempotencyKey: str
) -> shape.Shown:
    ended = await books.automating.end(caller, idempotencyKey, id, reason=reason)
    return shape.template(ended, context.today)


@command("runJournalTemplate")
async def run_journal_template(
    context: Context, books: Books, caller: Caller, *, id: str, through: date, idempotencyKey: str
) -> shape.Shown:
    return shape.template(await books.automating.run(caller, idempotencyKey, id, through), context.today)
