"""The alerts in the monitor's HTTP API: what there is, and silences. Who may ask is its business.

GET /api/alerts, POST /api/alerts/silences, DELETE /api/alerts/silences/NUMBER.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web

from stellwerk.metrics.alerts.center import AlertCenter
from stellwerk.metrics.alerts.document import host_document, silence_document
from stellwerk.metrics.alerts.silences import LONGEST_SECONDS

PATH: Final = "/api/alerts"
SILENCES: Final = f"{PATH}/silences"
_PATTERNS: Final = ("metric", "service", "subject")
_LONGEST_TEXT: Final = 500


def routes(
    host: str,
    center: AlertCenter,
    queued: Callable[[], Mapping[str, int]],
    clock: Callable[[], float] = time.time,
) -> list[web.RouteDef]:
    """The routes to add to the monitor's application.

    + queued: how many messages wait, by receiver
    """

    async def show(_request: web.Request) -> web.Response:
        return web.json_response(
            host_document(host, clock(), center.alerts(), center.silences(), queued())
        )

    async def silence(request: web.Request) -> web.Response:
        try:
            wanted = _wanted(await request.json())
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        added = center.silence(**wanted)
        return web.json_response(silence_document(added), status=201)

    async def unsilence(request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        ended = center.unsilence([number])
        if not ended:
            problem = f"{host}: there is no silence {number}"
            return web.json_response({"error": problem}, status=404)
        return web.json_response(silence_document(ended[0]))

    return [
        web.get(PATH, show),
        web.post(SILENCES, silence),
        web.delete(SILENCES + r"/{number:\d{1,9}}", unsilence),
    ]


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
    for name in texts:
        text = values.get(name, texts[name])
        if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
            raise ValueError(f"expected a short text as {name}")
        texts[name] = text
    if unknown := values.keys() - texts.keys() - {"seconds"}:
        raise ValueError(f"{sorted(unknown)[0]}: unknown; expected seconds, {', '.join(texts)}")
    return {"seconds": float(seconds), **texts}
