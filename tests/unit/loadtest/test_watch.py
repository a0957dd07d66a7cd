"""What hosts and services say while a run goes on."""

import asyncio
import json
from collections.abc import Mapping

import pytest

from stellwerk.loadtest.progress import progress_line
from stellwerk.loadtest.watch import LocalSource, Sample, WatchError, sources, watch

from .records import record
from .servers import UNAVAILABLE, Answer, always, serving


def answer(body: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


async def _read(answered: Answer) -> Mapping[str, float]:
    async with serving(answered) as (target, _):
        url = f"{target.url}/health"
        async with sources([url], local=False, authority_file=None) as (source,):
            assert source.name == target.authority
            return await source.read()


def test_every_number_of_a_health_answer_is_a_reading() -> None:
    body = json.dumps({"metrics": {"cpu_percent": 12, "in_flight": 1.5, "ok": True, "name": "x"}})
    assert asyncio.run(_read(always(answer(body)))) == {"cpu_percent": 12, "in_flight": 1.5}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (answer("[]"), "has no numbers under metrics to watch"),
        (answer("<html>"), "cannot be watched: its answer is not JSON"),
        (UNAVAILABLE, "cannot be watched: its answer is not JSON"),
        (None, "cannot be watched"),
    ],
)
def test_what_cannot_be_watched_is_said_before_the_run(content: bytes | None, reason: str) -> None:
    with pytest.raises(WatchError, match=reason):
        asyncio.run(_read(always(content)))


def test_this_machine_has_a_memory_and_processors() -> None:
    readings = asyncio.run(LocalSource().read())
    assert 0 < readings["memory_percent"] <= 100
    assert 0 <= readings["cpu_percent"] <= 100


class _Silent:
    name = "silent"

    async def read(self) -> Mapping[str, float]:
        raise WatchError("silent: no answer")


def test_a_silent_source_leaves_a_gap_and_no_zero() -> None:
    async def watched() -> list[Sample]:
        samples: list[Sample] = []
        start = asyncio.get_running_loop().time()
        task = asyncio.create_task(watch([_Silent(), LocalSource()], 0.01, start, samples))
        while len(samples) < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        return samples[:2]

    silent, local = asyncio.run(watched())
    assert (silent.answered, local.answered) == (False, True)


def test_the_progress_says_where_the_run_is() -> None:
    run = record(response_ms=30)
    run.elapsed = 10.0
    assert progress_line(run) == (
        "0:10 of 0:20 · 100 answered/s · p95 30.0 ms · errors 0 % · in flight 0"
    )
    run.elapsed = 3.0
    assert progress_line(run).endswith(" · ramp-up")
