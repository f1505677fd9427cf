"""What may be asked of the model about documents, money, and what pays what. A deed goes on after it has found a reason
to refuse, to find the others; `deed.attempt` forgets what it did then.
"""

from datetime import date
from typing import Any

from finance.ordeal.model import (
    CONTROLS,
    KINDS,
    MONEY,
    ONE,
    PLACES,
    Company,
    Line,
    Reasons,
    Who,
    half_even,
    levy,
    part,
    sized,
    taxed,
)

# Documents


def draft(c: Company, who: Who, *, name: str, kind: str, partner: str, **terms: Any) -> Reasons:
    side, debt, *_ = KINDS[kind]
    why = set()
    if c.partners.get(partner) != side:
        why.add("customer-unknown" if side > 0 else "vendor-unknown")
    more, made = _terms(c, kind, side, terms)
    one = {
        **made,
        "kind": kind,
        "side": side,
        "debt": debt,
        "partner": partner,
        "status": "DRAFT",
        "worth": 0,
        "makers": frozenset({who.name}),
        "entry": None,
    }
    c.documents[name] = one
    c.change(name)
    return why | more | _corrects(c, name, one)


def _terms(c: Company, kind: str, side: int, terms: dict[str, Any]) -> tuple[Reasons, dict[str, Any]]:
    why, lines = taxed(c.taxes, side, terms["day"], terms["lines"], terms["prices"], terms["rounding"])
    if not lines:
        why.add("invoice-without-lines")
    if kind != "INVOICE" and any(line["account"] in CONTROLS for line in lines):
        why.add("account-controlled")
    if terms["due"] < terms["day"]:
        why.add("date-malformed")
    if kind == "BILL" and not sized(terms["reference"], 1, 100):
        why.add("text-malformed")
    if kind not in {"BILL", "INVOICE"} and not sized(terms["reason"], 3, 500):
        why.add("text-malformed")
    return why, {
        **terms,
        "lines": lines,
        "net": sum(line["net"] for line in lines),
        "total": sum(line["net"] + line["tax"] for line in lines),
    }


def _corrects(c: Company, name: str, one: dict[str, Any]) -> Reasons:
    if one["corrects"] is None:
        return set()
    other = c.documents.get(one["corrects"])
    if other is None:
        return {"not-found"}
    same = all(one[what] == other[what] for what in ("side", "partner", "currency"))
    why = set() if same and other["status"] == "APPROVED" and other["debt"] else {"correction-impossible"}
    given = sum(
        each["total"]
        for which, each in c.documents.items()
        if each["corrects"] == one["corrects"]
        and not each["debt"]
        and each["status"] == "APPROVED"
        and which != name
    )
    if not one["debt"] and one["total"] > other["total"]:
        why.add("correction-impossible")
    if not one["debt"] and given + one["total"] > other["total"]:
        why.add("correction-too-large")
    return why


def redraft(c: Company, who: Who, *, name: str, lines: list[dict[str, Any]], day: date) -> Reasons:
    """Of a draft, its lines and its day; partner, currency and what it corrects stay."""
    one = c.documents.get(name)
    if one is None:
        return {"not-found"}
    why, made = _terms(c, one["kind"], one["side"], {**one, "lines": lines, "day": day})
    if one["status"] == "APPROVED":
        why.add("invoice-not-draft")
    if one["status"] == "CANCELLED":
        why.add("invoice-cancelled")
    c.documents[name] = {**one, **made, "makers": one["makers"] | {who.name}}
    c.change(name)
    return why | _corrects(c, name, c.documents[name])


def approve(c: Company, who: Who, *, name: str) -> Reasons:
    one = c.documents.get(name)
    if one is None:
        return {"not-found"}
    day, currency, kind = one["day"], one["currency"], one["kind"]
    why = c.admit(who, day, taxed=True)
    rate = c.rate(currency, day)
    if rate is None:
        why.add("rate-missing")
    if one["status"] != "DRAFT":
        return why | {"invoice-cancelled" if one["status"] == "CANCELLED" else "invoice-not-draft"}
    why |= c.agreed(who, name, one, c.valued(one, one["total"]))
    c.change(name)
    coded = [(code, found) for line in one["lines"] if line["codes"] for code, found, _ in line["taxes"]]
    for code, found in coded:
        more, now = levy(c.taxes, code, day)
        why |= more
        if not more and now != found:
            why.add("tax-rate-changed")
    if one["total"] <= 0:
        why.add("amount-not-positive")
    why |= _corrects(c, name, one)
    if kind == "BILL":
        place = (one["partner"], one["reference"].strip())
        before = c.references.get(place, name)
        if before != name and c.documents[before]["status"] != "CANCELLED":
            why.add("voucher-reference-taken")
        c.references[place] = name
    _, _, series, journal = KINDS[kind]
    c.draw(series, day)
    if kind == "INVOICE" and c.serials and coded:
        c.draw("MUSH", day)
    lines = document_lines(one)
    why |= c.post(who, journal, day, currency, lines, rate=rate or ONE, owner=name)
    posted = c.entries[c.last_entry]["lines"]
    control = PLACES[one["side"]][0]
    worth = abs(sum(w for code, _, w, _ in posted if code == control))
    c.documents[name] = {**one, "status": "APPROVED", "worth": worth, "entry": c.last_entry}
    return why


def document_lines(one: dict[str, Any]) -> list[Line]:
    """What an approved document posts: what is owed, then what was sold by account and taxes, then each tax."""
    side = one["side"]
    control, _, ordinary, vat, duty, advance, *_ = PLACES[side]
    homes = {"VAT": vat, "DUTY": duty, "ADVANCE": advance}
    nets: dict[tuple[str, str], int] = {}
    taxes: dict[tuple[str, str], int] = {}
    for line in one["lines"]:
        net = line["net"]
        for code, (kind, _, _, recoverable), tax in line["taxes"]:
            if line["codes"] and side < 0 and not recoverable:
                net += tax
                continue
            place = (homes.get(kind, vat), code if line["codes"] else "")
            taxes[place] = taxes.get(place, 0) + tax
        sold = (line["account"] or ordinary, "+".join(line["codes"]))
        nets[sold] = nets.get(sold, 0) + net
    sign = side if one["debt"] else -side
    lines: list[Line] = [(control, sign * one["total"], None, False)]
    lines += [
        (code, -sign * minor, None, bool(tag))
        for (code, tag), minor in (*nets.items(), *taxes.items())
        if minor
    ]
    return lines


def cancel(c: Company, who: Who, *, name: str, reason: str, on: date | None) -> Reasons:
    one = c.documents.get(name)
    if one is None:
        return {"not-found"}
    why = {"invoice-cancelled"} if one["status"] == "CANCELLED" else set()
    if not sized(reason, 3, 500):
        why.add("text-malformed")
    if one["status"] != "APPROVED":
        c.documents[name] = {**one, "status": "CANCELLED"}
        c.change(name)
        return why
    if c.open(name)[0] != one["total"]:
        return why | {"invoice-has-payments"}
    if any(each["corrects"] == name and each["status"] == "APPROVED" for each in c.documents.values()):
        why.add("invoice-corrected")
    day = on or one["day"]
    why |= c.agreed(who, name, one, one["worth"], ("cancel", day))
    c.documents[name] = {**one, "status": "CANCELLED"}
    c.change(name)
    return why | c.admit(who, day, taxed=True) | c.turn(who, one["entry"], day, owner=name)


# Money


def pay(
    c: Company,
    who: Who,
    *,
    name: str,
    target: str | None,
    partner: str | None,
    minor: int,
    currency: str,
    day: date,
    method: str,
    excess: bool,
) -> Reasons:
    """Money for a document, or on account of a partner."""
    why = {"amount-not-positive"} if minor <= 0 else set()
    if target is not None:
        if target not in c.documents:
            return {"not-found"}
        one = c.documents[target]
        side, partner = one["side"], one["partner"]
        asked = min(minor, c.open(target)[0]) if excess and currency == one["currency"] else minor
        why |= c.payable(target, currency, asked)
        if day < one["day"]:
            why.add("date-malformed")
    else:
        side = c.partners.get(partner or "", 0)
        if not side:
            why.add("customer-unknown")
    c.money[name] = {
        "side": side,
        "target": target,
        "partner": partner,
        "total": minor,
        "worth": 0,
        "currency": currency,
        "day": day,
        "method": method,
        "excess": excess,
        "status": "PROCESSING" if method == "MOBILE_WALLET" else "PENDING",
        "makers": frozenset({who.name}),
        "entries": (),
        "match": None,
    }
    c.change(name)
    return why


def complete(c: Company, who: Who, *, name: str, reference: str) -> Reasons:
    one = c.money.get(name)
    if one is None:
        return {"not-found"}
    day, currency, target, side = one["day"], one["currency"], one["target"], one["side"]
    why = c.admit(who, day, taxed=False)
    rate = c.rate(currency, day)
    if rate is None:
        why.add("rate-missing")
    if one["status"] not in {"PENDING", "PROCESSING"}:
        return why | {"payment-not-pending"}
    why |= c.agreed(who, name, one, c.valued(one, one["total"]))
    c.change(name)
    if not sized(reference, 5, 255):
        why.add("text-malformed")
    if target and day < c.documents[target]["day"]:
        why.add("date-malformed")
    open_minor, open_worth = c.open(target) if target else (0, 0)
    paid = 0 if target is None else min(one["total"], open_minor) if one["excess"] else one["total"]
    if target and paid:
        why |= c.payable(target, currency, paid)
        c.change(target)
    owed = part(open_worth, paid, open_minor)
    whole = half_even(one["total"] * (rate or ONE), ONE)
    left = one["total"] - paid
    left_worth = half_even(left * (rate or ONE), ONE) if paid else whole
    control, advances, *_, journal = PLACES[side]
    lines: list[Line] = [(MONEY.get(one["method"], "1010"), side * one["total"], side * whole, False)]
    lines += [(control, -side * paid, -side * owed, False)] * bool(paid)
    lines += [(advances, -side * left, -side * left_worth, False)] * bool(left)
    c.draw("PMT", day)
    why |= c.post(who, journal, day, currency, lines, owner=name, gains=True)
    c.money[name] = {
        **one,
        "status": "COMPLETED",
        "worth": whole,
        "entries": (c.last_entry,),
        "allocations": 0,
    }
    if paid:
        _allocated(c, name, target, paid, whole - left_worth, owed, day, None)
    return why


def _allocated(
    c: Company, credit: str, debt: str, minor: int, worth: int, debt_worth: int, day: date, entry: str | None
) -> None:
    kept = c.documents if credit in c.documents else c.money
    number = kept[credit].get("allocations", 0)
    kept[credit] = {**kept[credit], "allocations": number + 1}
    c.allocated[credit, number] = {
        "credit": credit,
        "debt": debt,
        "minor": minor,
        "worth": worth,
        "debt_worth": debt_worth,
        "day": day,
        "entry": entry,
    }


def fail(c: Company, _: Who, *, name: str, reason: str) -> Reasons:
    one = c.money.get(name)
    if one is None:
        return {"not-found"}
    why = set() if one["status"] in {"PENDING", "PROCESSING"} else {"payment-not-pending"}
    if not sized(reason, 10, 500):
        why.add("text-malformed")
    c.money[name] = {**one, "status": "FAILED"}
    c.change(name)
    return why


def take_back(c: Company, who: Who, *, name: str, reason: str, on: date | None) -> Reasons:
    """Reverse money: its entries, and what it was allocated to."""
    one = c.money.get(name)
    if one is None:
        return {"not-found"}
    if one["status"] != "COMPLETED":
        return {"payment-not-completed"}
    why = set() if sized(reason, 10, 500) else {"text-malformed"}
    day = on or max(c.entries[entry]["day"] for entry in one["entries"])
    if one["match"]:
        why.add("payment-matched")
    else:
        why |= c.agreed(who, name, one, one["worth"], ("take back", day))
    for entry in one["entries"]:
        why |= c.turn(who, entry, day, owner=name)
    for key in [key for key in c.allocated if key[0] == name]:
        was = c.allocated.pop(key)
        c.change(was["debt"])
    c.money[name] = {**one, "status": "REVERSED", "entries": ()}
    c.change(name)
    return why


# What pays what


def allocate(c: Company, who: Who, *, credit: str, debt: str, minor: int, on: date | None) -> Reasons:
    one = c.money.get(credit) or c.documents.get(credit)
    other = c.documents.get(debt)
    if one is None or other is None or one.get("kind") == "INVOICE":
        return {"not-found"}
    is_money = credit in c.money
    why = {"amount-not-positive"} if minor <= 0 else set()
    if (one["side"], one["partner"]) != (other["side"], other["partner"]):
        why.add("partner-mismatch")
    if is_money and one["status"] != "COMPLETED":
        why.add("payment-not-completed")
    if not is_money and one["status"] == "CANCELLED":
        why.add("invoice-cancelled")
    if not is_money and (one["debt"] or one["status"] != "APPROVED"):
        why.add("voucher-not-credit")
    earliest = max(one["day"], other["day"])
    if on is not None and on < earliest:
        why.add("date-malformed")
    left, left_worth = c.open(credit)
    if minor > left:
        why.add("allocation-too-large")
    why |= c.payable(debt, one["currency"], minor)
    if why:
        return why
    day, side = on or earliest, one["side"]
    worth = part(left_worth, minor, left)
    open_minor, open_worth = c.open(debt)
    debt_worth = part(open_worth, minor, open_minor)
    control, advances, *_ = PLACES[side]
    home = advances if is_money else control
    lines = [
        (home, side * minor, side * worth, False),
        (control, -side * minor, -side * debt_worth, False),
    ]
    why |= c.post(who, "AJ", day, one["currency"], lines, owner=credit, gains=True)
    entry = c.last_entry
    if is_money:
        c.money[credit] = {**one, "entries": (*one["entries"], entry)}
    _allocated(c, credit, debt, minor, worth, debt_worth, day, entry)
    c.change(credit)
    c.change(debt)
    return why


def unallocate(c: Company, who: Who, *, credit: str, number: int, reason: str, on: date | None) -> Reasons:
    kept = c.money if credit in c.money else c.documents
    if credit not in kept or kept[credit].get("kind") == "INVOICE":
        return {"not-found"}
    one, gone = kept[credit], c.allocated.get((credit, number))
    if gone is None:
        return {"allocation-unknown"}
    why = set() if sized(reason, 10, 500) else {"text-malformed"}
    if on is not None and on < gone["day"]:
        why.add("date-malformed")
    day, side = on or gone["day"], one["side"]
    if gone["entry"] is not None:
        why |= c.turn(who, gone["entry"], day, owner=credit)
        entries = tuple(entry for entry in one.get("entries", ()) if entry != gone["entry"])
    else:
        control, advances, *_ = PLACES[side]
        lines: list[Line] = [
            (advances, -side * gone["minor"], -side * gone["worth"], False),
            (control, side * gone["minor"], side * gone["debt_worth"], False),
        ]
        why |= c.post(who, "AJ", day, one["currency"], lines, owner=credit, gains=True)
        entries = (*one["entries"], c.last_entry)
    kept[credit] = {**one, "entries": entries}
    del c.allocated[credit, number]
    c.change(credit)
    c.change(gone["debt"])
    return why


def settle(
    c: Company, who: Who, *, kind: str, debt: str, minor: int | None, told: str, on: date, code: str | None
) -> Reasons:
    """Write a part off, or note that it was withheld; with a tax code and no amount, its rate of the net value."""
    one = c.documents.get(debt)
    if one is None:
        return {"not-found"}
    why = {"date-malformed"} if on < one["day"] else set()
    if code is not None:
        more, found = levy(c.taxes, code, on)
        why |= more
        if found and found[0] != "WITHHOLDING":
            why.add("tax-code-misplaced")
        if minor is None and found:
            minor = half_even(one["net"] * found[1], ONE)
    if minor is None:
        return why or {"tax-code-misplaced"}
    why |= c.payable(debt, one["currency"], minor)
    if minor <= 0:
        why.add("amount-not-positive")
    if not sized(told, *((10, 500) if kind == "WRITE_OFF" else (3, 100))):
        why.add("text-malformed")
    open_minor, open_worth = c.open(debt)
    worth, side = part(open_worth, minor, open_minor), one["side"]
    why |= c.agreed(who, debt, one, worth, ("settle", kind, minor, on))
    if why:
        return why
    control, *_, lost, withheld, _ = PLACES[side]
    home = lost if kind == "WRITE_OFF" else withheld
    lines = [
        (home, side * minor, side * worth, code is not None),
        (control, -side * minor, -side * worth, False),
    ]
    why |= c.post(who, "AJ", on, one["currency"], lines, owner=debt)
    number = one.get("settlements", 0)
    c.documents[debt] = {**one, "settlements": number + 1}
    c.settled[debt, number] = {
        "debt": debt,
        "minor": minor,
        "worth": worth,
        "day": on,
        "entry": c.last_entry,
        "of": (kind, code),
    }
    c.change(debt)
    return why


def withdraw(c: Company, who: Who, *, debt: str, number: int, reason: str, on: date | None) -> Reasons:
    if debt not in c.documents:
        return {"not-found"}
    gone = c.settled.get((debt, number))
    if gone is None:
        return {"settlement-unknown"}
    why = set() if sized(reason, 10, 500) else {"text-malformed"}
    if on is not None and on < gone["day"]:
        why.add("date-malformed")
    day = on or gone["day"]
    why |= c.agreed(who, debt, c.documents[debt], gone["worth"], ("withdraw", number, day))
    del c.settled[debt, number]
    c.change(debt)
    return why | c.turn(who, gone["entry"], day, owner=debt)
