"""Claims about when an alert is raised and when it ends."""

import math
from collections.abc import Iterable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.metrics.alerts.evaluation import Change, Watches, alerts, evaluate
from stellwerk.metrics.alerts.rules import Rules
from stellwerk.metrics.model import Series, Status
from tests.unit.metrics.alerts.examples import (
    CPU,
    HIT_RATE,
    INTERVAL,
    MEMORY,
    REDIS_READABLE,
    REDIS_UP,
    START,
    TABLE,
    rules,
)

MISSING_SECONDS = 900.0
Collected = Mapping[Series, float]


class Host:
    """Collections at a steady pace, and all that changed."""

    def __init__(self, judged: Rules | None = None) -> None:
        self.rules = judged or rules()
        self.watches: Watches = {}
        self.at = START
        self.changes: list[tuple[float, Change, Status]] = []

    def collect(self, values: Collected, after: float = INTERVAL) -> None:
        self.at += after
        found = evaluate(self.rules, self.watches, values.items(), self.at, MISSING_SECONDS)
        self.watches = found.watches
        for one in found.changes:
            severity = one.watch.severity
            self.changes.append((self.at - START, one.change, severity))

    def collect_all(self, series: Series, values: Iterable[float | None]) -> None:
        for value in values:
            self.collect({} if value is None else {series: value})

    @property
    def story(self) -> list[Change]:
        return [change for _, change, _ in self.changes]


def test_what_is_down_for_a_minute_raises_one_alert_that_clears_once() -> None:
    host = Host()
    host.collect_all(REDIS_UP, [1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    assert host.changes == [
        (75, Change.RAISED, Status.CRITICAL),
        (135, Change.CLEARED, Status.OK),
    ]


def test_a_peak_shorter_than_asked_raises_none() -> None:
    host = Host()
    host.collect_all(CPU, [99] * 8 + [50] + [99] * 8 + [50])
    assert host.story == []
    assert host.watches == {}


def test_a_short_dip_below_the_threshold_clears_no_alert() -> None:
    host = Host()
    host.collect_all(CPU, [99] * 10 + [50, 50, 99, 50, 50, 99])
    assert host.story == [Change.RAISED]


def test_a_warning_that_gets_worse_is_the_same_alert() -> None:
    host = Host()
    host.collect_all(CPU, [85] * 10 + [99] * 10 + [85] * 10 + [50] * 5)
    assert host.story == [Change.RAISED, Change.WORSE, Change.EASED, Change.CLEARED]
    assert [severity for _, _, severity in host.changes] == [
        Status.WARNING,
        Status.CRITICAL,
        Status.WARNING,
        Status.OK,
    ]


def test_a_value_at_its_threshold_is_beyond_it() -> None:
    host = Host(rules(for_seconds=0))
    host.collect({CPU: 80.0, MEMORY: 79.999})
    assert [one.series for one in host.watches.values()] == [CPU]


def test_a_lower_bound_is_broken_by_falling() -> None:
    host = Host()
    host.collect_all(HIT_RATE, [60] * 10)
    assert host.changes == [(135, Change.RAISED, Status.WARNING)]


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_values_that_are_missing_neither_raise_nor_clear(nothing: float | None) -> None:
    host = Host()
    host.collect_all(HIT_RATE, [nothing] * 100)
    assert host.watches == {}
    host.collect_all(HIT_RATE, [10] * 10 + [nothing] * 50)
    assert host.story == [Change.RAISED]
    assert alerts(host.watches)


def test_an_alert_without_values_for_long_ends_as_lost_not_as_cleared() -> None:
    host = Host()
    host.collect_all(HIT_RATE, [10] * 10)
    host.collect_all(CPU, [10] * 61)
    assert host.story == [Change.RAISED, Change.LOST]
    assert host.watches == {}


def test_what_is_measured_every_five_minutes_is_judged_as_well() -> None:
    judged = rules(for_seconds=300)
    host = Host(judged)
    for _ in range(3):
        host.collect({CPU: 99}, after=300)
    assert host.story == [Change.RAISED]


def test_a_source_that_is_down_is_one_alert_and_one_that_is_unreadable_too() -> None:
    host = Host()
    for _ in range(12):
        host.collect({REDIS_READABLE: 0, REDIS_UP: 0})
    assert {one.series for one in alerts(host.watches).values()} == {REDIS_UP}
    refused = Host()
    for _ in range(12):
        refused.collect({REDIS_READABLE: 0})
    assert {one.series for one in alerts(refused.watches).values()} == {REDIS_READABLE}


def test_a_metric_without_thresholds_or_disabled_is_not_judged() -> None:
    host = Host(rules(disabled=["system.cpu_percent"], for_seconds=0))
    host.collect({TABLE: 1e9, CPU: 100.0})
    assert host.watches == {}


def test_one_metric_may_wait_longer_than_others() -> None:
    host = Host(rules(lasting_seconds={"redis.availability": 300}))
    host.collect_all(REDIS_UP, [0] * 20)
    assert host.story == []
    host.collect_all(REDIS_UP, [0, 0])
    assert host.story == [Change.RAISED]


def test_a_clock_that_is_set_back_raises_and_clears_nothing_by_itself() -> None:
    host = Host()
    host.collect_all(CPU, [99] * 5)
    host.collect({CPU: 99}, after=-86400)
    assert host.story == []
    host.collect_all(CPU, [99] * 8)
    assert host.story == [Change.RAISED]


_VALUES = st.lists(st.sampled_from([None, 10.0, 85.0, 99.0]), max_size=80)
_TIMES = st.sampled_from([0.0, 15.0, 30.0, 60.0, 120.0])


def _statuses(values: Sequence[float | None]) -> list[Status | None]:
    known = {None: None, 10.0: Status.OK, 85.0: Status.WARNING, 99.0: Status.CRITICAL}
    return [known[value] for value in values]


def _lasted(statuses: Sequence[Status | None], wanted: set[Status], seconds: float) -> bool:
    """Whether the last values that there are have been so, for at least this time."""
    first = None
    for place, status in reversed(list(enumerate(statuses))):
        if status is None:
            continue
        if status not in wanted:
            break
        first = place
    return first is not None and (len(statuses) - 1 - first) * INTERVAL >= seconds


@given(values=_VALUES, lasts=_TIMES, recovery=_TIMES)
def test_whatever_the_values_alerts_are_as_the_values_lasted(
    values: list[float | None], lasts: float, recovery: float
) -> None:
    host = Host(rules(for_seconds=int(lasts), recovery_seconds=int(recovery)))
    statuses = _statuses(values)
    warning = critical = False
    for place, value in enumerate(values):
        told = len(host.changes)
        host.collect({} if value is None else {CPU: value})
        if value is None:
            assert len(host.changes) == told
            continue
        seen = statuses[: place + 1]
        if _lasted(seen, {Status.WARNING, Status.CRITICAL}, lasts):
            warning = True
        elif _lasted(seen, {Status.OK}, recovery):
            warning = False
        if _lasted(seen, {Status.CRITICAL}, lasts):
            critical = True
        elif _lasted(seen, {Status.OK, Status.WARNING}, recovery):
            critical = False
        expected = Status.CRITICAL if critical else Status.WARNING if warning else None
        found = alerts(host.watches).get(CPU.key)
        assert (found.severity if found else None) == expected


@given(values=_VALUES, lasts=_TIMES, recovery=_TIMES)
def test_whatever_the_values_an_alert_is_raised_once_and_ends_once(
    values: list[float | None], lasts: float, recovery: float
) -> None:
    host = Host(rules(for_seconds=int(lasts), recovery_seconds=int(recovery)))
    host.collect_all(CPU, values)
    severity = Status.OK
    for _, change, after in host.changes:
        if change is Change.RAISED:
            assert severity is Status.OK
            assert after is not Status.OK
        elif change is Change.CLEARED:
            assert severity is not Status.OK
            assert after is Status.OK
        else:
            assert {severity, after} == {Status.WARNING, Status.CRITICAL}
        severity = after


@given(st.lists(st.sampled_from([10.0, 85.0, 99.0]), max_size=40), st.integers(1, 3))
def test_values_of_one_series_say_nothing_of_another(values: list[float], step: int) -> None:
    alone, together = Host(), Host()
    for place, value in enumerate(values):
        alone.collect({CPU: value})
        together.collect({CPU: value, MEMORY: 99.0 if place % step else 10.0})
    assert alone.watches.get(CPU.key) == together.watches.get(CPU.key)
