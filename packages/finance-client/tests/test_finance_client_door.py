"""How the client asks: again with the same key when the world says no, not again when the rules do, never for ever."""

import errno
import inspect
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from finance_client import (
    Code,
    Denied,
    Finance,
    InvoiceFilter,
    NewAccount,
    NewJournal,
    NewJournalLine,
    NewPayment,
    Refused,
    Retry,
    Unavailable,
    Unreadable,
)

ACCOUNT = {
    "id": "a",
    "accountCode": "1000",
    "accountName": "Cash",
    "accountType": "ASSET",
    "currency": "BDT",
    "isActive": True,
    "balance": {"amount": "12345678901234567.89", "currency": "BDT"},
    "parentAccountId": None,
}
MADE = {"data": {"createAccount": {"__typename": "Account", **ACCOUNT}}}
NEW = NewAccount(account_code="1000", account_name="Cash", account_type="ASSET")


@dataclass
class Service:
    """Answers with these statuses and bodies, one after the other; the last again and again. None cuts the line."""

    answers: list[tuple[int, object] | None]
    asked: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    broken_off: bytes = b""
    tokens: list[str] = field(default_factory=list)
    url: str = ""

    def next(self) -> tuple[int, object] | None:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            service.asked.append(json.loads(body))
            self.answer()

        def do_GET(self) -> None:
            service.paths.append(self.path)
            self.answer()

        def answer(self) -> None:
            service.tokens.append(self.headers["authorization"])
            told = service.next()
            if told is None:
                self.close_connection = True
                return
            status, value = told
            encoded = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            cut = encoded == service.broken_off and len(service.answers) > 1
            self.send_header("content-length", str(len(encoded) + cut))
            self.send_header("content-disposition", 'attachment; filename="../trial.csv"')
            self.end_headers()
            self.wfile.write(encoded)
            self.close_connection = cut

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    return Handler


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service([(200, MADE)])
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(made)) as server:
        made.url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield made
        server.shutdown()


@dataclass
class Patience:
    """A clock of its own: remembers the pauses and waits for none."""

    slept: list[float] = field(default_factory=list)

    def client(self, service: Service, attempts: int = 3) -> Finance:
        tokens = map("t{}".format, range(100))
        keys = map("k{}".format, range(100))
        return Finance(
            service.url + "/",
            token=lambda: next(tokens),
            retry=Retry(attempts=attempts, first_pause_s=0.1, longest_pause_s=0.3),
            timeout_s=5,
            sleep=self.slept.append,
            chance=lambda: 0.5,
            new_key=lambda: next(keys),
        )


@pytest.fixture
def patience() -> Patience:
    return Patience()


def test_amounts_are_exact(service: Service, patience: Patience) -> None:
    made = patience.client(service).accounts.create(NEW)
    assert made.balance.amount == Decimal("12345678901234567.89")
    assert made.parent_account_id is None


def test_money_is_sent_as_text_and_what_is_not_given_is_not_sent(
    service: Service, patience: Patience
) -> None:
    new = NewPayment(
        amount=Decimal("0.10"), payment_method="CASH", payment_date=date(2026, 11, 23), invoice_id="i"
    )
    service.answers = [
        (200, {"data": {"createPayment": {"__typename": "Refusal", "code": "c", "message": "m"}}})
    ]
    with pytest.raises(Refused):
        patience.client(service).payments.create(new)
    assert service.asked[0]["variables"] == {
        "input": {"amount": "0.10", "paymentMethod": "CASH", "paymentDate": "2026-11-23", "invoiceId": "i"},
        "idempotencyKey": "k0",
    }


@pytest.mark.parametrize(
    ("amount", "sent"),
    [
        ("2E+3", "2000"),
        ("0.00000001", "0.00000001"),
        ("0E-8", "0.00000000"),
        ("0.105", "0.105"),
        ("12345678901234567890123456789.123456789", "12345678901234567890123456789.123456789"),
        ("-0", "-0"),
        ("NaN", "NaN"),
    ],
)
def test_an_amount_is_sent_digit_by_digit_and_as_it_was_given(
    service: Service, patience: Patience, amount: str, sent: str
) -> None:
    lines = (NewJournalLine(account_id="a", debit=Decimal(amount)),) * 2
    new = NewJournal(journal_date=date(2026, 11, 23), description="d", lines=lines)
    with pytest.raises(Unreadable):
        patience.client(service).journals.create(new)
    told = service.asked[0]["variables"]["input"]["lines"]
    assert told == [{"accountId": "a", "debit": sent}] * 2


@pytest.mark.parametrize(
    "failure", [None, (500, b"{}"), (503, b"away"), (429, b""), (502, b"<html>"), (504, b"")]
)
def test_what_the_world_did_not_do_is_asked_again_with_the_same_key_and_a_new_token(
    service: Service, patience: Patience, failure: Any
) -> None:
    service.answers = [failure, failure, (200, MADE)]
    client = patience.client(service)
    client.accounts.create(NEW)
    client.accounts.create(NEW)
    assert [one["variables"]["idempotencyKey"] for one in service.asked] == ["k0"] * 3 + ["k1"]
    assert service.tokens[:3] == ["Bearer t0", "Bearer t1", "Bearer t2"]


def test_attempts_and_pauses_are_bounded_and_the_key_is_told(service: Service, patience: Patience) -> None:
    service.answers = [(500, b"{}")]
    with pytest.raises(Unavailable, match="5 attempts") as told:
        patience.client(service, attempts=5).accounts.create(NEW, key="mine")
    assert (told.value.key, len(service.asked)) == ("mine", 5)
    assert patience.slept == pytest.approx([0.075, 0.15, 0.225, 0.225])
    assert [Retry().pause_s(1, chance) for chance in (0.0, 1.0)] == [0.05, 0.1]
    with pytest.raises(Unavailable) as asked:
        patience.client(service).accounts.by_code("1000")
    assert asked.value.key is None, "a question has none"


def test_threads_may_share_one_and_each_command_has_its_own_key(service: Service, patience: Patience) -> None:
    client = patience.client(service)
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: client.accounts.create(NEW), range(40)))
    assert [one.id for one in made] == ["a"] * 40
    assert len({one["variables"]["idempotencyKey"] for one in service.asked}) == 40


def test_nobody_at_the_door_is_unavailable(service: Service, patience: Patience) -> None:
    away = Service([None], url="http://127.0.0.1:9")
    with pytest.raises(Unavailable, match="3 attempts"):
        patience.client(away).accounts.by_code("1000")


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (
            200,
            {
                "data": {
                    "createAccount": {"__typename": "Refusal", "code": "account-code-taken", "message": "m"}
                }
            },
            Refused,
            "account-code-taken",
        ),
        (
            400,
            {"errors": [{"message": "m", "extensions": {"code": "request-invalid"}}]},
            Refused,
            "request-invalid",
        ),
        (
            401,
            {"errors": [{"message": "m", "extensions": {"code": "token-expired"}}]},
            Denied,
            "token-expired",
        ),
        (
            403,
            {"data": None, "errors": [{"message": "m", "extensions": {"code": "permission-missing"}}]},
            Denied,
            "permission-missing",
        ),
        (413, {"errors": [{"message": "m"}]}, Refused, "http-413"),
    ],
)
def test_what_the_rules_say_no_to_is_told_once_and_by_its_code(
    service: Service, patience: Patience, status: int, body: object, kind: type[Refused], code: str
) -> None:
    service.answers = [(status, body)]
    with pytest.raises(kind) as told:
        patience.client(service).accounts.create(NEW)
    assert (type(told.value), told.value.code, told.value.message) == (kind, code, "m")
    assert (len(service.asked), patience.slept) == (1, [])


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (200, {"data": None}),
        (200, {"data": {}}),
        (404, {}),
        (302, {"data": {"createAccount": {"__typename": "Account", **ACCOUNT}}}),
        (200, {"data": {"createAccount": {"__typename": "DryRun"}}}),
        (200, {"data": {"createAccount": {**ACCOUNT}}}),
        (200, {"data": {"createAccount": {"__typename": "Account", "id": 7}}}),
        (200, {"data": {"createAccount": {"__typename": "Account", **ACCOUNT, "balance": None}}}),
    ],
)
def test_what_is_no_answer_of_the_service_is_not_taken_for_one(
    service: Service, patience: Patience, status: int, body: object
) -> None:
    service.answers = [(status, body)]
    with pytest.raises(Unreadable):
        patience.client(service).accounts.create(NEW)
    assert len(service.asked) == 1


def test_a_list_is_walked_to_its_end_one_page_at_a_time(service: Service, patience: Patience) -> None:
    def page(cursor: str | None) -> tuple[int, object]:
        info = {"hasNextPage": cursor is not None, "endCursor": cursor}
        return 200, {"data": {"accountsConnection": {"nodes": [ACCOUNT, ACCOUNT], "pageInfo": info}}}

    service.answers = [page("c1"), (500, b""), page("c2"), page(None)]
    walk = patience.client(service).accounts.all(page=2)
    assert service.asked == []
    assert next(walk).id == "a"
    assert len(service.asked) == 1
    assert sum(1 for _ in walk) == 5
    asked = [(one["variables"]["first"], one["variables"]["after"]) for one in service.asked]
    assert asked == [(2, None), (2, "c1"), (2, "c1"), (2, "c2")]


def test_a_filter_says_only_what_it_was_given(service: Service, patience: Patience) -> None:
    info = {"hasNextPage": False, "endCursor": None}
    service.answers = [(200, {"data": {"invoicesConnection": {"nodes": [], "pageInfo": info}}})]
    wanted = InvoiceFilter(first_on=date(2026, 7, 1), statuses=("OVERDUE",), amount_from=Decimal("1000.00"))
    assert list(patience.client(service).invoices.all(wanted)) == []
    assert service.asked[0]["variables"]["filter"] == {
        "from": "2026-07-01",
        "statuses": ["OVERDUE"],
        "amountFrom": "1000.00",
    }


def test_one_that_is_not_there_is_none(service: Service, patience: Patience) -> None:
    service.answers = [(200, {"data": {"invoice": None}})]
    assert patience.client(service).invoices.get("i") is None


REHEARSED = {
    "entries": [],
    "numbers": ["INV-1"],
    "events": ["invoice.approved/1"],
    "othersHaveToAgree": False,
}


def test_a_rehearsal_is_sent_as_one_with_the_same_patience_and_tells_what_would_be(
    service: Service, patience: Patience
) -> None:
    service.answers = [(503, b""), (200, {"data": {"approveInvoice": {"__typename": "DryRun", **REHEARSED}}})]
    told = patience.client(service).invoices.approve.rehearse("i")
    assert (told.numbers, told.events, told.entries) == (("INV-1",), ("invoice.approved/1",), ())
    assert [one["variables"] for one in service.asked] == [{"id": "i", "idempotencyKey": "k0"}] * 2
    assert all("@dryRun" in one["query"] for one in service.asked)
    with pytest.raises(Unreadable, match="expected Invoice, found DryRun"):
        patience.client(service).invoices.approve("i")
    assert "@dryRun" not in service.asked[-1]["query"]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"__typename": "Refusal", "code": "invoice-not-draft", "message": "m"}, Refused),
        ({"__typename": "Invoice", "id": "i"}, Unreadable),
    ],
)
def test_a_rehearsal_meets_the_refusal_and_takes_nothing_done_for_told(
    service: Service, patience: Patience, value: object, kind: type[Exception]
) -> None:
    service.answers = [(200, {"data": {"approveInvoice": value}})]
    with pytest.raises(kind):
        patience.client(service).invoices.approve.rehearse("i")


def test_a_command_shows_what_it_takes(service: Service, patience: Patience) -> None:
    command = patience.client(service).journals.reverse
    assert list(inspect.signature(command).parameters) == ["journal_id", "on", "reason", "key"]
    assert command.__doc__ == "Post the mirror image of an entry; answers with the new entry."


def test_what_a_newer_service_says_is_read_as_text(service: Service, patience: Patience) -> None:
    newer = {**ACCOUNT, "accountType": "CONTINGENT", "balance": {"amount": "0.00", "currency": "XDR"}}
    service.answers = [
        (200, {"data": {"accountByCode": newer}}),
        (
            200,
            {"data": {"createAccount": {"__typename": "Refusal", "code": "moon-not-full", "message": "m"}}},
        ),
    ]
    found = patience.client(service).accounts.by_code("9000")
    assert found is not None
    assert (found.account_type, found.balance.currency) == ("CONTINGENT", "XDR")
    with pytest.raises(Refused) as told:
        patience.client(service).accounts.create(NEW)
    assert told.value.code == "moon-not-full"
    assert told.value.code not in set(Code)


def test_a_code_is_the_text_that_the_service_says(service: Service, patience: Patience) -> None:
    value = {"__typename": "Refusal", "code": "account-code-taken", "message": "m"}
    service.answers = [(200, {"data": {"createAccount": value}})]
    with pytest.raises(Refused) as told:
        patience.client(service).accounts.create(NEW)
    assert told.value.code == Code.ACCOUNT_CODE_TAKEN


def test_a_fault_is_told_by_its_name(service: Service, patience: Patience) -> None:
    service.answers = [(500, {"errors": [{"message": "m", "extensions": {"code": "contended"}}]})]
    with pytest.raises(Unavailable) as told:
        patience.client(service).accounts.create(NEW)
    assert told.value.code == Code.CONTENDED


def test_a_float_is_no_amount() -> None:
    with pytest.raises(TypeError, match=r"NewPayment.amount: expected Decimal, found the float 0.1"):
        NewPayment(amount=0.1, payment_method="CASH", payment_date=date(2026, 11, 23))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"NewJournalLine.credit"):
        NewJournalLine(account_id="a", credit=float("nan"))  # type: ignore[arg-type]


def test_a_file_is_there_whole_and_under_the_name_that_it_comes_with(
    service: Service, patience: Patience, tmp_path: Path
) -> None:
    service.broken_off = b"half a file" * 20_000
    service.answers = [(200, service.broken_off), (503, b""), (200, b"1,2\r\n")]
    asked = {"fiscalYear": "FY2026-2027", "asOfDate": date(2026, 11, 23)}
    made = patience.client(service).exports.save("trial-balance.csv", asked, to=tmp_path)
    assert (made, made.read_bytes()) == (tmp_path / "trial.csv", b"1,2\r\n"), "a path in a name leads nowhere"
    assert service.paths == ["/exports/trial-balance.csv?fiscalYear=FY2026-2027&asOfDate=2026-11-23"] * 3
    assert service.tokens == ["Bearer t0", "Bearer t1", "Bearer t2"]
    assert list(tmp_path.iterdir()) == [made]


class Full(io.BytesIO):
    """A disk with room for one chunk."""

    def write(self, chunk: Any) -> int:
        if self.tell():
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(chunk)


def test_a_full_disk_is_no_fault_of_the_service_and_is_told_once(
    service: Service, patience: Patience
) -> None:
    client = patience.client(service)
    service.answers = [(200, b"x" * 200_000), (200, {"data": {"accountByCode": ACCOUNT}})]
    with pytest.raises(OSError, match="No space left"):
        client.exports._door.download("exports/trial-balance.csv", {}, Full())
    assert (len(service.paths), patience.slept) == (1, [])
    found = client.accounts.by_code("1000")
    assert (found and found.id, patience.slept) == ("a", [])


def test_a_file_takes_no_other_files_place(service: Service, patience: Patience, tmp_path: Path) -> None:
    service.answers = [(200, b"new")]
    there = tmp_path / "mine.csv"
    there.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        patience.client(service).exports.save("trial-balance.csv", {}, to=there)
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (
            404,
            {"errors": [{"message": "m", "extensions": {"code": "export-unknown"}}]},
            Refused,
            "export-unknown",
        ),
        (
            403,
            {"errors": [{"message": "m", "extensions": {"code": "permission-missing"}}]},
            Denied,
            "permission-missing",
        ),
        (404, b"<html>", Unreadable, None),
        (302, {}, Unreadable, None),
        (
            503,
            {"errors": [{"message": "m", "extensions": {"code": "exports-busy"}}]},
            Unavailable,
            "exports-busy",
        ),
    ],
)
def test_of_a_file_that_is_not_given_nothing_is_left(
    service: Service,
    patience: Patience,
    tmp_path: Path,
    status: int,
    body: object,
    kind: type[Exception],
    code: str | None,
) -> None:
    service.answers = [(status, body)]
    with pytest.raises(kind) as told:
        patience.client(service).exports.save("trial-balance.doc", {}, to=tmp_path)
    assert getattr(told.value, "code", None) == code
    assert list(tmp_path.iterdir()) == []
    assert len(service.paths) == (3 if kind is Unavailable else 1)


def test_a_list_by_offset_is_read_to_its_end_before_it_is_given_and_each_row_once(
    service: Service, patience: Patience
) -> None:
    def line(number: int) -> dict[str, Any]:
        told = {"id": f"l{number}", "accountId": "a", "bookedOn": "2026-11-23", "reference": "r", "text": "t"}
        money = {"amount": "1.00", "currency": "BDT"}
        return {
            **told,
            "amount": money,
            "isMatched": False,
            "matchedLineIds": [],
            "paymentIds": [],
            "journalIds": [],
            "version": 1,
        }

    pages = [range(200), range(199, 399), range(399, 401)]
    service.answers = [(200, {"data": {"bankLines": [line(number) for number in page]}}) for page in pages]
    lines = patience.client(service).bank.lines("a", is_matched=False)
    assert [one.id for one in lines] == [f"l{number}" for number in range(401)]
    asked = [(one["variables"]["limit"], one["variables"]["offset"]) for one in service.asked]
    assert asked == [(200, 0), (200, 200), (200, 400)]


def test_a_short_page_of_what_is_due_is_not_taken_for_the_last(service: Service, patience: Patience) -> None:
    def template(number: int) -> dict[str, Any]:
        told = {
            "kind": "RECURRING",
            "name": "Rent",
            "status": "ACTIVE",
            "currency": "BDT",
            "frequency": "MONTHLY",
        }
        none = {"endsOn": None, "asset": None, "lastRunOn": None, "lines": [], "dueOn": [], "journalIds": []}
        return {"id": f"t{number}", **told, **none, "startsOn": "2026-01-01", "runs": 0, "version": 1}

    def page(name: str, numbers: range) -> tuple[int, object]:
        return 200, {"data": {name: [template(number) for number in numbers]}}

    service.answers = [
        page("journalTemplates", range(200)),
        page("journalTemplates", range(200, 250)),
        page("dueJournalTemplates", range(3)),
        page("dueJournalTemplates", range(240, 242)),
    ]
    due = patience.client(service).templates.due(date(2026, 11, 23))
    assert [one.id for one in due] == ["t0", "t1", "t2", "t240", "t241"]
