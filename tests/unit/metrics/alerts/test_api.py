"""Claims about the alerts in the monitor's HTTP API."""

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from stellwerk.metrics.alerts import api
from tests.unit.metrics.alerts.examples import REDIS_UP
from tests.unit.metrics.alerts.test_center import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def _ask(host: Host, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
    sent = json.dumps(body).encode()
    answer = api.answer("cache-1", host.center, {"slack": 2}, method, path, sent)
    assert answer is not None
    return answer.status, json.loads(json.dumps(answer.document))


def test_alerts_are_shown_with_value_threshold_and_time(host: Host) -> None:
    host.collect({REDIS_UP: 0}, times=10)
    _, shown = _ask(host, "GET", api.PATH)
    (alert,) = shown["alerts"]
    assert shown["host"] == "cache-1"
    assert shown["messages_queued"] == {"slack": 2}
    assert alert["summary"] == "redis 6379 is down"
    assert (alert["severity"], alert["value"], alert["threshold"]) == ("critical", 0, 0)
    assert alert["labels"] == {"port": "6379"}
    assert alert["since"].endswith("+00:00")
    assert alert["silenced"] is False


def test_a_silence_is_made_shown_and_ended(host: Host) -> None:
    wanted = {"seconds": 600, "by": "ops", "reason": "upgrade", "metric": "redis.*"}
    status, silence = _ask(host, "POST", api.SILENCES, wanted)
    assert status == HTTPStatus.CREATED
    assert (silence["metric"], silence["service"]) == ("redis.*", "*")
    assert _ask(host, "GET", api.PATH)[1]["silences"] == [silence]
    path = f"{api.SILENCES}/{silence['number']}"
    assert _ask(host, "DELETE", path) == (HTTPStatus.OK, silence)
    status, problem = _ask(host, "DELETE", path)
    assert status == HTTPStatus.NOT_FOUND
    assert "no silence 1" in problem["error"]


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        [],
        None,
        {"seconds": 0},
        {"seconds": "10"},
        {"seconds": True},
        {"seconds": 1e9},
        {"seconds": float("nan")},
        {"seconds": 60, "metric": 5},
        {"seconds": 60, "reason": "x" * 501},
        {"seconds": 60, "metrics": "redis.*"},
    ],
)
def test_a_silence_that_makes_no_sense_is_refused_with_a_sentence(
    host: Host, wanted: object
) -> None:
    status, problem = _ask(host, "POST", api.SILENCES, wanted)
    assert status == HTTPStatus.BAD_REQUEST
    assert "expected" in problem["error"]
    assert host.center.silences() == ()


@pytest.mark.parametrize("body", [b"", b"{", b"\xff"])
def test_what_is_no_json_is_refused(host: Host, body: bytes) -> None:
    answer = api.answer("cache-1", host.center, {}, "POST", api.SILENCES, body)
    assert answer is not None
    assert answer.status == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", api.PATH), ("GET", api.SILENCES), ("DELETE", f"{api.SILENCES}/x")],
)
def test_other_requests_to_alerts_are_told_what_there_is(
    host: Host, method: str, path: str
) -> None:
    status, problem = _ask(host, method, path)
    assert status == HTTPStatus.METHOD_NOT_ALLOWED
    assert f"DELETE {api.SILENCES}/NUMBER" in problem["error"]


def test_other_paths_are_left_to_others(host: Host) -> None:
    assert api.answer("cache-1", host.center, {}, "GET", "/api/metrics", b"") is None
