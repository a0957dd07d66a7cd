"""Whether the generator kept up: what a run says of a service is void where it did not. Pure."""

from collections.abc import Iterator
from typing import Final

from stellwerk.loadtest.generator import LATE_SECONDS
from stellwerk.loadtest.record import RunRecord

_MOST_LATE: Final = 0.01
_MOST_CPU: Final = 0.8


def weaknesses(record: RunRecord) -> Iterator[str]:
    """A sentence for each way in which the generator fell behind.

    Requests dropped for want of a free user are not among them: the service held all users, so they
    count as its failures.
    """
    if record.broken:
        yield record.broken
    started = sum(worker.started for worker in record.workers)
    late = sum(worker.late for worker in record.workers)
    if late > _MOST_LATE * started:
        worst = max(worker.worst_seconds for worker in record.workers)
        yield (
            f"{100 * late / started:.1f} % of the requests started more than"
            f" {1000 * LATE_SECONDS:g} ms late (up to {1000 * worst:.0f} ms); at most"
            f" {_MOST_LATE:.0%} may."
        )
    cpu = busiest(record)
    if cpu is not None and cpu > _MOST_CPU:
        yield f"A generator process used {cpu:.0%} of a core; at most {_MOST_CPU:.0%} may be used."
    own_failures = sum(worker.own_failures for worker in record.workers)
    if own_failures:
        yield (
            f"{own_failures} connections could not be opened for want of ports, files or memory on"
            " this machine."
        )
    if not record.interrupted and not record.broken:
        planned = record.planned.plan.schedule.total
        if started < planned:
            yield f"{planned - started} of {planned} requests were never started."


def busiest(record: RunRecord) -> float | None:
    """The share of a core that the busiest process used at full load; None if nothing ran."""
    after = float(record.window.seconds.start)
    shares = [worker.cpu_share(after) for worker in record.workers]
    return max((share for share in shares if share is not None), default=None)
