"""What somebody may ask for next: sensible mostly, mistaken sometimes, from what the model has and a seed's dice."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from finance.ordeal.abroad import changed
from finance.ordeal.dice import WHY, Given
from finance.ordeal.model import KINDS, VAT, Company, Who, period_of, year_of
from finance.ordeal.teller import Teller
from finance.ordeal.weights import VERBS, WEIGHTS

USERS: Final = (
    Who("rahim"),
    Who("karim"),
    Who("salma", senior=True),
    Who("nadia", closer=True, senior=True),
)
CUSTOMERS, VENDORS = ("C1", "C1", "C1", "C2"), ("V1", "V1", "V2")
CURRENCIES: Final = ("BDT", "BDT", "BDT", "BDT", "EUR", "EUR", "EUR", "USD")
METHODS: Final = (
    "CASH",
    "BANK_TRANSFER",
    "CHECK",
    "MOBILE_WALLET",
    "CREDIT_CARD",
    "DEBIT_CARD",
    "ONLINE_BANKING",
)
HANDS: Final = (
    "1000",
    "1010",
    "1300",
    "1500",
    "2100",
    "2200",
    "3000",
    "4000",
    "5000",
    "5100",
    "5200",
    "5900",
)
"""Accounts that people post to by hand."""

PURSUING: Final = 0.12
"""How often somebody goes on to what takes several steps, and chance alone seldom comes to."""


@dataclass(slots=True)
class Chance(Teller):
    """Asks of one company."""

    # Requests

    def ask(self, company: Company, other: Company) -> tuple[str, Given]:
        """A verb and what is given; of what can be asked at all, and what is likelier more often."""
        pursued = self._pursued(company) if self.dice.random() < PURSUING else None
        if pursued is not None:
            return pursued
        made = None
        while made is None:
            verb = self.dice.choices(VERBS, cum_weights=WEIGHTS)[0]
            made = self.given(verb, company, other)
        return verb, made

    def given(self, verb: str, company: Company, other: Company) -> Given | None:
        """What may be given with a verb; None where there is nothing to ask it of."""
        self.other = other
        made: Given | None = getattr(self, f"_{verb}")(company)
        return made

    def against(self, company: Company, verb: str, given: Given) -> tuple[str, Given]:
        """What is most in the way of a request that is made at the same time; otherwise anything."""
        match verb:
            case "write":
                own = [code for code, _ in given["lines"] if "-" in code]
                if own:
                    return "close_account", {"code": own[0], "reason": WHY}
            case "close_account":
                line = (given["code"], 100)
                lines = [line, ("4000", -100)]
                made = {
                    "name": self.new("J"),
                    "day": company.today,
                    "currency": "BDT",
                    "lines": lines,
                    "post": True,
                }
                return "write", made
            case "approve" | "complete" | "book":
                kept = {**company.documents, **company.money, **company.entries}
                waiting = {"DRAFT", "PENDING", "PROCESSING"}
                alike = [
                    name
                    for name, one in kept.items()
                    if one["status"] in waiting and name[0] == given["name"][0]
                ]
                notes = [name for name in alike if kept[name].get("corrects")]
                alike = notes if len(notes) > 1 and given["name"] in notes else alike
                if alike and self.dice.random() < 0.7:
                    return verb, {**given, "name": self.dice.choice(alike)}
                day = kept[given["name"]]["day"] if given["name"] in kept else company.today
                return "close_year", {"year": year_of(day), "to": "CLOSED"}
            case "match" | "reconcile":
                paid = [given["name"]] if verb == "reconcile" else list(given["money"])
                if paid and self.dice.random() < 0.5:
                    return "take_back", {"name": paid[0], "reason": WHY, "on": None}
                return verb, given
            case "draft" | "pay" | "reverse" | "plan":
                pass
            case _:
                return verb, given
        return self.ask(company, self.other or company)

    def _open_account(self, company: Company) -> Given:
        kind, first = self.dice.choice((("ASSET", 1), ("LIABILITY", 2), ("REVENUE", 4), ("EXPENSE", 5)))
        own = [code for code in company.accounts if "-" in code]
        code = f"{first}{self.dice.choice(('100', '110'))}-{self.dice.randrange(10, 30)}"
        return {
            "code": f"{first}x" if self.errs() else code,
            "title": "An account",
            "kind": "EQUITY" if self.errs() else kind,
            "currency": self.dice.choice(CURRENCIES),
            "parent": self.pick(own, "9") if own and self.dice.random() < 0.4 else None,
        }

    def _close_account(self, company: Company) -> Given:
        own = [code for code in company.accounts if "-" in code]
        return {
            "code": self.pick(own, self.dice.choice(("4000", "1000", "3900", "~1000"))),
            "reason": self.why(),
        }

    def _lines(self, company: Company, kind: str) -> list[Given]:
        duties = [""] * 3 + [code for code, one in company.taxes.items() if one["kind"] == "DUTY"]
        vats = ["", *(code for code, one in company.taxes.items() if one["kind"] in {"VAT", "EXEMPT"})]
        lines = []
        for _ in range(0 if self.errs() else self.dice.choice((1, 1, 1, 2, 3))):
            some = [self.dice.choice(vats), self.dice.choice(duties)]
            if self.errs() or (kind == "BILL" and self.dice.random() < 0.1):
                some.append(self.dice.choice(["", *company.taxes]))
            taxes = tuple(dict.fromkeys(code for code in some if code))
            account = self.dice.choice(
                ("1200", "2000") if self.errs() else (None, None, "5100", "1300", "1500")
            )
            lines.append(
                {
                    "price": max(0, self.amount()),
                    "quantity": self.dice.choice((1000, 1000, 333, 2500)),
                    "category": self.dice.choice(tuple(VAT)),
                    "codes": ("NONE",) if self.errs() and company.taxes else taxes,
                    "account": None
                    if kind == "INVOICE"
                    else self.dice.choice(("1200", "2000"))
                    if self.errs()
                    else account,
                }
            )
        return lines

    def _draft(self, company: Company) -> Given:
        kind = self.dice.choice(("INVOICE", "INVOICE", "INVOICE", "BILL", "CREDIT_NOTE", *KINDS))
        side, debt, *_ = KINDS[kind]
        day = self.day(company)
        corrects = None
        if not debt and self.dice.random() < 0.8:
            alike = [name for name, one in company.documents.items() if one["side"] == side]
            binding = [name for name in alike if company.documents[name]["status"] == "APPROVED"]
            corrects = self.pick(binding or alike, self.wrong(company, "documents"))
        partner = self.pick(CUSTOMERS if side > 0 else VENDORS, "C?" if side > 0 else "V?")
        currency, lines = self.dice.choice(CURRENCIES), self._lines(company, kind)
        if corrects in company.documents and not self.errs():
            one = company.documents[corrects]
            partner, currency = one["partner"], one["currency"]
            price = max(1, one["total"] // self.dice.choice((1, 2, 3)))
            lines = [{"price": price, "quantity": 1000, "category": "EXEMPT", "codes": (), "account": None}]
        return {
            "name": self.new("I" if kind == "INVOICE" else "B"),
            "kind": kind,
            "partner": partner,
            "currency": currency,
            "day": day,
            "due": day - timedelta(days=1)
            if self.errs()
            else day + timedelta(days=self.dice.choice((0, 30))),
            "lines": lines,
            "prices": self.dice.choice(("EXCLUSIVE", "EXCLUSIVE", "INCLUSIVE")),
            "rounding": self.dice.choice(("LINE", "DOCUMENT")),
            "reference": f"R-{self.dice.randrange(12)}" if kind == "BILL" else None,
            "reason": None if kind in {"BILL", "INVOICE"} else "no" if self.errs() else WHY,
            "corrects": corrects,
        }

    def _redraft(self, company: Company) -> Given | None:
        drafts = [name for name, one in company.documents.items() if one["status"] == "DRAFT"]
        if not drafts:
            return None
        name = self.pick(drafts, self.wrong(company, "documents"))
        return self.redrafted(company, name)

    def redrafted(self, company: Company, name: str) -> Given:
        """A change of this draft."""
        one = company.documents.get(name)
        day = self.day(company)
        if one is not None:
            day = min(day, one["due"])
        return {"name": name, "lines": self._lines(company, one["kind"] if one else "INVOICE"), "day": day}

    def _approve(self, company: Company) -> Given | None:
        drafts = [name for name, one in company.documents.items() if one["status"] == "DRAFT"]
        notes = [name for name in drafts if company.documents[name]["corrects"]]
        if notes and self.dice.random() < 0.5:
            drafts = notes
        return {"name": self.pick(drafts, self.wrong(company, "documents"))} if drafts else None

    def _cancel(self, company: Company) -> Given | None:
        if not company.documents:
            return None
        notes = [one for one in company.documents.values() if one["corrects"] and one["status"] == "APPROVED"]
        corrected = [one["corrects"] for one in notes if company.status(one["corrects"]) == "APPROVED"]
        some = corrected if corrected and self.dice.random() < 0.7 else list(company.documents)
        return {
            "name": self.pick(some, self.wrong(company, "documents")),
            "reason": self.why(),
            "on": self.later(company),
        }

    def _debts(self, company: Company) -> list[str]:
        debts = [
            name for name, one in company.documents.items() if one["debt"] and one["status"] == "APPROVED"
        ]
        return [name for name in debts if company.open(name)[0] > 0]

    def _credits(self, company: Company) -> list[str]:
        notes = [n for n, one in company.documents.items() if not one["debt"] and one["status"] == "APPROVED"]
        money = [n for n, one in company.money.items() if one["status"] == "COMPLETED"]
        return [n for n in (*notes, *money) if company.open(n)[0] > 0]

    def _pay(self, company: Company) -> Given:
        target, currency, minor = None, self.dice.choice(CURRENCIES), self.amount()
        debts = self._debts(company)
        if debts and self.dice.random() < 0.7:
            target = self.pick(debts, self.wrong(company, "documents"))
        if target in company.documents and not self.errs():
            currency = company.documents[target]["currency"]
            left = company.open(target)[0]
            minor = self.dice.choice((left, max(1, left // 3), minor, left + 1))
        return {
            "name": self.new("P"),
            "target": target,
            "partner": None if target else self.pick((*CUSTOMERS, *VENDORS), "C?"),
            "minor": minor,
            "currency": currency,
            "day": self.day(company),
            "method": self.dice.choice(METHODS),
            "excess": self.dice.random() < 0.4,
        }

    def _waiting(self, company: Company) -> str | None:
        waiting = [n for n, one in company.money.items() if one["status"] in {"PENDING", "PROCESSING"}]
        return self.pick(waiting, self.wrong(company, "money")) if waiting else None

    def _complete(self, company: Company) -> Given | None:
        name = self._waiting(company)
        return None if name is None else {"name": name, "reference": "TRX" if self.errs() else "TRX-1"}

    def _fail(self, company: Company) -> Given | None:
        name = self._waiting(company)
        return None if name is None else {"name": name, "reason": self.why()}

    def _take_back(self, company: Company) -> Given | None:
        done = [n for n, one in company.money.items() if one["status"] == "COMPLETED"]
        if not done:
            return None
        name = self.pick(done, self.wrong(company, "money"))
        return {"name": name, "reason": self.why(), "on": self.later(company)}

    def _allocate(self, company: Company) -> Given | None:
        debts, owed = self._debts(company), self._credits(company)
        if not debts or not owed:
            return None
        credit = self.pick(owed, self.wrong(company, "documents", "money"))
        one = company.documents.get(credit) or company.money.get(credit)
        alike = debts
        if one is not None and not self.errs():
            same, of = ("partner", "currency", "side"), company.documents
            alike = [name for name in debts if all(of[name][what] == one[what] for what in same)]
        if not alike and self.dice.random() < 0.9:
            return None
        debt = self.pick(alike, self.wrong(company, "documents"))
        most = self.amount()
        if one is not None and debt in company.documents:
            left, open_minor = company.open(credit)[0], company.open(debt)[0]
            most = self.dice.choice((min(left, open_minor), min(left, open_minor), most, left + 1))
        return {"credit": credit, "debt": debt, "minor": most, "on": self.later(company)}

    def _unallocate(self, company: Company) -> Given | None:
        if not company.allocated:
            return None
        first, _ = next(iter(company.allocated))
        credit, number = self.pick(company.allocated, self.dice.choice((("?", 0), (first, 9))))
        return {"credit": credit, "number": number, "reason": self.why(), "on": self.later(company)}

    def _settle(self, company: Company) -> Given | None:
        debts = self._debts(company)
        if not debts:
            return None
        debt = self.pick(debts, self.wrong(company, "documents"))
        kind, code = self.dice.choice(("WRITE_OFF", "WITHHOLDING")), None
        if kind == "WITHHOLDING" and company.taxes:
            code = self.dice.choice((None, "TDS5", "VAT15" if self.errs() else "TDS5"))
        left = company.open(debt)[0] if debt in company.documents else 1
        minor = self.dice.choice((left, max(1, left // 4), self.amount()))
        return {
            "kind": kind,
            "debt": debt,
            "minor": None if code is not None and self.dice.random() < 0.6 else minor,
            "told": "no" if self.errs() else WHY,
            "on": self.day(company) if self.errs() else company.today,
            "code": code,
        }

    def _withdraw(self, company: Company) -> Given | None:
        if not company.settled:
            return None
        first, _ = next(iter(company.settled))
        debt, number = self.pick(company.settled, self.dice.choice((("?", 0), (first, 9))))
        return {"debt": debt, "number": number, "reason": self.why(), "on": self.later(company)}

    def _some_account(self, company: Company) -> str:
        own = [code for code in company.accounts if "-" in code]
        if self.errs():
            return self.dice.choice(("1200", "2300", "1290", "~1000"))
        return self.dice.choice((*HANDS, *own, *own))

    def _write(self, company: Company) -> Given:
        minor, one, other = self.amount(), self._some_account(company), self._some_account(company)
        lines = [(one, minor), (other, 1 - minor if self.errs() else -minor)]
        if self.dice.random() < 0.3:
            share = minor // 3
            lines = [(one, minor), (other, -share), (self._some_account(company), share - minor)]
        return {
            "name": self.new("J"),
            "day": self.day(company),
            "currency": self.dice.choice(CURRENCIES),
            "lines": lines[:1] if self.errs() else lines,
            "post": self.dice.random() < 0.6,
        }

    def _entries(self, company: Company, status: str) -> list[str]:
        return [n for n, one in company.entries.items() if n[0] in "JR" and one["status"] == status]

    def _add_line(self, company: Company) -> Given | None:
        drafts = self._entries(company, "DRAFT")
        name = self.pick(drafts, "?") if drafts else None
        return None if name is None else {"name": name, "line": (self._some_account(company), self.amount())}

    def _book(self, company: Company) -> Given | None:
        drafts = self._entries(company, "DRAFT")
        others = [n for n in company.entries if n[0] in "JR"]
        return {"name": self.pick(drafts, self.dice.choice(("?", *others)))} if drafts else None

    def _reverse(self, company: Company) -> Given | None:
        posted = self._entries(company, "POSTED")
        if not posted:
            return None
        others = [name for name in company.entries if name[0] in "JR"]
        return {
            "entry": self.dice.choice(others) if self.dice.random() < 0.25 else self.pick(posted, "?"),
            "name": self.new("R"),
            "on": self.day(company) if self.dice.random() < 0.3 else company.today,
            "reason": None if self.dice.random() < 0.3 else self.why(),
        }

    def _set_rate(self, company: Company) -> Given:
        currency = "BDT" if self.errs() else self.dice.choice(("EUR", "USD"))
        rate = 0 if self.errs() else self.dice.randrange(90_0000, 200_0000)
        return {"currency": currency, "day": self.day(company), "rate": rate}

    def _period(self, company: Company) -> tuple[int, int]:
        return period_of(self.day(company))

    def _close_period(self, company: Company) -> Given:
        to = self.dice.choice(("SOFT_CLOSED", "SOFT_CLOSED", "CLOSED", "CLOSED", "LOCKED"))
        return {"period": self._period(company), "to": to}

    def _open_period(self, company: Company) -> Given | None:
        closed = list(company.periods)
        return {"period": self.pick(closed, self._period(company)), "reason": self.why()} if closed else None

    def _revalue(self, company: Company) -> Given | None:
        days = {company.today, self.day(company), *(day for _, day in company.rates if day <= company.today)}
        some = [day for day in sorted(days) if changed(company, day)]
        if not some and self.dice.random() < 0.9:
            return None
        return {"day": self.pick(some, company.today + timedelta(days=self.dice.choice((0, 1))))}

    def _undo_revaluation(self, company: Company) -> Given | None:
        if not company.revalued:
            return None
        return {"day": self.pick(company.revalued, self.day(company)), "reason": self.why()}

    def _lock_taxes(self, company: Company) -> Given:
        return {"through": company.today - timedelta(days=self.dice.choice((10, 20, 40, 60)))}

    def _unlock_taxes(self, company: Company) -> Given | None:
        if company.taxes_locked is None:
            return None
        back = company.taxes_locked - timedelta(days=self.dice.choice((1, 30)))
        return {"through": self.dice.choice((None, back)), "reason": self.why()}

    def _close_year(self, company: Company) -> Given:
        year = year_of(company.today) - self.dice.choice((0, 1, 1, 1))
        return {"year": year, "to": "LOCKED" if self.dice.random() < 0.15 else "CLOSED"}

    def _open_year(self, company: Company) -> Given | None:
        if not company.years:
            return None
        return {"year": self.pick(company.years, year_of(company.today)), "reason": self.why()}

    def _set_rule(self, company: Company) -> Given:
        return self.rule(company)

    def rule(self, company: Company) -> Given:
        tiers = ((500_00, 2, False), (2_000_00, self.dice.choice((1, 2)), True))
        always = ((0, 2, False),)
        return {
            "day": company.today + timedelta(days=-1 if self.errs() else self.dice.choice((0, 1, 1, 4))),
            "four_eyes": self.dice.random() < 0.7,
            "tiers": self.dice.choice(
                ((), always, always, tiers, tiers[:1], tiers[::-1] if self.errs() else tiers)
            ),
            "reason": self.why(),
        }

    def _adopt(self, company: Company) -> Given | None:
        return None if company.serials and self.dice.random() < 0.9 else {}

    def _set_tax(self, company: Company) -> Given | None:
        if not company.taxes:
            return None
        rate = -1 if self.errs() else self.dice.choice((0, 500, 1000, 1500, 1750))
        day = self.dice.choice((self.day(company), company.today - timedelta(days=90)))
        return {"code": self.pick(company.taxes, "NONE"), "day": day, "rate": rate}

    def _turn_tax(self, company: Company) -> Given | None:
        if not company.taxes:
            return None
        off = [code for code, one in company.taxes.items() if not one["active"]]
        active = bool(off) and self.dice.random() < 0.8
        return {
            "code": self.pick(off if active else company.taxes, "NONE"),
            "active": active,
            "reason": self.why(),
        }

    def _pursued(self, company: Company) -> tuple[str, Given] | None:
        """A step towards money that is matched and taken back, or a document that is cancelled though corrected."""
        if self.dice.random() < 0.4:
            return self._corrected(company)
        matched = [name for name, one in company.money.items() if one["match"]]
        if matched and self.dice.random() < 0.5:
            return "take_back", {"name": self.dice.choice(matched), "reason": WHY, "on": self.later(company)}
        verb = "match" if self.alike(company) else "unmatch" if matched else "bring"
        made = self.given(verb, company, self.other or company)
        return None if made is None else (verb, made)

    def _corrected(self, company: Company) -> tuple[str, Given] | None:
        documents = company.documents
        notes = {
            status: [
                name
                for name, one in documents.items()
                if one["status"] == status and one["corrects"] in documents
                if company.status(one["corrects"]) == "APPROVED"
            ]
            for status in ("APPROVED", "DRAFT")
        }
        if notes["APPROVED"]:
            one = documents[self.dice.choice(notes["APPROVED"])]["corrects"]
            return "cancel", {"name": one, "reason": WHY, "on": self.later(company)}
        if notes["DRAFT"]:
            return "approve", {"name": self.dice.choice(notes["DRAFT"])}
        untouched = [name for name in self._debts(company) if company.status(name) == "APPROVED"]
        return ("draft", self._note(company, self.dice.choice(untouched))) if untouched else None

    def _note(self, company: Company, name: str) -> Given:
        """A note that corrects a document."""
        one = company.documents[name]
        kind = "CREDIT_NOTE" if one["side"] > 0 else "VENDOR_CREDIT"
        price = max(1, one["total"] // self.dice.choice((1, 2, 3)))
        return {
            "name": self.new("B"),
            "kind": kind,
            "partner": one["partner"],
            "currency": one["currency"],
            "day": self.day(company),
            "due": company.today,
            "lines": [{"price": price, "quantity": 1000, "category": "EXEMPT", "codes": (), "account": None}],
            "prices": "EXCLUSIVE",
            "rounding": "LINE",
            "reference": None,
            "reason": WHY,
            "corrects": name,
        }

    # Papers, and money that is not there yet

    def _amend(self, company: Company) -> Given | None:
        name = self._waiting(company)
        if name is None:
            return None
        return {
            "name": name,
            "minor": self.dice.choice((None, self.amount())),
            "day": self.dice.choice((None, self.day(company))),
            "method": self.dice.choice((None, *METHODS)),
        }

    def _attach(self, company: Company) -> Given | None:
        some = [*company.documents, *company.money, *self._entries(company, "POSTED")]
        if not some:
            return None
        name = self.pick(some, self.wrong(company, "documents", "templates"))
        there = [one for one, _ in company.folders.get(name, ())]
        return {
            "name": name,
            "content": self.dice.choice(("a0", "a1", "a2", "a3")),
            "size": 0 if self.errs() else 1,
            "instead": self.dice.choice((None, *there)),
        }

    def _plan(self, company: Company) -> Given:
        minor = max(1, self.amount())
        kind = self.dice.choice(("RECURRING", "ACCRUAL", "PROVISION", "DEPRECIATION"))
        lines = [("5200", minor), ("1500" if kind == "DEPRECIATION" else "2100", -minor)]
        if kind != "DEPRECIATION" and self.errs():
            lines = [("5200", minor), ("2000", -minor - self.dice.choice((0, 1)))]
        return {
            "name": self.new("T"),
            "kind": kind,
            "start": company.today - timedelta(days=self.dice.choice((0, 31, 70))),
            "lines": lines,
            "months": self.dice.choice((1, 2, 3, 7)),
            "by": self.dice.choice((None, None, "MONTH", "DAYS_IN_MONTH"))
            if kind != "DEPRECIATION"
            else None,
        }

    def _adopt_plan(self, company: Company) -> Given | None:
        drafts = [name for name, one in company.templates.items() if one["status"] == "DRAFT"]
        return {"name": self.pick(drafts, self.wrong(company, "templates"))} if drafts else None

    def _run(self, company: Company) -> Given | None:
        if not company.templates:
            return None
        through = company.today + timedelta(days=1 if self.errs() else -self.dice.choice((0, 0, 9)))
        active = [name for name, one in company.templates.items() if one["status"] == "ACTIVE"]
        return {"name": self.pick(active, self.wrong(company, "templates")), "through": through}

    def _end_plan(self, company: Company) -> Given | None:
        return (
            {"name": self.pick(company.templates, self.wrong(company, "templates")), "reason": self.why()}
            if company.templates
            else None
        )
