"""When the scaler makes forecasts, of what, and what becomes of faults."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from stellwerk.scaling.scaler import foreseeing
from stellwerk.scaling.scaler.foreseeing import Forecasts, wanted
from stellwerk.settings.root import Settings
from tests.unit.scaling.clusters import host_file
from tests.unit.scaling.loads import DAY, Samples, at, noisy, samples, working_hours

FOUR_WEEKS = samples(29, noisy(working_hours, 0.05), every=3600)
MOMENT = datetime.fromtimestamp(at(28, 8.9), UTC)


class History:
    """What the ledger keeps, and what was asked of it."""

    def __init__(self, load: Samples = FOUR_WEEKS) -> None:
        self.load = load
        self.asked: list[tuple[str, timedelta]] = []

    async def __call__(self, service: str, step: timedelta) -> Sequence[tuple[float, float]]:
        self.asked.append((service, step))
        return self.load


def settings(**predictive: object) -> Settings:
    """Few forecasts make the tests quick."""
    quick = {"step_minutes": 60, "refresh_minutes": 240, "daily": {"ahead_minutes": 240}}
    return host_file(predictive={**quick, **predictive}).settings


def renewed(forecasts: Forecasts, of: Settings, history: History, now: datetime = MOMENT) -> None:
    asyncio.run(forecasts.renew(of, history, now))


def test_forecasts_are_of_the_cpu_that_instances_are_to_use_at_most() -> None:
    (one,) = wanted(settings())
    assert one.service == "shop"
    assert one.per_instance == 0.7 * host_file().settings.services["shop"].cpu_percent
    assert one.start_seconds == 60


def test_there_are_none_where_the_settings_want_none_or_no_rule_is_on_cpu() -> None:
    assert wanted(settings(enabled=False)) == ()
    unscaled = {"shop": {"enabled": False, "cpu_percent": {"up_above": 70, "down_below": 30}}}
    assert wanted(host_file(services=unscaled).settings) == ()
    on_memory = {"shop": {"memory_percent": {"up_above": 70, "down_below": 30}}}
    assert wanted(host_file(services=on_memory).settings) == ()


def test_a_morning_is_foreseen_from_what_the_ledger_keeps() -> None:
    forecasts, history = Forecasts(), History([(when, 10 * load) for when, load in FOUR_WEEKS])
    renewed(forecasts, settings(), history)
    said = forecasts.at(MOMENT)["shop"]
    assert said.is_acted_on
    assert said.instances == 8
    assert history.asked == [("shop", timedelta(hours=1))]


def test_forecasts_that_are_only_shown_say_what_they_would_ask_for() -> None:
    forecasts = Forecasts()
    renewed(forecasts, settings(forecast_only=True), History())
    said = forecasts.at(MOMENT)["shop"]
    assert (said.instances, said.is_acted_on, said.prediction) == (1, False, None)
    assert said.reason == "the settings want forecasts only to be shown"


def test_they_are_made_once_until_they_are_due_or_wanted_otherwise() -> None:
    forecasts, history = Forecasts(), History(FOUR_WEEKS[-5 * 24 :])
    for minutes, of in [(0, settings()), (9, settings()), (9, settings(enabled=False))]:
        renewed(forecasts, of, history, MOMENT + timedelta(minutes=minutes))
    assert len(history.asked) == 1
    assert forecasts.at(MOMENT) == {}
    for minutes, of in [(9, settings()), (9, settings(timezone="Asia/Tokyo")), (300, settings())]:
        renewed(forecasts, of, history, MOMENT + timedelta(minutes=minutes))
    assert len(history.asked) == 4


def test_too_little_history_says_so() -> None:
    forecasts = Forecasts()
    renewed(forecasts, settings(), History([one for one in FOUR_WEEKS if one[0] >= at(28)]))
    said = forecasts.at(MOMENT)["shop"]
    assert said.instances is None
    assert said.reason == "there are 8 h of history, and a forecast takes 7 days"


def test_a_fault_leaves_a_service_without_a_forecast_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(foreseeing, "history_of", fail)
    forecasts = Forecasts()
    with caplog.at_level(logging.ERROR):
        renewed(forecasts, settings(), History())
    assert forecasts.at(MOMENT) == {}
    assert "shop: no forecast can be made" in caplog.text


def test_a_forecast_that_is_not_made_again_ends() -> None:
    forecasts = Forecasts()
    renewed(forecasts, settings(), History())
    late = forecasts.at(MOMENT + timedelta(seconds=DAY))["shop"]
    assert late.instances is None
    assert late.reason == "the newest forecast does not reach so far"
