"""What operators see of scaling fits a terminal and says what matters."""

from dataclasses import replace
from datetime import timedelta

import pytest

from stellwerk.scaling.records import DecisionRow, Order, ScalerSign
from stellwerk.scaling.status import ServiceStatus, Status
from stellwerk.scaling.status_view import explanation, table
from stellwerk.terminal.paint import Paint
from tests.unit.scaling.clusters import NOW

PLAIN = Paint(coloured=False)
ROW = DecisionRow(
    7,
    NOW - timedelta(seconds=12),
    "aktienanalyse-frontend",
    12,
    13,
    "aktienanalyse-frontend goes from 12 to 13: \x1b[31mcpu_percent averaged 90.",
    {
        "held": [{"by": "cooldown", "text": "288 s of the rest after an addition are left"}],
        "in_emergency": True,
    },
)
SERVICE = ServiceStatus(
    "aktienanalyse-frontend", True, 13, 12, 1, 0, 10, 16, 100.0, 100.0, None, ROW, ROW
)
STATUS = Status(NOW, (SERVICE,), (ScalerSign("db-1", True),), NOW, timedelta(seconds=60))


def lines(shown: Status) -> list[str]:
    return table(shown, 80, PLAIN)


def test_the_shipped_names_fit_80_columns_whole() -> None:
    for order in (None, Order("x", None, None, "anna", NOW)):
        found = lines(replace(STATUS, services=(replace(SERVICE, order=order),)))
        assert all(len(line) <= 80 for line in found), found
        assert found[1].startswith("aktienanalyse-frontend ")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "db-1 leads, and judged 0s ago."),
        ({"scalers": ()}, "No scaler leads: numbers stay as they are."),
        ({"judged_at": None}, "db-1 leads, and judged never."),
        ({"judged_at": NOW - timedelta(hours=1)}, "and judged at 2026-03-04 11:00:00 UTC."),
        (
            {"scalers": (ScalerSign("db-1", True), ScalerSign("m-2", False))},
            "db-1 leads, and judged 0s ago. m-2 stands by.",
        ),
    ],
)
def test_the_footer_says_who_leads_and_whether_it_judges(
    changed: dict[str, object], said: str
) -> None:
    assert lines(replace(STATUS, **changed))[-1].endswith(said)  # type: ignore[arg-type]


def test_silent_agents_are_named() -> None:
    found = lines(replace(STATUS, silent=("app-1", "lb-1")))
    assert found[-1] == "Agents that are not heard of: app-1, lb-1."
    assert "heard" not in "".join(lines(STATUS))


def test_an_order_is_noted_below_its_service() -> None:
    ordered = replace(SERVICE, starting=0, order=Order("x", 4, NOW, "anna on db-1", NOW))
    _, _, note, *_ = lines(replace(STATUS, services=(ordered,)))
    assert note == "  set to 4 by anna on db-1 until 2026-03-04 12:00:00 UTC"


def test_rules_without_metrics_are_named() -> None:
    votes = [{"rule": name, "missing": name == "errors"} for name in ("errors", "sessions")]
    row = replace(ROW, inputs={"votes": votes})
    _, _, note, *_ = lines(replace(STATUS, services=(replace(SERVICE, decision=row, starting=0),)))
    assert note == "  nothing is removed, as metrics are missing: errors"


def test_a_rule_that_asks_for_no_change_says_so() -> None:
    vote = {"direction": "none", "text": "cpu_percent 40, between 30 and 80"}
    row = replace(ROW, inputs={"votes": [vote]})
    found = list(explanation(replace(SERVICE, decision=row), 80, PLAIN))
    assert "  as it is: cpu_percent 40, between 30 and 80" in found


def test_an_emergency_and_what_holds_back_are_shown() -> None:
    _, row, *notes = lines(STATUS)
    assert row.endswith("emergency")
    assert "1 starting; held back: 288 s of the rest" in " ".join(notes)


def test_a_service_at_rest_at_its_minimum_has_a_line_without_a_note() -> None:
    row = replace(ROW, inputs={"held": [{"by": "minimum", "text": "2 is its minimum"}]})
    found = lines(replace(STATUS, services=(replace(SERVICE, starting=0, decision=row),)))
    assert not any("minimum" in line for line in found)
    assert any(
        "2 is its minimum" in line
        for line in explanation(replace(SERVICE, decision=row), 80, PLAIN)
    )


@pytest.mark.parametrize(
    ("forecast", "said"),
    [
        ((5, "what the daily forecast takes", True), "  5: what the daily forecast takes"),
        ((5, "off by 40.0 %", False), "  5, not acted on: off by 40.0 %"),
        ((None, "there are 6 h of history", False), "  there is none: there are 6 h of history"),
    ],
)
def test_an_explanation_has_what_forecasts_say_also_where_they_are_not_acted_on(
    forecast: tuple[int | None, str, bool], said: str
) -> None:
    inputs = dict(zip(("instances", "reason", "is_acted_on"), forecast, strict=True))
    row = replace(ROW, inputs={"forecast": inputs})
    found = list(explanation(replace(SERVICE, decision=row), 80, PLAIN))
    assert found[found.index("What its forecast says") + 1] == said
    unforeseen = replace(ROW, inputs={"forecast": None})
    assert "forecast" not in "".join(explanation(replace(SERVICE, decision=unforeseen), 80, PLAIN))


def test_an_explanation_cannot_steer_the_terminal_and_works_without_a_judgement() -> None:
    assert "\x1b" not in "".join(explanation(SERVICE, 80, PLAIN))
    assert "not been judged" in "".join(
        explanation(replace(SERVICE, decision=None, changed=None), 80, PLAIN)
    )
