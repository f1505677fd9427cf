"""What may be asked of the model about what banks tell, about money that is not there yet, and about papers.

A line is named by its account and the bank's reference: `1010/L7`.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

from finance.ordeal.model import MONEY, Company, Reasons, Who, sized

WAITING = ("PENDING", "PROCESSING")
Row = tuple[str, date, int]
"""The bank's reference, its day, and the amount: positive came in."""


def bring(
    c: Company, _: Who, *, account: str, currency: str, rows: Sequence[Row], cut: bool, kind: str
) -> Reasons:
    """Import a file of these rows; one that is `cut` has lost its end. The same content again does nothing."""
    names = {reference for reference, *_ in rows}
    is_told = kind == "OFX" or all(minor for *_, minor in rows)  # in a table nothing is no amount
    is_whole = rows and len(names) == len(rows) and is_told
    why = set() if is_whole and not cut else {"bank-file-malformed"}
    if account not in c.accounts:
        why.add("not-found")
    content = (account, kind, tuple(rows))
    if content in c.files:
        return why
    c.files[content] = currency
    for reference, day, minor in rows:
        name, line = f"{account}/{reference}", {"currency": currency, "day": day, "minor": minor}
        there = c.lines.setdefault(name, {**line, "account": account, "match": None})
        if any(there[what] != one for what, one in line.items()):
            why.add("bank-line-contradicts")
        c.change(name)
    return why


def match(c: Company, _: Who, *, lines: tuple[str, ...], money: tuple[str, ...]) -> Reasons:
    return _tied(c, lines, money)


def _tied(c: Company, lines: tuple[str, ...], money: tuple[str, ...]) -> Reasons:
    """Say that lines are money: the same together, of one account and currency, and none of it said before."""
    if any(name not in c.lines for name in lines) or any(name not in c.money for name in money):
        return {"not-found"}
    told, paid = [c.lines[name] for name in lines], [c.money[name] for name in money]
    places = {(one["account"], one["currency"]) for one in told}
    places |= {(MONEY.get(one["method"], "1010"), one["currency"]) for one in paid}
    left = sum(one["minor"] for one in told) - sum(one["side"] * one["total"] for one in paid)
    is_once = len({*lines, *money}) == len(lines) + len(money)
    why = set() if told and paid and is_once and len(places) == 1 and not left else {"bank-match-untied"}
    if any(one["match"] for one in told):
        why.add("bank-line-matched")
    if any(one["status"] != "COMPLETED" or one["match"] for one in paid):
        why.add("payment-not-completed")
    c.made += 1
    c.matches[c.made] = (lines, money)
    _note(c, lines, money, c.made)
    return why


def _note(c: Company, lines: tuple[str, ...], money: tuple[str, ...], number: int | None) -> None:
    for kept, names in ((c.lines, lines), (c.money, money)):
        for name in names:
            kept[name] = {**kept[name], "match": number}
            c.change(name)


def reconcile(c: Company, _: Who, *, name: str, line: str, by: str) -> Reasons:
    """Say that one payment is one line, which is told by its id or by the bank's reference."""
    if name not in c.money:
        return {"not-found"}
    if by == "reference":  # of the account that this payment's money is on
        line = f"{MONEY.get(c.money[name]['method'], '1010')}/{line.partition('/')[2]}"
    return _tied(c, (line,), (name,))


def unmatch(c: Company, _: Who, *, line: str, reason: str) -> Reasons:
    """Undo the whole of what a line was matched with."""
    if line not in c.lines:
        return {"not-found"}
    why = set() if sized(reason, 10, 500) else {"text-malformed"}
    number = c.lines[line]["match"]
    if number is None:
        return why | {"bank-line-not-matched"}
    lines, money = c.matches.pop(number)
    _note(c, lines, money, None)
    return why


def amend(
    c: Company, who: Who, *, name: str, minor: int | None, day: date | None, method: str | None
) -> Reasons:
    """Change money that is not there yet; what is None stays."""
    one = c.money.get(name)
    if one is None:
        return {"not-found"}
    why = set() if one["status"] in WAITING else {"payment-not-pending"}
    total, how = one["total"] if minor is None else minor, method or one["method"]
    if total <= 0:
        why.add("amount-not-positive")
    if one["target"] is not None:
        is_same = one["currency"] == c.documents[one["target"]]["currency"]
        asked = min(total, c.open(one["target"])[0]) if one["excess"] and is_same else total
        why |= c.payable(one["target"], one["currency"], asked)
        if (day or one["day"]) < c.documents[one["target"]]["day"]:
            why.add("date-malformed")
    changed: dict[str, Any] = {"total": total, "day": day or one["day"], "method": how}
    status = "PROCESSING" if how == "MOBILE_WALLET" else "PENDING"
    c.money[name] = {**one, **changed, "status": status, "makers": one["makers"] | {who.name}}
    c.change(name)
    return why


def attach(c: Company, _: Who, *, name: str, content: str, size: int, instead: str | None) -> Reasons:
    """Note that a paper belongs to a document, money or an entry; perhaps `instead` of another."""
    if not any(name in kept for kept in (c.documents, c.money, c.entries)):
        return {"not-found"}
    there = c.folders.get(name, ())
    why = set() if size > 0 else {"attachment-malformed"}
    if any(content == one for one, _ in there):
        why.add("attachment-twice")
    standing = {one for one, _ in there} - {gone for _, gone in there}
    if instead is not None and instead not in standing:
        why.add("attachment-unknown")
    c.folders[name] = (*there, (content, instead))
    return why
