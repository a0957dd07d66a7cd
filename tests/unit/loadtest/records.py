"""Runs that never were: records made of chosen figures."""

from collections.abc import Mapping

from stellwerk.loadtest.plan import Plan, Request, Target
from stellwerk.loadtest.planning import Kind, Planned
from stellwerk.loadtest.record import RunRecord, WorkerRecord
from stellwerk.loadtest.schedule import Schedule
from stellwerk.loadtest.source import Definitions
from stellwerk.loadtest.tally import Tally
from stellwerk.loadtest.watch import Sample
from stellwerk.loadtest.worker import Report
from stellwerk.settings.baselines import Baselines
from stellwerk.settings.loadtest import Loadtest

SERVICE = "shop"
LABEL = "GET /api/things"


def definitions(measures: Mapping[str, object] | None = None, **loadtest: object) -> Definitions:
    """Baselines of the one service, and settings of load tests."""
    return Definitions(
        Loadtest.model_validate(loadtest),
        Baselines.model_validate({"measures": {SERVICE: measures or {}}}),
    )


def record(
    *,
    counts_for: tuple[str, ...] = (),
    response_ms: float = 10.0,
    slow_ms: Mapping[int, float] | None = None,
    failures: Mapping[str, int] | None = None,
    rate: int = 100,
    seconds: int = 20,
    ramp_up: int = 5,
    late: int = 0,
    cpu: float = 0.2,
    samples: tuple[Sample, ...] = (),
) -> RunRecord:
    """A run of one kind of request.

    + slow_ms: response times of single seconds, instead of response_ms
    + failures: failures by reason, in the last second besides its successes
    + late, cpu: late starts of the one worker, and its share of a core
    """
    plan = Plan(
        Target("shop.example", 80),
        Schedule(rate, seconds, ramp_up),
        50,
        (Request(LABEL, "/api/things"),),
    )
    planned = Planned("normal_load", 1.0, plan, (Kind(LABEL, SERVICE, counts_for),))
    result = RunRecord(planned, [WorkerRecord()], elapsed=float(seconds), samples=list(samples))
    result.sources = tuple(dict.fromkeys(sample.source for sample in samples))
    tally = Tally()
    for second in range(seconds):
        cell = tally.cell(second, 0)
        took = (slow_ms or {}).get(second, response_ms) / 1000
        for _ in range(plan.schedule.before(second + 1) - plan.schedule.before(second)):
            cell.success(took, took)
            cell.answered += 1
    tally.cell(seconds - 1, 0).failures.update(failures or {})
    result.recording.add(tally.take())
    for second in range(seconds):
        last = second == seconds - 1
        result.workers[0].add(
            Report(
                elapsed=1.0,
                cpu=cpu,
                started=plan.schedule.total if last else 0,
                late=late if last else 0,
                worst_seconds=0.001,
                repeated=0,
                own_failures=0,
                in_flight=0,
                waiting=0,
                last=last,
                cells=[],
            )
        )
    return result
