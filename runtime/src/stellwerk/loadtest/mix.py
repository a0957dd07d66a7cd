"""Draws requests from a mix, ready for the wire. Pure, and the same for the same seed."""

import re
from collections.abc import Callable, Mapping
from itertools import accumulate
from random import Random
from typing import NamedTuple
from urllib.parse import quote

from stellwerk.loadtest.plan import SAFE_METHODS, Parameter, Plan, Request

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""A parameter in a path or a body. Other braces, as those of JSON, are left alone."""

_Draw = Callable[[], bytes]


class Drawn(NamedTuple):
    """A request to send: the number of its kind in the mix, and its bytes."""

    kind: int
    payload: bytes
    has_body_in_answer: bool
    may_be_repeated: bool


class Mix:
    """An endless supply of requests of a plan, in proportion to their weights."""

    def __init__(self, plan: Plan) -> None:
        self._random = Random(f"{plan.seed}:{plan.first}")  # noqa: S311 - load, not secrets
        self._bounds = list(accumulate(request.weight for request in plan.requests))
        self._kinds = range(len(plan.requests))
        self._templates = [_Template(request, plan, self._random) for request in plan.requests]

    def draw(self) -> Drawn:
        """The next request."""
        (kind,) = self._random.choices(self._kinds, cum_weights=self._bounds)
        template = self._templates[kind]
        return Drawn(
            kind, template.payload(), template.has_body_in_answer, template.may_be_repeated
        )


class _Template:
    """A request whose parameters are still open."""

    def __init__(self, request: Request, plan: Plan, random: Random) -> None:
        self.has_body_in_answer = request.method != "HEAD"
        self.may_be_repeated = request.method in SAFE_METHODS
        self._path = _parts(plan.target.path + request.path, plan.parameters, random, _quoted)
        self._body = (
            None
            if request.body is None
            else _parts(request.body, plan.parameters, random, str.encode)
        )
        self._method = request.method.encode()
        headers = {
            "Host": plan.target.authority,
            "User-Agent": "stellwerk-loadtest",
            "Accept": "*/*",
            **request.headers,
        }
        self._headers = "".join(f"\r\n{name}: {value}" for name, value in headers.items()).encode()

    def payload(self) -> bytes:
        path = _joined(self._path)
        if self._body is None:
            return b"%b %b HTTP/1.1%b\r\n\r\n" % (self._method, path, self._headers)
        body = _joined(self._body)
        return b"%b %b HTTP/1.1%b\r\nContent-Length: %d\r\n\r\n%b" % (
            self._method,
            path,
            self._headers,
            len(body),
            body,
        )


def _joined(parts: list[bytes | _Draw]) -> bytes:
    return b"".join([part if isinstance(part, bytes) else part() for part in parts])


def _parts(
    text: str,
    parameters: Mapping[str, Parameter],
    random: Random,
    encode: Callable[[str], bytes],
) -> list[bytes | _Draw]:
    """The text with each known {parameter} as a function that draws a value."""
    parts: list[bytes | _Draw] = []
    end = 0
    for found in PLACEHOLDER.finditer(text):
        if found[1] in parameters:
            parts.append(text[end : found.start()].encode())
            parts.append(_values(parameters[found[1]], random, encode))
            end = found.end()
    parts.append(text[end:].encode())
    return parts


def _values(parameter: Parameter, random: Random, encode: Callable[[str], bytes]) -> _Draw:
    if parameter.texts:
        texts = [encode(text) for text in parameter.texts]
        return lambda: texts[int(random.random() * len(texts))]
    first, count = parameter.first, parameter.last - parameter.first + 1
    return lambda: b"%d" % (first + int(random.random() * count))


def _quoted(text: str) -> bytes:
    return quote(text, safe="").encode()
