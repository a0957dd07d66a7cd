"""What a metric is, a series of it, a sample, and how a value is judged. Pure.

Which metrics there are is in `declarations`; thresholds come from the settings by `registry`.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple
from urllib.parse import unquote

from stellwerk.metrics.units import Unit

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


class Source(StrEnum):
    """Where metrics come from. Its name is the first part of a metric's key."""

    SYSTEM = "system"
    UNIT = "unit"
    """Instances of services, as systemd and their control groups know them."""
    SERVICE = "service"
    """Services, by their health endpoints and by the requests they answer."""
    OWN = "own"
    """Numbers that services say of themselves."""
    HAPROXY = "haproxy"
    NGINX = "nginx"
    POSTGRESQL = "postgresql"
    REDIS = "redis"
    SENTINEL = "sentinel"
    AUTO_SCALING = "auto_scaling"
    CACHE = "cache"
    """The layers that services keep in Redis, by the cache daemon."""
    MONITOR = "monitor"
    """The monitor itself."""

    @property
    def is_of_services(self) -> bool:
        """Whether its metrics belong to the services of the settings, not to the source itself."""
        return self in (Source.UNIT, Source.SERVICE, Source.OWN)


class Kind(StrEnum):
    """What a source yields for a metric."""

    GAUGE = "gauge"
    """The value, in the metric's unit."""
    COUNTER = "counter"
    """A total since some start, in base units. Kept and judged is its rate, in the metric's unit;
    exposed is the total.
    """
    DISTRIBUTION = "distribution"
    """A histogram of the durations since the last collection, for percentiles."""


class Bound(StrEnum):
    """Which side is bad."""

    UPPER = "upper"
    LOWER = "lower"


class Status(StrEnum):
    """How a value stands to its thresholds."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for ok; worse is higher."""
        return _RANKS[self]


_RANKS: Final = {Status.OK: 0, Status.WARNING: 1, Status.CRITICAL: 2}


@dataclass(frozen=True, slots=True)
class BaselineOf:
    """Where in the baselines a metric's usual value is.

    No source stands for the service of the series. Of the statistics the first one given counts.
    """

    source: str | None
    measure: str
    statistics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is usual for a metric, and from where on it is a warning or critical (inclusive)."""

    baseline: float | None = None
    warning: float | None = None
    critical: float | None = None
    bound: Bound = Bound.UPPER

    def status(self, value: float) -> Status:
        """How a value is judged; NaN is ok, as nothing is known of it."""
        if self._reaches(value, self.critical):
            return Status.CRITICAL
        return Status.WARNING if self._reaches(value, self.warning) else Status.OK

    def deviation_percent(self, value: float) -> float | None:
        """How far a value is above (+) or below (-) the baseline, in percent of it; None without
        a baseline, or with one of 0.
        """
        if not self.baseline:
            return None
        return 100 * (value - self.baseline) / abs(self.baseline)

    @property
    def judges(self) -> bool:
        """Whether any value can be more than ok."""
        return self.warning is not None or self.critical is not None

    def _reaches(self, value: float, threshold: float | None) -> bool:
        if threshold is None:
            return False
        return value >= threshold if self.bound is Bound.UPPER else value <= threshold


NO_THRESHOLDS: Final = Thresholds()


@dataclass(frozen=True, slots=True)
class Metric:
    """Something measured. ValueError if its name does not end in its unit.

    Its default thresholds are the settings' `monitoring.thresholds.SOURCE.NAME`, where there are
    such; `baseline` says where the baselines have its usual value otherwise.
    """

    source: Source
    name: str
    unit: Unit
    help: str
    kind: Kind = Kind.GAUGE
    labels: tuple[str, ...] = ()
    """Names of the labels that all its series have."""
    optional_labels: tuple[str, ...] = ()
    """Names of labels that a series may have besides."""
    baseline: BaselineOf | None = None
    key: str = field(init=False, repr=False)
    """Its name among all metrics: "system.cpu_percent"."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", f"{self.source.value}.{self.name}")
        suffix = self.unit.suffix
        if not _NAME.fullmatch(self.name) or not f"_{self.name}".endswith(suffix and f"_{suffix}"):
            raise ValueError(f"{self.key}: expected a name in snake case that ends in {suffix!r}")
        if self.kind is Kind.COUNTER and not self.unit.is_rate:
            raise ValueError(f"{self.key}: expected a unit per time, as it is a counter")
        if self.kind is Kind.DISTRIBUTION and self.unit is not Unit.MILLISECONDS:
            raise ValueError(f"{self.key}: expected milliseconds, as it is a distribution")

    def series(self, service: str | None = None, **labels: str) -> "Series":
        """The series of a service and labels. Without a service it belongs to the source itself,
        such as "postgresql". ValueError if the labels are not those of the metric.

        Sources make each series once and keep it: that costs more than a sample.
        """
        allowed = (*self.labels, *self.optional_labels)
        if not set(self.labels) <= labels.keys() <= set(allowed):
            raise ValueError(f"{self.key}: expected labels {allowed}, not {tuple(labels)}")
        pairs = tuple((name, labels[name]) for name in allowed if name in labels)
        return Series(self, service or self.source.value, pairs)


class Series:
    """A metric of one service and one set of labels. Two with the same key are equal."""

    __slots__ = ("is_total", "key", "labels", "metric", "service")

    def __init__(self, metric: Metric, service: str, labels: tuple[tuple[str, str], ...]) -> None:
        self.metric: Final = metric
        self.service: Final = service
        """A service of the settings, or the name of the source."""
        self.labels: Final = labels
        """Pairs of name and value, in the metric's order."""
        pairs = ",".join(f"{name}={_escaped(value)}" for name, value in labels)
        self.key: Final = f"{metric.key}|{_escaped(service)}|{pairs}"
        """Its name among all series of a host; for look-ups and files, not for people."""
        self.is_total: Final = metric.kind is Kind.COUNTER
        """Whether its samples are totals, of which a rate is made. Asked of every sample."""

    @property
    def subject(self) -> str:
        """Its labels for people: "aktienanalyse-core@8101", "disk sda"; "" if it has none."""
        return " ".join(value for _, value in self.labels)

    def label(self, name: str) -> str | None:
        """The value of a label; None if it has none of this name."""
        return next((value for known, value in self.labels if known == name), None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Series) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"Series({self.key!r})"


def parts_of_key(key: str) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """The metric's key, the service and the labels that the key of a series is made of."""
    metric, service, labels = key.split("|")
    pairs = [pair.partition("=") for pair in labels.split(",")] if labels else []
    return metric, unquote(service), tuple((name, unquote(value)) for name, _, value in pairs)


def _escaped(text: str) -> str:
    """The text without the signs that a key is built with."""
    return text.replace("%", "%25").replace("|", "%7C").replace(",", "%2C").replace("=", "%3D")


class Sample(NamedTuple):
    """A value of a series: for a counter its total in base units, otherwise in the metric's unit.

    Its time is that of the reading it is in. There is none for a value that is not known.
    """

    series: Series
    value: float
