"""The requests that are sent."""

from collections import Counter
from dataclasses import replace

import pytest

from stellwerk.loadtest.mix import Mix
from stellwerk.loadtest.plan import Parameter, Plan, Request, Target
from stellwerk.loadtest.schedule import Schedule


def plan(*requests: Request, **parameters: Parameter) -> Plan:
    target = Target("shop.example", 8080, path="/base")
    return Plan(target, Schedule(1, 1), 1, requests, parameters)


def test_a_request_is_whole_http() -> None:
    drawn = Mix(plan(Request("GET /a", "/a?q=1", headers={"X-Key": "v"}))).draw()
    assert drawn.payload == (
        b"GET /base/a?q=1 HTTP/1.1\r\nHost: shop.example:8080\r\n"
        b"User-Agent: stellwerk-loadtest\r\nAccept: */*\r\nX-Key: v\r\n\r\n"
    )


def test_a_body_keeps_the_braces_of_json_and_has_its_length() -> None:
    request = Request("POST /a", "/a", "POST", '{"user": {user_id}, "to": "{nobody}"}')
    payload = Mix(plan(request, user_id=Parameter(first=7, last=7))).draw().payload
    head, _, body = payload.partition(b"\r\n\r\n")
    assert body == b'{"user": 7, "to": "{nobody}"}'
    assert head.endswith(b"\r\nContent-Length: %d" % len(body))


def test_a_value_cannot_change_the_shape_of_a_url() -> None:
    request = Request("GET /a", "/a?s={symbol}")
    payload = Mix(plan(request, symbol=Parameter(texts=("A&B C/ü\r\n",)))).draw().payload
    assert payload.startswith(b"GET /base/a?s=A%26B%20C%2F%C3%BC%0D%0A HTTP/1.1\r\n")


def test_parameters_take_every_value_of_their_range() -> None:
    mix = Mix(plan(Request("GET /", "/{id}"), id=Parameter(first=3, last=5)))
    paths = {mix.draw().payload.split()[1] for _ in range(200)}
    assert paths == {b"/base/3", b"/base/4", b"/base/5"}


def test_requests_are_drawn_by_their_weights() -> None:
    mix = Mix(plan(Request("a", "/a", weight=9), Request("b", "/b", weight=1)))
    drawn = Counter(mix.draw().kind for _ in range(5000))
    assert drawn[0] / drawn.total() == pytest.approx(0.9, abs=0.03)


def test_the_same_seed_draws_the_same_requests() -> None:
    base = plan(Request("a", "/{id}"), id=Parameter(first=1, last=10**9))
    draws = [[Mix(replace(base, seed=seed)).draw().payload] for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize(
    ("method", "repeatable"), [("GET", True), ("HEAD", True), ("POST", False), ("DELETE", False)]
)
def test_only_safe_requests_may_be_sent_twice(method: str, repeatable: bool) -> None:
    assert Mix(plan(Request("a", "/", method))).draw().may_be_repeated is repeatable
