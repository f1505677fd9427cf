"""The text of a defect, and what is refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tranche.service import (
    Defect,
    DefectRefused,
    HarmlessDefect,
    ImpossibleDefect,
    Service,
    UnknownDefect,
    parse_defect,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("errors=+1%@24h", Defect(onset_s=86_400, errors_added=0.01)),
        ("errors=x5@0s", Defect(errors_factor=5)),
        ("errors=×5", Defect(errors_factor=5)),
        (" errors = + 0.25 % @ 90 m ", Defect(onset_s=5400, errors_added=0.0025)),
        ("p95=+50%@1h", Defect(onset_s=3600, latency_factor=1.5)),
        ("p95=x2", Defect(latency_factor=2)),
        ("p95=+150%@1.5d", Defect(onset_s=129_600, latency_factor=2.5)),
    ],
)
def test_a_defect_is_read_from_its_text(text: str, expected: Defect) -> None:
    assert parse_defect(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "errors",
        "errors=1%",
        "errors=+1",
        "errors=5x",
        "latency=x2",
        "errors=+1%@24",
        "p95=-50%",
        "p95=x2@h",
    ],
)
def test_what_is_no_defect_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UnknownDefect, match=r"expected a defect, found '.*'; write errors=\+1%@24h"):
        parse_defect(text)


@pytest.mark.parametrize("text", ["errors=+0%", "errors=x1", "errors=x0.5", "p95=x1.0@1h", "p95=+0.0%"])
def test_what_makes_nothing_worse_is_refused(text: str) -> None:
    with pytest.raises(HarmlessDefect, match=r"found '.*'; raise the number"):
        parse_defect(text)


def test_more_errors_than_requests_are_refused() -> None:
    assert parse_defect("errors=+100%").errors_added == 1
    with pytest.raises(ImpossibleDefect, match="at most 100 %"):
        parse_defect("errors=+101%")


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_defect(text)
    except DefectRefused as refused:
        assert text in str(refused)  # noqa: PT017 - both outcomes are right
    else:
        assert found != Defect(onset_s=found.onset_s)


def test_the_spread_of_the_latency_follows_from_median_and_p95() -> None:
    service = Service(requests_per_s=1, base_error_share=0, median_ms=100, p95_ms=100 * math.exp(1.6448536))

    assert service.latency_sd == pytest.approx(1, abs=1e-6)
