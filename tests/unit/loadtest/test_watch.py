"""What hosts and services say while a run goes on."""

import asyncio
import json
from collections.abc import Mapping

import aiohttp
import pytest

from stellwerk.loadtest.health_source import HealthSource
from stellwerk.loadtest.progress import progress_line
from stellwerk.loadtest.watch import Sample, Source, WatchError, first_look, summary, watch

from .records import record
from .servers import UNAVAILABLE, Answer, always, serving


def answer(body: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


async def _read(answered: Answer) -> Mapping[str, float]:
    async with serving(answered) as (target, _), aiohttp.ClientSession() as session:
        source = HealthSource(session, f"{target.url}/health", None)
        assert source.name == target.authority
        return await source.read(60)


def test_every_number_of_a_health_answer_is_a_reading() -> None:
    body = json.dumps({"metrics": {"cpu_percent": 12, "in_flight": 1.5, "ok": True, "name": "x"}})
    assert asyncio.run(_read(always(answer(body)))) == {"cpu_percent": 12, "in_flight": 1.5}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (answer("[]"), "cannot be watched: its answer has no numbers under metrics"),
        (answer("<html>"), "cannot be watched: its answer is not JSON"),
        (UNAVAILABLE, "cannot be watched: its answer is not JSON"),
        (None, "cannot be watched"),
    ],
)
def test_what_cannot_be_watched_is_said_before_the_run(content: bytes | None, reason: str) -> None:
    with pytest.raises(WatchError, match=reason):
        asyncio.run(_read(always(content)))


class _Silent:
    name = "silent"

    async def read(self, seconds: float) -> Mapping[str, float]:
        raise WatchError(self.name, f"no answer within {seconds:g} s")


class _Stuck:
    """Does not even keep to its time."""

    name = "stuck"

    async def read(self, seconds: float) -> Mapping[str, float]:
        del seconds
        await asyncio.get_running_loop().create_future()
        raise AssertionError


class _Well:
    name = "well"

    async def read(self, seconds: float) -> Mapping[str, float]:
        del seconds
        return {"cpu_percent": 7.0}


def _watched(source: Source, *others: Source, until: int) -> list[Sample]:
    """What the sources said until there were so many samples."""

    async def run() -> list[Sample]:
        samples: list[Sample] = []
        start = asyncio.get_running_loop().time()
        task = asyncio.create_task(watch([source, *others], 0.01, start, samples))
        while len(samples) < until:
            await asyncio.sleep(0.01)
        task.cancel()
        return samples

    return asyncio.run(run())


def test_a_silent_source_leaves_a_gap_with_the_reason_and_no_zero() -> None:
    samples = _watched(_Silent(), _Well(), until=4)
    assert {(s.source, s.answered, s.problem) for s in samples} == {
        ("silent", False, "no answer within 2 s"),
        ("well", True, ""),
    }
    assert {tuple(sample.readings) for sample in samples if not sample.answered} == {()}


def test_a_source_that_is_stuck_delays_no_other() -> None:
    assert {sample.source for sample in _watched(_Stuck(), _Well(), until=3)} == {"well"}


def test_what_answers_and_what_does_not_is_known_before_the_start() -> None:
    samples = asyncio.run(first_look([_Silent(), _Well()], lambda _: False))
    assert [(sample.second, sample.source) for sample in samples] == [(0, "silent"), (0, "well")]
    assert summary(samples) == ["Watching well.", "Not measured: silent: no answer within 10 s."]


def test_a_source_that_is_required_has_to_answer_before_the_start() -> None:
    with pytest.raises(WatchError) as caught:
        asyncio.run(first_look([_Well(), _Silent()], lambda source: source.name == "silent"))
    assert str(caught.value) == "silent: cannot be watched: no answer within 10 s"


def test_the_progress_says_where_the_run_is() -> None:
    run = record(response_ms=30)
    run.elapsed = 10.0
    assert progress_line(run) == (
        "0:10 of 0:20 · 100 answered/s · p95 30.0 ms · errors 0 % · in flight 0"
    )
    run.elapsed = 3.0
    assert progress_line(run).endswith(" · ramp-up")


def test_the_progress_names_the_busiest_host_as_of_now() -> None:
    run = record(
        samples=(
            Sample(5, "app-1", {"cpu_percent": 99.0}),
            Sample(5, "app-2", {"cpu_percent": 30.0}),
            Sample(10, "app-1", {"cpu_percent": 20.0}),
            Sample(10, "app-2", {}, "no answer within 2 s"),
            Sample(10, "app-3", {"cpu_percent": 25.0}),
        )
    )
    assert progress_line(run).endswith(" · CPU 25.0 % app-3")
