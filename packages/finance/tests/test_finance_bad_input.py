"""What is no entry, no formula, no whole bank file, value by value: its own code, at once, and nothing is written."""

import base64
import time
from datetime import date
from typing import Any

import pytest
from test_finance_codes import cash, done, entry, refused, sales, template_of
from test_finance_mutations import changed, file_of

Desk = Any
DEEP = "(" * 5_000 + ")" * 5_000
LINES: dict[str, tuple[tuple[dict[str, str], dict[str, str]], str]] = {
    "a negative debit": (({"debit": "-5.00"}, {"credit": "-5.00"}), "amount-not-positive"),
    "a negative on the other side": (({"debit": "5.00"}, {"debit": "-5.00"}), "amount-not-positive"),
    "two sides of one line": (
        ({"debit": "5.00", "credit": "5.00"}, {"credit": "5.00"}),
        "journal-line-one-sided",
    ),
    "nothing on a line": (({"debit": "0"}, {"credit": "0"}), "journal-line-one-sided"),
    "a cent too much": (({"debit": "5.01"}, {"credit": "5.00"}), "journal-unbalanced"),
    "both on one side": (({"debit": "5.00"}, {"debit": "5.00"}), "journal-unbalanced"),
    "a third decimal": (({"debit": "5.005"}, {"credit": "5.005"}), "amount-malformed"),
    "an exponent": (({"debit": "5e2"}, {"credit": "5e2"}), "amount-malformed"),
    "no number": (({"debit": "NaN"}, {"credit": "NaN"}), "amount-malformed"),
    "without end": (({"debit": "Infinity"}, {"credit": "Infinity"}), "amount-malformed"),
    "digits of another script": (({"debit": "\u0665"}, {"credit": "5"}), "amount-malformed"),
    "more than any amount": (({"debit": "9" * 25}, {"credit": "9" * 25}), "amount-malformed"),
}
FORMULAS = {
    "__import__('os')": "formula-malformed",
    "9**9**9": "formula-malformed",
    "1/0": "formula-divides-by-zero",
    "1/(MONTH-11)": "formula-divides-by-zero",
    "9" * 20 + "*" + "9" * 20: "formula-overflows",
    "AMOUNT": "formula-name-unknown",
    DEEP: "formula-too-complex",
    "-5": "amount-not-positive",
    "1.001": "journal-unbalanced",
}
INSTANT_S = 2.0
"""Of processor time, on any machine: what would not end takes hours."""


@pytest.mark.integration
async def test_what_is_no_entry_is_refused_by_its_own_code_at_once_and_nothing_is_written(desk: Desk) -> None:
    await desk.rate_set("140", date(2026, 7, 1))
    foreign = await done(
        desk,
        "createAccount",
        {
            "input": {
                "accountCode": "1701",
                "accountName": "A till",
                "accountType": "ASSET",
                "currency": "EUR",
            }
        },
    )
    begun = time.process_time()
    for name, ((first, second), code) in LINES.items():
        assert await entry(desk, cash(desk, **first), sales(desk, **second)) == code, name
    elsewhere = {"accountId": foreign["Account_id"], "debit": "5.00"}
    assert await entry(desk, elsewhere, sales(desk, credit="5.00")) == "currency-mismatch"
    assert await entry(desk) == "journal-too-short"
    lines = [cash(desk, debit="0.01"), sales(desk, credit="0.01")]
    assert await entry(desk, *lines * 400) is None, "many lines are no fault"
    assert time.process_time() - begun < INSTANT_S * len(LINES)


@pytest.mark.integration
async def test_what_is_no_formula_is_refused_by_its_own_code_at_once_and_nothing_is_written(
    desk: Desk,
) -> None:
    for formula, code in FORMULAS.items():
        begun = time.process_time()
        assert await template_of(desk, formula) == code, formula[:40]
        assert time.process_time() - begun < INSTANT_S, formula[:40]


@pytest.mark.integration
async def test_a_bank_file_that_was_cut_off_is_refused_wherever_and_nothing_is_written(desk: Desk) -> None:
    given = file_of(desk, "D-1", 1_00)
    whole = base64.b64decode(given["input"]["content"])
    for length in range(0, len(whole), 7):
        half = base64.b64encode(whole[:length]).decode()
        code = await refused(desk, "importBankFile", changed(given, ("input", "content"), half))
        assert code == "bank-file-malformed", length
    broken = changed(given, ("input", "content"), given["input"]["content"][:-3])
    assert await refused(desk, "importBankFile", broken) == "bank-file-malformed"
    assert await refused(desk, "importBankFile", given) is None
