"""Histories of hosts, and reports on them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from stellwerk.metrics.declarations import service, system
from stellwerk.metrics.histogram import Histogram
from stellwerk.metrics.history.writer import HistoryWriter
from stellwerk.metrics.model import Sample, Series
from stellwerk.metrics.reading import Observed
from stellwerk.metrics.registry import Registry
from stellwerk.metrics.report.build import build
from stellwerk.metrics.report.model import Report
from stellwerk.metrics.report.question import Question
from stellwerk.settings.root import Settings

HOUR = 3600
NOON = 1_750_075_200.0
"""The end of all periods here: a full hour, UTC."""
INTERVAL = 60

SERVICE = "shop"
CPU, LOAD = system.CPU.series(), system.LOAD.series()
RESPONSE = service.RESPONSE_TIME.series(SERVICE, instance="shop@8501")
UP = service.AVAILABILITY.series(SERVICE, instance="shop@8501")
REQUESTS = service.REQUEST.series(SERVICE)
ORDERS = service.REQUEST.series(SERVICE, endpoint="GET /api/orders")

SETTINGS = Settings.model_validate(
    {
        "baselines": {
            "measures": {
                SERVICE: {
                    "GET /api/orders": {
                        "unit": "ms",
                        "p95": {"target": 100, "current": 90},
                    }
                }
            }
        }
    }
)


def histogram(*milliseconds: float) -> Histogram:
    found = Histogram()
    for one in milliseconds:
        found.add(one / 1000)
    return found


def write(
    folder: Path,
    values: Mapping[Series, Sequence[float]],
    durations: Mapping[Series, Sequence[float]] | None = None,
    *,
    end: float = NOON,
) -> None:
    """Collections up to a time, one a minute: as many as there are values of a series. Each sees
    all the durations, in ms.
    """
    writer = HistoryWriter(folder, keep_days=20, most_bytes=10**9)
    number = max(map(len, values.values()))
    seen = [Observed(series, histogram(*some)) for series, some in (durations or {}).items()]
    for place in range(number):
        samples = [Sample(series, some[place]) for series, some in values.items()]
        writer.write(end - (number - place) * INTERVAL, samples, seen)
    writer.close()


def report(
    folder: Path, question: Question | None = None, host: str = "app-1", until: float = NOON
) -> Report:
    return build(question or Question("1h"), folder, Registry(SETTINGS), host, until, INTERVAL)
