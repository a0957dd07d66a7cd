"""What is declared of metrics, and what the settings say of them."""

import pytest

from stellwerk.metrics.declarations import haproxy, postgresql, redis, sentinel, service, system
from stellwerk.metrics.declarations import unit as units
from stellwerk.metrics.model import NO_THRESHOLDS, Bound, Kind, Metric, Source, Thresholds
from stellwerk.metrics.registry import METRICS, Registry, metric
from stellwerk.metrics.units import Unit
from stellwerk.settings.model import Threshold
from stellwerk.settings.monitoring import Monitoring
from stellwerk.settings.monitoring import Thresholds as ThresholdSettings
from stellwerk.settings.root import Settings

BASELINES = {
    "measures": {
        "shop": {
            "cpu": {"unit": "percent", "average": {"target": 40, "current": 35}},
            "requests": {
                "unit": "requests/s",
                "better": "higher",
                "sustained": {"target": 500, "current": 420},
            },
            "queue_lag": {"unit": "ms", "average": {"target": 100, "current": 85}},
            "GET /api/orders": {"unit": "ms", "p95": {"target": 200, "current": 180}},
        },
        "database": {"index_hit_ratio": {"unit": "percent", "value": {"current": 98.5}}},
    }
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry(Settings.model_validate({"baselines": BASELINES}))


def test_every_metric_is_declared_once() -> None:
    keys = [one.key for one in METRICS]
    assert len(keys) == len(set(keys))
    assert all(metric(one.key) is one for one in METRICS)


def test_every_threshold_of_the_settings_belongs_to_a_metric() -> None:
    thresholds = Monitoring().thresholds
    stated = {
        f"{section}.{name}"
        for section in ThresholdSettings.model_fields
        if section != "others"
        for name, value in getattr(thresholds, section)
        if isinstance(value, Threshold)
    }
    assert stated <= {one.key for one in METRICS}


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (system.CPU, Thresholds(40, 80, 95)),
        (service.RESPONSE_TIME, Thresholds(50, 200, 1000)),
        (service.AVAILABILITY, Thresholds(1, None, 0, Bound.LOWER)),
        (postgresql.AVAILABILITY, Thresholds(1, None, 0, Bound.LOWER)),
        (postgresql.ACTIVE_CONNECTIONS, Thresholds(15, 40, 45)),
        (redis.MEMORY_USE, Thresholds(65, 80, 95)),
        (redis.HIT_RATE, Thresholds(85, 70, 50, Bound.LOWER)),
        (sentinel.QUORUM, Thresholds(1, None, 0, Bound.LOWER)),
        (redis.IS_MASTER, NO_THRESHOLDS),
    ],
    ids=lambda value: value.key if isinstance(value, Metric) else None,
)
def test_thresholds_come_from_the_settings(
    registry: Registry, declared: Metric, expected: Thresholds
) -> None:
    series = declared.series(**dict.fromkeys(declared.labels, "x"))
    assert registry.thresholds(series) == expected


def test_a_service_has_its_own_baselines(registry: Registry) -> None:
    cpu = registry.thresholds(units.CPU.series("shop", instance="shop@8101"))
    assert cpu == Thresholds(40)
    requests = registry.thresholds(haproxy.REQUESTS.series("shop", backend="shop_backend"))
    assert requests == Thresholds(500, bound=Bound.LOWER)
    other = registry.thresholds(units.CPU.series("mail", instance="mail@8201"))
    assert other == NO_THRESHOLDS


def test_without_a_target_the_measured_figure_is_the_baseline(registry: Registry) -> None:
    assert registry.thresholds(postgresql.INDEX_HIT.series()).baseline == 98.5


def test_a_service_s_own_number_finds_its_baseline_by_its_name_without_the_unit(
    registry: Registry,
) -> None:
    lag = metric("own.queue_lag_ms")
    assert lag.unit is Unit.MILLISECONDS
    assert registry.thresholds(lag.series("shop", instance="shop@8101")).baseline == 100


def test_any_metric_can_have_thresholds_by_its_key() -> None:
    others = {"own.queue_lag_ms": {"warning": 500}, "haproxy.error_percent": {"critical": 10}}
    registry = Registry(Settings.model_validate({"monitoring": {"thresholds": {"others": others}}}))
    lag = service.own("queue_lag_ms").series("shop", instance="shop@8101")
    assert registry.thresholds(lag) == Thresholds(warning=500)
    assert registry.thresholds(haproxy.ERROR_RATE.series("shop", backend="b")).critical == 10


def test_percentiles_of_an_endpoint_have_its_baselines(registry: Registry) -> None:
    orders = service.REQUEST.series("shop", endpoint="GET /api/orders")
    assert registry.quantiles(orders) == {0.95: Thresholds(200)}
    assert registry.quantiles(service.REQUEST.series("shop")) == {}
    assert registry.endpoints("shop") == ["GET /api/orders"]


@pytest.mark.parametrize(
    ("said", "name", "unit"),
    [
        ("queue_lag_ms", "queue_lag_ms", Unit.MILLISECONDS),
        ("Events per second", "events_per_second", Unit.PER_SECOND),
        ("sent_bytes_per_second", "sent_bytes_per_second", Unit.BYTES_PER_SECOND),
        ("active_trading_sessions", "active_trading_sessions", Unit.NUMBER),
        ("teams", "teams", Unit.NUMBER),
        ("95th", "number_95th", Unit.NUMBER),
        ("Größe", "gr_e", Unit.NUMBER),
        ("---", "number", Unit.NUMBER),
    ],
)
def test_a_service_may_call_its_numbers_as_it_likes(said: str, name: str, unit: Unit) -> None:
    own = service.own(said)
    assert (own.source, own.name, own.unit, own.kind) == (Source.OWN, name, unit, Kind.GAUGE)


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(LookupError, match=r"redis\.fork_ms: no such metric"):
        metric("redis.fork_ms")
