"""The movements that a figure is made of, as SQL: which fit, in the order of days, from a place on."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from finance.adapters.postgres.listing import Place, Values
from finance.figure import Figure
from finance.money import BASE
from finance.taxation import TOGETHER

MOVEMENT = """m.account_id, m.effective_date, m.{base}debit_minor AS debit, m.{base}credit_minor AS credit,
    m.journal_id::text, m.number, m.description, m.document_id, m.partner_id, m.position, m.place"""
"""What a movement is made of; `{base}` is "base_" for its worth in the books."""
IN_ORDER = "ORDER BY m.effective_date, m.position, m.place"
KIND_OF_ENTRY = "coalesce(o.journal_type, m.journal_type)"
ORIGINAL = " LEFT JOIN {schema}.journal o ON o.tenant_id = m.tenant_id AND o.id = m.original_id"
ACCOUNT = " JOIN {schema}.account a ON a.tenant_id = m.tenant_id AND a.id::text = m.account_id"
SIDE_OF = f"""CASE {KIND_OF_ENTRY} WHEN 'SALES' THEN 'OUTPUT' WHEN 'PURCHASE' THEN 'INPUT'
    ELSE CASE WHEN a.account_type = 'REVENUE' THEN 'OUTPUT' ELSE 'INPUT' END END"""
"""As `vat` tells whether a value was sold or bought."""

WAITING = """m.document_id IN (SELECT p.id::text FROM {{schema}}.payment p
    WHERE p.tenant_id = m.tenant_id AND p.status = 'COMPLETED' AND p.currency = {})"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """A figure, until when it is known, and of which accounts; its entries touch one of `beside`, too."""

    figure: Figure
    known: datetime | None = None
    account_ids: tuple[str, ...] | None = None
    not_account_ids: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    def page(self, after: Place | None, limit: int) -> tuple[str, Values]:
        """The query of a page, and its values; `{schema}` is left to be filled in."""
        base = "base_" if self.figure.currency == BASE else ""
        joined, where, values = self._fitting()
        if after is not None:
            values += after
            day, number, place = range(len(values) - 2, len(values) + 1)
            where += f" AND (m.effective_date, m.position, m.place) > (${day}, ${number}, ${place})"
        values.append(limit)
        return (
            f"SELECT {MOVEMENT.format(base=base)} FROM {{schema}}.movement m{joined}"  # noqa: S608 - terms are ours
            f" WHERE {where} {IN_ORDER} LIMIT ${len(values)}"
        ), tuple(values)

    def sum(self) -> tuple[str, Values]:
        """The query of what all of them come to, and how many they are."""
        base = "base_" if self.figure.currency == BASE else ""
        joined, where, values = self._fitting()
        net = f"m.{base}debit_minor - m.{base}credit_minor"
        return (
            f"SELECT coalesce(sum({net}), 0) AS net, count(*) AS count"  # noqa: S608 - as above
            f" FROM {{schema}}.movement m{joined} WHERE {where}"
        ), tuple(values)

    def _fitting(self) -> tuple[str, str, list[object]]:
        """What is joined, what must hold, and the values of it."""
        asked, values = self.figure, list[object]()
        terms: list[str] = []

        def term(text: str, value: object) -> None:
            values.append(value)
            terms.append(text.format(f"${len(values)}"))

        term("m.effective_date <= {}", asked.last)
        if asked.first is not None:
            term("m.effective_date >= {}", asked.first)
        if self.known is not None:
            term("m.posted_at <= {}", self.known)
        if asked.currency != BASE:
            term("m.currency = {}", asked.currency)
        if self.account_ids is not None:
            term("m.account_id = ANY({}::text[])", list(self.account_ids))
        if self.not_account_ids:
            term("m.account_id <> ALL({}::text[])", list(self.not_account_ids))
        if asked.types:
            term("a.account_type = ANY({}::text[])", list(asked.types))
        if asked.partner_id is not None:
            term("m.partner_id = {}", asked.partner_id)
        if asked.unnamed:
            terms.append("m.partner_id IS NULL")
        if asked.item_id is not None:
            term("coalesce(m.item_id, m.journal_id::text) = {}", asked.item_id)
        if asked.journal_id is not None:
            term("m.journal_id::text = {}", asked.journal_id)
        if asked.line is not None:
            term("m.place = {}", asked.line)
        if asked.until is not None:
            values += asked.until
            day, number, place = range(len(values) - 2, len(values) + 1)
            terms.append(f"(m.effective_date, m.position, m.place) <= (${day}, ${number}, ${place})")
        if asked.held is not None:
            term("m.currency = {}", asked.held)
        if asked.waiting:
            term(WAITING, asked.currency)
        if not asked.closing:
            terms.append(f"m.journal_type <> 'CLOSING' AND {KIND_OF_ENTRY} <> 'CLOSING'")
        if self.beside:
            term(
                "(SELECT bool_or(c.account_id = ANY({}::text[])) FROM {{schema}}.movement c"
                " WHERE c.tenant_id = m.tenant_id AND c.journal_id = m.journal_id)",
                list(self.beside),
            )
        if asked.section is not None:
            self._taxed(term, terms)
        original = ORIGINAL if not asked.closing or asked.section is not None else ""
        account = ACCOUNT if asked.types or asked.value else ""
        return original + account, " AND ".join(terms), values

    def _taxed(self, term: Callable[[str, object], None], terms: list[str]) -> None:
        asked = self.figure
        if asked.value:
            term(f"{{}} = ANY(string_to_array(m.tax_code, '{TOGETHER}'))", asked.code)
            term(f"{SIDE_OF} = {{}}", asked.section)
        elif asked.code is None:
            terms.append(f"m.tax_code IS NULL AND {KIND_OF_ENTRY} IN ('SALES', 'PURCHASE')")
        else:
            term("m.tax_code = {}", asked.code)
