"""The alerts in the monitor's HTTP API: what there is, and silences. Who is let in is its business.

GET /api/alerts, POST /api/alerts/silences, DELETE /api/alerts/silences/NUMBER.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from stellwerk.metrics.alerts.center import AlertCenter
from stellwerk.metrics.alerts.document import host_document, silence_document
from stellwerk.metrics.alerts.silences import LONGEST_SECONDS

PATH: Final = "/api/alerts"
SILENCES: Final = f"{PATH}/silences"
_PATTERNS: Final = ("metric", "service", "subject")
_LONGEST_TEXT: Final = 500


class Answer(NamedTuple):
    """What is answered, in JSON."""

    status: HTTPStatus
    document: dict[str, Any]


def answer(
    host: str,
    center: AlertCenter,
    queued: Mapping[str, int],
    method: str,
    path: str,
    body: bytes,
) -> Answer | None:
    """Answer a request; None where the path is not one of these.

    + queued: how many messages wait, by receiver
    """
    if path == PATH and method == "GET":
        return Answer(
            HTTPStatus.OK,
            host_document(host, center.now(), center.alerts(), center.silences(), queued),
        )
    if path == SILENCES and method == "POST":
        return _silence(center, body)
    number = path.removeprefix(f"{SILENCES}/")
    if method == "DELETE" and number != path and number.isdecimal():
        return _unsilence(host, center, int(number))
    if path == PATH or path.startswith(f"{PATH}/"):
        said = f"expected GET {PATH}, POST {SILENCES} or DELETE {SILENCES}/NUMBER"
        return _problem(HTTPStatus.METHOD_NOT_ALLOWED, said)
    return None


def _silence(center: AlertCenter, body: bytes) -> Answer:
    try:
        wanted = _wanted(json.loads(body))
    except ValueError as error:
        return _problem(HTTPStatus.BAD_REQUEST, str(error))
    return Answer(HTTPStatus.CREATED, silence_document(center.silence(**wanted)))


def _unsilence(host: str, center: AlertCenter, number: int) -> Answer:
    ended = center.unsilence([number])
    if not ended:
        return _problem(HTTPStatus.NOT_FOUND, f"{host}: there is no silence {number}")
    return Answer(HTTPStatus.OK, silence_document(ended[0]))


def _problem(status: HTTPStatus, sentence: str) -> Answer:
    return Answer(status, {"error": sentence})


def _wanted(values: Any) -> dict[str, Any]:
    """What a request asks for. Raises ValueError saying what is expected."""
    if not isinstance(values, dict):
        raise ValueError("expected an object with seconds, by and reason")
    seconds = values.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ValueError("expected a number of seconds")
    if not 0 < seconds <= LONGEST_SECONDS:
        raise ValueError(f"expected seconds up to {LONGEST_SECONDS} (30 days)")
    texts = {"by": "", "reason": "", **dict.fromkeys(_PATTERNS, "*")}
    if unknown := sorted(values.keys() - texts.keys() - {"seconds"}):
        raise ValueError(f"{unknown[0]}: unknown; expected seconds, {', '.join(texts)}")
    for name in texts:
        text = values.get(name, texts[name])
        if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
            raise ValueError(f"expected a short text as {name}")
        texts[name] = text
    return {"seconds": float(seconds), **texts}
