"""Posts JSON to a URL, with the standard library's client in a thread.

A larger one would be a quarter of a daemon's memory.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

TIME_LIMIT_SECONDS: Final = 10
"""Time each step of a request may take: to connect, to send, to answer."""


class Posted(NamedTuple):
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    """By names in lower case."""


async def post_json(url: str, document: object) -> Posted:
    """Post a document; redirections are not followed. Raises OSError where there is no answer.

    The error says nothing of the URL, which may be a secret.
    """
    return await asyncio.to_thread(_post, url, json.dumps(document).encode())


def _post(url: str, body: bytes) -> Posted:
    # Imported when there is something to send: it costs every daemon memory.
    import http.client

    try:
        parts = urlsplit(url)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        connection = kind(parts.hostname or "", parts.port, timeout=TIME_LIMIT_SECONDS)
        path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Posted(answer.status, headers)
        finally:
            connection.close()
    except TimeoutError:
        raise TimeoutError(f"no answer within {TIME_LIMIT_SECONDS} s") from None
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"no answer that is HTTP ({type(error).__name__})") from None
