"""A host's rules, and a clock that collects values at it."""

from collections.abc import Mapping

from stellwerk.metrics.alerts.rules import Rules
from stellwerk.metrics.declarations import monitor, postgresql, redis, system
from stellwerk.metrics.registry import Registry
from stellwerk.settings.monitoring import Alerts
from stellwerk.settings.root import Settings

INTERVAL = 15.0
START = 1_750_000_000.0

CPU = system.CPU.series()
MEMORY = system.MEMORY.series()
REDIS_UP = redis.AVAILABILITY.series(port="6379")
HIT_RATE = redis.HIT_RATE.series(port="6379")
REDIS_READABLE = monitor.READABLE.series(source="redis", subject="Redis on port 6379")
TABLE = postgresql.TABLE_SIZE.series(database="shop", table="orders")

REGISTRY = Registry(Settings())


def rules(**alerts: object) -> Rules:
    """The rules of the shipped thresholds."""
    return Rules(REGISTRY, Alerts.model_validate(alerts))


def settings(values: Mapping[str, object] | None = None) -> Settings:
    return Settings.model_validate({"monitoring": values or {}})
