"""What must hold after every step of a history, each by its name. Judged from the log alone and from the model."""

import re
from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any, Final

from finance import (
    account,
    approval,
    authority,
    bankline,
    cashflow,
    control,
    folder,
    invoice,
    journal,
    payment,
    period,
    policy,
    rate,
    report,
    tax,
    template,
    vat,
    voucher,
    year,
)
from finance.adapters.memory import Row, Tables
from finance.adapters.postgres.store import STATES, encoded
from finance.chart import CASH_REVALUED, account_id
from finance.events import decode, evolve
from finance.ordeal.model import BINDING, CONTROLS, ONE, Company, year_of
from finance.settlement import PURCHASE, SALES, Allocation, Settlement

LAWS: Final = {
    "balance": "debits equal credits: of every entry, of every company and currency, and in that of the books",
    "control": "a control account holds what its documents and payments say is open",
    "open": "a document's open amount is its total less what was allocated and settled",
    "ledger": "every account moved on every day by what the model says, in every currency and in that of the books",
    "document": "every document, payment, entry and template stands as the model says",
    "setting": "periods, years, rates, taxes, rules and accounts are as the model says",
    "statements": "balance sheet, profit and loss, cash flow, taxes and ageing tie to the trial balance",
    "refusal": "what the rules refuse is refused for one of its reasons, and nothing else is",
    "untouched": "a refused request has changed no byte",
    "rehearsal": "a dry run says what would be posted, and leaves nothing",
    "replay": "what was answered is what the log says, folded anew",
    "snapshot": "a state that was kept as JSON, at any version, is the state at that version",
    "stream": "versions are counted without gaps, and readers meet them in their order",
    "numbers": "no number is left out and none is drawn twice, per company, series and fiscal year",
    "retry": "the same request with the same key is answered as the first time, and does nothing",
    "serial": "requests at once come to what they come to one after the other, in some order",
    "crash": "a request whose process died has happened as a whole or not at all",
    "tenant": "nothing of a company's is in, or names anything in, the books of another",
    "plain-balance": "in the log's bytes debits equal credits: of every entry, per company and currency",
    "plain-control": "sub-ledgers of the plain books equal their control accounts",
    "plain-open": "open amount is total less allocations, as the plain books have it, and never below nothing",
    "plain-statements": "the trial balance is that of the plain books, and the statements tie to it",
    "plain-untouched": "a refused command changed no byte",
    "plain-replay": "replay equals live: what was answered is what its stream says from the first byte on",
    "plain-snapshot": "snapshot equals replay at every version",
    "plain-possible": "what was accepted can be: no entry in a closed period, nothing done or undone twice",
    "bank-told": "a bank line is never invented: those in the books are those of accepted files",
    "bank-once": "a bank line, and a payment, is in at most one live match",
    "bank-tied": "lines and payments of a match are the same money to the unit, on one account",
    "bank-kept": "a payment is not taken back while a bank line is matched with it",
    "bank-explained": "an account holds what was matched, what the bank does not know yet, and other entries",
    "bug": "nothing ends in anything but an answer, a refusal or a fault",
}
NUMBER: Final = re.compile(r"([A-Z]+)-(\d{4})-(\d{2})(?:-(\d{2}))?-(\d{6})")
CONTROL_CODES: Final = {SALES: ("1200", "2300"), PURCHASE: ("2000", "1400")}
Sums = tuple[int, int]
Part = tuple[int, date, int, int]


class Broken(Exception):
    """A law was broken: its name, and how."""

    def __init__(self, law: str, how: str) -> None:
        super().__init__(f"{law}: {how} ({LAWS[law]})")
        self.law = law


class Court:
    """Reads the log as it grows and judges. `checked` counts the laws by their names.

    What it read before the history began is taken from the court that read it.
    """

    def __init__(self, tables: Tables, before: "Court | None" = None) -> None:
        self._tables = tables
        self.rows_read: int = before.rows_read if before else 0
        self.states: dict[str, Any] = dict(before.states) if before else {}
        self.owners: dict[str, str] = dict(before.owners) if before else {}
        self.last: dict[str, Row] = dict(before.last) if before else {}
        self.parts: dict[str, list[str]] = defaultdict(list)
        self.checked: dict[str, int] = defaultdict(int)
        self._sums: dict[tuple[str, str], int] = defaultdict(int)
        self._held: dict[str, dict[tuple[str, str], Sums]] = defaultdict(dict)
        self._dated: dict[str, dict[tuple[str, str, date], Sums]] = defaultdict(dict)
        self._open: dict[str, tuple[str, str, str, int, int]] = {}
        self._numbers: dict[tuple[str, str, int], list[int]] = defaultdict(list)
        self._items: dict[str, dict[str, tuple[str | None, int, date]]] = defaultdict(dict)
        self._flows: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._taxes: dict[str, list[vat.Row]] = defaultdict(list)
        self._changed: set[str] = set()
        self._posted: set[str] = set()

    def state(self, stream_id: str) -> Any:
        return self.states.get(stream_id)

    def parts_of(self, stream_id: str) -> list[str]:
        return self.parts.get(stream_id, [])

    def hold(self, law: str, holds: object, how: object) -> None:
        """Whether a law holds here; `how` it does not may be told late."""
        self.checked[law] += 1
        if not holds:
            raise Broken(law, str(how() if callable(how) else how))

    def again(self) -> None:
        """Everything from the first byte, as a release that comes later reads it."""
        folded: dict[str, Any] = {}
        for row in self._tables.rows:
            folded[row.stream_id] = evolve(folded.get(row.stream_id), decode(row.type, row.data))
        self.hold("replay", folded == self.states, lambda: differing(folded, self.states))

    # What was written

    def read(self) -> list[Row]:
        """What is new in the log; judged row by row."""
        rows = self._tables.rows[self.rows_read :]
        self.rows_read += len(rows)
        for row in rows:
            self._row(row)
        self.hold("balance", not any(self._sums.values()), lambda: f"they differ by {dict(self._sums)}")
        for place, drawn in self._numbers.items():
            wanted = len(drawn) == len(set(drawn)) == max(drawn)
            self.hold("numbers", wanted, f"{place}: {len(drawn)} of {max(drawn)}")
        return rows

    def _row(self, row: Row) -> None:
        before, stream = self.last.get(row.stream_id), row.stream_id
        follows = row.version == (before.version + 1 if before else 1)
        self.hold("stream", follows, lambda: f"{row.kind} {stream}: version {row.version}")
        ordered = before is None or before.position < row.position
        self.hold("stream", ordered, lambda: f"{row.kind} {stream}: {row.position} after {before}")
        self.hold(
            "tenant", self.owners.setdefault(stream, row.tenant_id) == row.tenant_id, f"stream {stream}"
        )
        self.last[stream] = row
        try:
            state = self.states[stream] = evolve(self.states.get(stream), row.event)
        except AssertionError as error:
            raise Broken("replay", f"{row.type} {row.version} of {stream}: {error}") from error
        kept = STATES[row.kind].decode(encoded(state))
        self.hold("snapshot", kept == state, lambda: f"{kept} is not {state}")
        self.hold("stream", state.version == row.version, lambda: f"{state} at version {row.version}")
        self._changed.add(stream)
        self._note(row, state)

    def _note(self, row: Row, state: Any) -> None:
        match row.event:
            case journal.Posted():
                self._entry(row, row.event, state)
            case payment.Completed() if state.credit.allocations:
                self.parts[row.stream_id].append(row.event.journal_id)
            case payment.Allocated() | voucher.Allocated():
                self.parts[row.stream_id].append(row.event.allocation.id)
            case invoice.Settled() | voucher.Settled():
                self.parts[row.stream_id].append(row.event.settlement.id)
            case _:
                pass
        for number in (getattr(row.event, "number", None), getattr(row.event, "tax_number", None)):
            if number is not None:
                self._number(row, number)
        if row.kind in {"invoice", "voucher", "payment"}:
            self._account_of(row, state)

    def _number(self, row: Row, number: str) -> None:
        found = NUMBER.fullmatch(number)
        self.hold("numbers", found is not None, f"{number} of {row.stream_id}")
        assert found is not None  # noqa: S101 - held above
        series, first, month, _, drawn = found.groups()
        self._numbers[row.tenant_id, series, year_of(date(int(first), int(month), 1))].append(int(drawn))

    def _entry(self, row: Row, posted: journal.Posted, state: journal.Journal) -> None:
        tenant, currency = row.tenant_id, posted.currency
        self._posted.add(tenant)
        held, minor, worth = self._held[tenant], 0, 0
        codes = [self._code(tenant, one.account_id) for one in posted.lines]
        cash = [one for one in codes if one.startswith("10") and one != CASH_REVALUED]
        for line in posted.lines:
            code = self._code(tenant, line.account_id)
            debit, credit = journal.base(line, currency)
            net = (line.debit_minor - line.credit_minor, debit - credit)
            was = held.get((code, currency), (0, 0))
            held[code, currency] = (was[0] + net[0], was[1] + net[1])
            day = (code, currency, posted.journal_date)
            was = self._dated[tenant].get(day, (0, 0))
            self._dated[tenant][day] = (was[0] + net[0], was[1] + net[1])
            minor, worth = minor + net[0], worth + net[1]
            if code in CONTROLS:
                self._item(tenant, line, posted, net[1])
            if cash and not code.startswith("10"):
                self._flows[tenant][line.account_id] -= net[1]
            original = self.states[state.original_id] if state.original_id else state
            kind = original.journal_type
            if line.tax_code is not None or code in TAXES:
                self._taxes[tenant].append(
                    vat.Row(
                        account_id=line.account_id,
                        tax_code=line.tax_code,
                        journal_type=kind,
                        net_minor=net[1],
                    )
                )
        self.hold("balance", not minor and not worth, lambda: f"{posted.number} is {minor}, worth {worth}")
        self._sums[tenant, currency] += minor
        self._sums[tenant, "worth"] += worth

    def _item(self, tenant: str, line: journal.Line, posted: journal.Posted, worth: int) -> None:
        items = self._items[tenant]
        item = line.item_id or posted.number
        _, was, due = items.get(item, (None, 0, line.due_date or posted.journal_date))
        items[item] = (line.partner_id, was + worth, due)

    def _code(self, tenant: str, account_id: str) -> str:
        one = self.states.get(account_id)
        own = self.owners.get(account_id) == tenant
        self.hold("tenant", own, lambda: f"account {account_id} is not one of {tenant}")
        return one.code if isinstance(one, account.Account) else ""

    def _account_of(self, row: Row, state: Any) -> None:
        """Note what is open of a document or payment; with the amounts worked out anew from its parts."""
        found = control.open_of(state)
        for code, minor, worth in found:
            self._open[row.stream_id] = (row.tenant_id, code, state.currency, minor, worth)
        if not found:
            self._open.pop(row.stream_id, None)
        self.hold("open", left_of(state) == said_of(state), lambda: f"{state} has {left_of(state)} open")

    # After a step

    def agrees(
        self,
        tenant: str,
        company: Company,
        ids: dict[str, str],
        names: dict[str, tuple[str, str]],
    ) -> None:
        """The books of a company are what the model says; names of both by ids, and the other way round."""
        held = {place: sums for place, sums in company.dated.items() if any(sums)}
        found = {place: sums for place, sums in self._dated[tenant].items() if any(sums)}
        self.hold("ledger", found == held, lambda: differing(found, held))
        self._controls(tenant, company)
        drawn = {(series, first): len(n) for (of, series, first), n in self._numbers.items() if of == tenant}
        self.hold("numbers", drawn == company.numbers, lambda: differing(drawn, company.numbers))
        touched = {name for name in company.touched if name in ids}
        touched |= {names[one][1] for one in self._changed if one in names and names[one][0] == tenant}
        for name in sorted(touched):
            self._document(company, name, self.states.get(ids[name]))
        for one in sorted(self._changed):
            if one not in names and self.owners[one] == tenant:
                self._setting(company, self.states[one], names)
        self._changed = {one for one in self._changed if self.owners[one] != tenant}
        if tenant in self._posted:
            self._statements(tenant)
            self._posted.discard(tenant)

    def _controls(self, tenant: str, company: Company) -> None:
        owed: dict[tuple[str, str], Sums] = defaultdict(lambda: (0, 0))
        for of, code, currency, minor, worth in self._open.values():
            if of == tenant:
                was = owed[code, currency]
                owed[code, currency] = (was[0] + minor, was[1] + worth)
        said = {place: sums for place, sums in owed.items() if any(sums)}
        held = {
            place: sums for place, sums in self._held[tenant].items() if place[0] in CONTROLS and any(sums)
        }
        self.hold("control", held == said, lambda: differing(held, said))
        model = {place: sums for place, sums in company.owed().items() if any(sums)}
        self.hold("open", said == model, lambda: differing(said, model))

    def _document(self, company: Company, name: str, state: Any) -> None:
        found, wanted = seen(state), expected(company, name)
        self.hold("document", found == wanted, lambda: f"{name} is {found}, and should be {wanted}")

    def _setting(self, company: Company, state: Any, names: dict[str, tuple[str, str]]) -> None:
        document = self.states.get(getattr(state, "document_id", ""))
        found, wanted = setting(company, state, names, document)
        self.hold("setting", found == wanted, lambda: f"{state} is {found}, and should be {wanted}")

    # Statements

    def _statements(self, tenant: str) -> None:
        """From the trial balance in the currency of the books: what each account is worth."""
        worths: dict[str, int] = defaultdict(int)
        for (code, _), (_, worth) in self._held[tenant].items():
            worths[code] += worth
        accounts = [
            one
            for stream, one in self.states.items()
            if isinstance(one, account.Account) and self.owners[stream] == tenant
        ]
        balances = [
            report.Balance(
                account=one, debit_minor=max(worths[one.code], 0), credit_minor=max(-worths[one.code], 0)
            )
            for one in accounts
        ]
        total = sum(one.net_minor for one in balances)
        self.hold("statements", total == 0, f"the trial balance is {total}")
        sheet = report.balance_sheet(balances)
        self.hold("statements", sheet.difference_minor == 0, f"the balance sheet is {sheet.difference_minor}")
        earned = report.profit_and_loss(balances).profit_minor
        equity = -sum(worths[one.code] for one in accounts if one.account_type in {"REVENUE", "EXPENSE"})
        self.hold("statements", earned == equity == sheet.earnings_minor, f"earned are {earned}, {equity}")
        revalued = account_id(tenant, CASH_REVALUED)
        flow = cashflow.cash_flow([], balances, self._flows[tenant], revalued=revalued)
        self.hold("statements", flow.is_tied, lambda: f"cash does not tie: {flow}")
        sections = {one.id: vat.SECTIONS[one.code] for one in accounts if one.code in vat.SECTIONS}
        taxes = vat.summary(self._taxes[tenant], balances, sections)
        self.hold("statements", taxes.is_tied, lambda: f"taxes do not tie: {taxes}")
        self._ageing(tenant, worths)

    def _ageing(self, tenant: str, worths: dict[str, int]) -> None:
        for side, codes in CONTROL_CODES.items():
            mine = [
                report.Item(partner_id=partner, item_id=item, net_minor=net, due_date=due)
                for item, (partner, net, due) in self._items[tenant].items()
                if self._side(item) == side
            ]
            aged = report.ageing(mine, side=side, as_of=date(2027, 7, 1))
            owed = sum(one.total_minor for one in aged) * (1 if side == SALES else -1)
            held = sum(worths[code] for code in codes)
            self.hold("statements", owed == held, f"ageing of {side} is {owed}, not {held}")

    def _side(self, item: str) -> str:
        return str(self.states[item].side)


class Deaf(Court):
    """Reads along and judges nothing, where others judge."""

    def hold(self, law: str, holds: object, how: object) -> None: ...

    def agrees(
        self, tenant: str, company: Company, ids: dict[str, str], names: dict[str, tuple[str, str]]
    ) -> None: ...


TAXES: Final = frozenset(vat.SECTIONS)


def left_of(state: Any) -> int:
    """What is open of a document, or left of money, worked out from its parts."""
    if isinstance(state, payment.Payment):
        whole = state.amount_minor if state.status in {"COMPLETED", "RECONCILED"} else 0
        gone = sum(one.amount_minor for one in state.credit.allocations)
    else:
        whole = sum(line.amount_minor + line.vat_minor for line in state.terms.lines)
        is_credit = isinstance(state, voucher.Voucher) and state.is_credit
        parts = state.credit.allocations if is_credit else state.settlements
        gone = sum(one.amount_minor for one in parts) + (0 if is_credit else state.paid_minor)
    return int(whole - gone)


def said_of(state: Any) -> int:
    return int(state.credit.minor if isinstance(state, payment.Payment) else state.open_minor)


def seen(state: Any) -> Any:
    """Of a state, what the model knows of it."""
    kept: list[Any]
    match state:
        case None:
            return None
        case payment.Payment():
            kept = [part(one, one.allocated_on, one.document_base_minor) for one in state.credit.allocations]
            return state.status, state.credit.minor, state.credit.base_minor, state.number is not None, kept
        case voucher.Voucher(is_credit=True):
            kept = [part(one, one.allocated_on, one.document_base_minor) for one in state.credit.allocations]
            worth, numbered = state.credit.base_minor, state.number is not None
            return state.status, levied(state), state.open_minor, worth, numbered, kept
        case invoice.Invoice() | voucher.Voucher():
            kept = [
                (*part(one, one.settled_on, one.base_minor), (one.kind, one.tax_code))
                for one in state.settlements
            ]
            numbered = state.number is not None
            worth = state.base_open_minor if numbered else 0
            return state.status, levied(state), state.open_minor, worth, numbered, kept
        case journal.Journal():
            lines = tuple((one.debit_minor - one.credit_minor) for one in state.lines)
            return state.status, state.currency, state.journal_date, sorted(lines)
        case template.Template():
            return state.status, state.runs
        case bankline.Bankline():
            both = state.match and (len(state.match.line_ids), len(state.match.payment_ids))
            return state.amount_minor, state.booked_on, state.currency, both
        case year.Year():
            return (state.status,)
        case _:
            return None


def levied(document: invoice.Invoice | voucher.Voucher) -> list[tuple[int, int, list[tuple[str, Decimal]]]]:
    """What each line of a document is without and with taxes, and which they are."""
    return [
        (
            line.amount_minor,
            line.vat_minor,
            [(one.levy.code, one.levy.percent * 100) for one in line.taxes],
        )
        for line in document.terms.lines
    ]


def charged(line: dict[str, Any]) -> list[tuple[str, int]]:
    return [(code, found[1]) for code, found, _ in line["taxes"]] if line["codes"] else []


def expected(company: Company, name: str) -> Any:
    """The same, of the model."""
    if name in company.money:
        one, status = company.money[name], company.status(name)
        left, worth = company.open(name) if status in {"COMPLETED", "RECONCILED"} else (0, 0)
        numbered = status in {"COMPLETED", "RECONCILED", "REVERSED"}
        return status, left, worth, numbered, in_order(company.allocated, name)
    if name in company.documents:
        one, status = company.documents[name], company.status(name)
        left, worth = company.open(name)
        numbered = one["entry"] is not None
        kept = company.settled if one["debt"] else company.allocated
        taxed = [(line["net"], line["tax"], charged(line)) for line in one["lines"]]
        return status, taxed, left, worth if numbered else 0, numbered, in_order(kept, name)
    if name in company.entries:
        one = company.entries[name]
        lines = sorted(minor for _, minor, *_ in one["lines"])
        return one["status"], one["currency"], one["day"], lines
    if name in company.lines:
        one = company.lines[name]
        both = one["match"] and tuple(map(len, company.matches[one["match"]]))
        return one["minor"], one["day"], one["currency"], both
    if name in company.templates:
        one = company.templates[name]
        return one["status"], one["runs"]
    return None


def part(one: Allocation | Settlement, day: date, other_base_minor: int | None) -> Part:
    """A part as it is compared: what it is worth on both sides decides what later ones are worth."""
    own, other = (
        one.amount_minor if worth is None else worth for worth in (one.base_minor, other_base_minor)
    )
    return one.amount_minor, day, own, other


def in_order(kept: dict[tuple[str, int], dict[str, Any]], name: str) -> list[Any]:
    """The allocations of a credit, or settlements of a debt, in the order they were made in."""
    parts = [kept[key] for key in sorted(key for key in kept if key[0] == name)]
    whole = [(one["minor"], one["day"], one["worth"], one.get("debt_worth", one["worth"])) for one in parts]
    return [(*each, one["of"]) if "of" in one else each for each, one in zip(whole, parts, strict=True)]


def differing(found: dict[Any, Any], wanted: dict[Any, Any]) -> str:
    places = sorted({*found, *wanted}, key=str)
    told = [
        f"{place} is {found.get(place)}, and should be {wanted.get(place)}"
        for place in places
        if found.get(place) != wanted.get(place)
    ]
    return "; ".join(told)


def setting(
    company: Company, state: Any, names: dict[str, tuple[str, str]], document: Any
) -> tuple[Any, Any]:
    """What a state of the company as a whole says, and what the model says; `document` is what a yes is given to."""
    match state:
        case rate.Rate():
            wanted = {
                day: one for (currency, day), one in company.rates.items() if currency == state.currency
            }
            return {one.valid_from: one.rate * ONE for one in state.quotes}, wanted
        case period.Period():
            year_, number = int(state.name[2:6]), int(state.name[-2:])
            return state.status, company.periods.get((year_, number))
        case year.Year():
            return state.status, company.years.get(int(state.fiscal_year[2:6]), ("OPEN",))[0]
        case policy.Policy():
            return (state.taxes_locked_through, state.pack is not None), (
                company.taxes_locked,
                company.serials,
            )
        case tax.Tax() if state.code in company.taxes:
            one = company.taxes[state.code]
            return (state.active, {q.valid_from: q.percent * 100 for q in state.quotes}), (
                one["active"],
                one["rates"],
            )
        case authority.Authority():
            found = {
                rule.valid_from: (
                    rule.four_eyes,
                    tuple((tier.above_minor, tier.approvers, tier.senior) for tier in rule.tiers),
                )
                for rule in state.rules
            }
            return found, company.rules
        case folder.Folder() if state.document_id in names:
            papers = tuple(
                (one.sha256[-2:], one.supersedes and one.supersedes[-2:]) for one in state.attachments
            )
            return papers, company.folders.get(names[state.document_id][1])
        case account.Account() if "-" in state.code:
            kind, currency, _, active = company.accounts[state.code]
            return (state.account_type, state.currency, state.active), (kind, currency, active)
        case account.Account():
            return state.active, company.accounts[state.code][3]
        case approval.Approval() if state.document_id in names:
            _, name = names[state.document_id]
            counts = document is not None and state.document_version == document.version
            act, people = company.yes.get(name, (None, frozenset()))
            said = (state.act is None, frozenset(state.approvers)) if counts else None
            return said, (act == BINDING, people) if people else None
        case _:
            return None, None
