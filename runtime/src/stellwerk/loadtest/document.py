"""The report of a run as JSON values, and what is read back from it for comparisons. No I/O."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from stellwerk.loadtest.comparison import Conditions, EarlierRun
from stellwerk.loadtest.endpoint import EndpointFigures, as_values
from stellwerk.loadtest.planning import Planned
from stellwerk.loadtest.record import RunRecord
from stellwerk.loadtest.series import Point, series
from stellwerk.loadtest.verdict import Result, Verdict
from stellwerk.loadtest.weakness import busiest
from stellwerk.metrics.histogram import RELATIVE_ERROR

FORMAT: Final = 1


def document(record: RunRecord, verdict: Verdict) -> dict[str, Any]:
    """Everything that is known of a run."""
    window, schedule = record.window, record.planned.plan.schedule
    cpu = busiest(record)
    return {
        "format": FORMAT,
        "result": verdict.result.words,
        "exit_code": int(verdict.result),
        "interrupted": record.interrupted,
        "conditions": asdict(conditions(record.planned)),
        "started_at": record.started_at.isoformat(timespec="seconds"),
        "duration_seconds": schedule.duration,
        "ramp_up_seconds": schedule.ramp_up,
        "elapsed_seconds": round(record.elapsed, 3),
        "judged": {"from_second": window.seconds.start, "seconds": round(window.length, 3)},
        "relative_error": RELATIVE_ERROR,
        "endpoints": [_endpoint(endpoint) for endpoint in verdict.endpoints],
        "checks": [
            {
                **asdict(check),
                "deviation_percent": check.deviation_percent,
                "sentence": check.sentence(),
            }
            for check in verdict.checks
        ],
        "generator": {
            "processes": len(record.workers),
            "started": sum(worker.started for worker in record.workers),
            "late": sum(worker.late for worker in record.workers),
            "worst_late_ms": round(1000 * max(w.worst_seconds for w in record.workers), 3),
            "busiest_cpu_percent": None if cpu is None else round(100 * cpu, 1),
            "weaknesses": list(verdict.weaknesses),
        },
        "notes": list(verdict.notes),
        "watched": [
            {
                "second": sample.second,
                "source": sample.source,
                "readings": dict(sample.readings),
                "problem": sample.problem or None,
            }
            for sample in record.samples
        ],
        "over_time": [_point(point) for point in series(record)],
    }


def conditions(planned: Planned) -> Conditions:
    """What a run to compare with has to share."""
    plan = planned.plan
    return Conditions(
        planned.scenario,
        planned.scale,
        plan.target.url,
        plan.schedule.requests_per_second,
        plan.users,
    )


def earlier_run(values: Mapping[str, Any], wanted: Conditions) -> EarlierRun | None:
    """What a report says, if it is of a good and complete run under these conditions.

    Raises KeyError, TypeError and AttributeError where the values are no report.
    """
    if values["format"] != FORMAT or values["interrupted"]:
        return None
    if values["exit_code"] != Result.GOOD or Conditions.from_values(values["conditions"]) != wanted:
        return None
    return EarlierRun({e["label"]: e["response_ms"] for e in values["endpoints"]})


def _endpoint(endpoint: EndpointFigures) -> dict[str, Any]:
    return {
        "label": endpoint.label,
        "service": endpoint.service_name,
        "is_operation": endpoint.is_operation,
        "requests": endpoint.requests,
        "answered_per_second": round(endpoint.answered_per_second, 3),
        "error_percent": endpoint.error_percent,
        "response_ms": as_values(endpoint.response),
        "service_ms": as_values(endpoint.service),
        "failures": dict(endpoint.failures),
    }


def _point(point: Point) -> dict[str, Any]:
    return {
        "second": point.second,
        "planned_per_second": round(point.planned, 3),
        "answered_per_second": round(point.answered, 3),
        "failed_per_second": round(point.failed, 3),
        "response_ms": as_values(point.response),
    }
