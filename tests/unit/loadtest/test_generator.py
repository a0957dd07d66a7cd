"""Runs of the generator against servers that behave well or badly. Times are only bounded from
below: a busy machine makes them longer, never shorter.
"""

import asyncio
from collections.abc import Callable

from stellwerk.loadtest.generator import Generator
from stellwerk.loadtest.plan import Plan, Request
from stellwerk.loadtest.precise_loop import new_event_loop
from stellwerk.loadtest.schedule import Schedule
from stellwerk.loadtest.tally import DROPPED, TIMED_OUT, UNFINISHED, Cell, Recording

from .servers import CLOSING, OK, UNAVAILABLE, Answer, Seen, always, serving

GET = Request("GET /", "/")
POST = Request("POST /", "/", "POST", "{}")


class Ran:
    """One run: its requests, what the server saw, and the generator afterwards."""

    def __init__(self, cell: Cell, seen: Seen, generator: Generator) -> None:
        self.cell = cell
        self.seen = seen
        self.generator = generator


def run(
    answer: Answer,
    *,
    request: Request = GET,
    requests: int = 20,
    rate: float = 200.0,
    users: int = 50,
    timeout: float = 30.0,
    longest_wait: float = 30.0,
    meanwhile: Callable[[Generator], None] | None = None,
) -> Ran:
    async def ran() -> Ran:
        async with serving(answer) as (target, seen):
            plan = Plan(
                target,
                Schedule(rate, requests / rate),
                users,
                (request,),
                timeout=timeout,
                longest_wait=longest_wait,
            )
            return await finished(plan, seen, meanwhile)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(ran())


async def finished(
    plan: Plan, seen: Seen, meanwhile: Callable[[Generator], None] | None = None
) -> Ran:
    generator = Generator(plan, None)
    if meanwhile is not None:
        asyncio.get_running_loop().call_later(plan.schedule.duration, meanwhile, generator)
    await generator.run(asyncio.get_running_loop().time())
    recording = Recording()
    recording.add(generator.tally.take())
    return Ran(recording.merged(recording.seconds, (0,)), seen, generator)


def test_every_planned_request_is_sent_and_counted_once() -> None:
    ran = run(always(OK))
    assert (ran.cell.succeeded, ran.cell.failed) == (20, 0)
    assert len(ran.seen.paths) == 20
    assert ran.generator.pace.started == 20


def test_connections_are_used_again() -> None:
    assert run(always(OK), users=1).seen.connections == 1


def test_a_server_that_closes_after_each_answer_is_served_all_the_same() -> None:
    ran = run(always(CLOSING))
    assert ran.cell.succeeded == 20
    assert ran.seen.connections == 20


def test_error_answers_are_failures_and_no_quick_answers() -> None:
    ran = run(always(UNAVAILABLE))
    assert ran.cell.failures == {"HTTP 503": 20}
    assert ran.cell.response.count == 0


def test_what_is_not_http_is_a_failure() -> None:
    ran = run(always(b"220 mail.example ESMTP\r\n"))
    assert ran.cell.failures == {"the answer does not begin as HTTP/1.1 does": 20}


def test_a_server_that_hangs_up_is_a_failure() -> None:
    ran = run(always(None))
    assert ran.cell.failures == {"the connection was closed before the answer": 20}


def test_a_server_that_is_not_there_is_a_failure() -> None:
    async def ran() -> Ran:
        async with serving(always(OK)) as (target, seen):
            pass
        return await finished(Plan(target, Schedule(100, 0.1), 5, (GET,)), seen)

    assert asyncio.run(ran()).cell.failures == {"no connection: connection refused": 10}


async def _close_used_connections(path: str, number: int) -> bytes | None:
    del path
    return OK if number == 1 else None


def test_a_get_on_a_connection_the_server_has_closed_is_sent_again() -> None:
    ran = run(_close_used_connections, users=1)
    assert (ran.cell.succeeded, ran.cell.failed) == (20, 0)
    assert ran.generator.pace.repeated == 19


def test_a_post_is_never_sent_twice() -> None:
    ran = run(_close_used_connections, request=POST, users=1)
    assert ran.cell.failed == 10
    assert len(ran.seen.paths) == 20


def test_no_more_requests_are_in_flight_than_there_are_users() -> None:
    async def slowly(path: str, number: int) -> bytes:
        del path, number
        await asyncio.sleep(0.02)
        return OK

    ran = run(slowly, users=3, rate=1000)
    assert ran.cell.succeeded == 20
    assert ran.seen.most_at_once <= 3


def test_waiting_for_a_user_counts_as_response_time_but_not_as_service_time() -> None:
    async def slowly(path: str, number: int) -> bytes:
        del path, number
        await asyncio.sleep(0.02)
        return OK

    cell = run(slowly, users=1, rate=1000).cell
    assert cell.response.highest >= 20 * 0.02 - 0.02  # the last waited for all the others
    assert cell.service.total <= cell.response.total - 19 * 20 / 2 * (0.02 - 0.001)


async def _never(path: str, number: int) -> bytes:
    del path, number
    await asyncio.sleep(3600)
    return OK


def test_a_request_without_an_answer_in_time_counts_with_the_time_it_waited() -> None:
    cell = run(_never, timeout=0.2, requests=5).cell
    assert cell.failures == {TIMED_OUT: 5}
    assert cell.response.count == 5
    assert cell.response.lowest >= 0.2


def test_a_request_that_finds_no_free_user_is_dropped_after_the_longest_wait() -> None:
    cell = run(_never, users=1, requests=5, timeout=0.6, longest_wait=0.2).cell
    assert cell.failures == {TIMED_OUT: 1, DROPPED: 4}
    assert cell.response.lowest >= 0.2


def test_what_is_open_when_a_run_is_ended_is_not_forgotten() -> None:
    def stop(generator: Generator) -> None:
        generator.stop()

    ran = run(_never, users=2, requests=6, meanwhile=stop)
    assert ran.cell.failures[UNFINISHED] == ran.generator.pace.started > 2


def test_a_request_is_counted_in_the_second_it_was_meant_to_start_in() -> None:
    async def slow_at_first(path: str, number: int) -> bytes:
        del path
        await asyncio.sleep(0.3 if number == 1 else 0)
        return OK

    async def ran() -> Recording:
        async with serving(slow_at_first) as (target, _):
            plan = Plan(target, Schedule(10, 1.2), 1, (GET,))
            generator = Generator(plan, None)
            await generator.run(asyncio.get_running_loop().time())
            recording = Recording()
            recording.add(generator.tally.take())
            return recording

    recording = asyncio.run(ran())
    counts = [recording.merged(range(second, second + 1), (0,)).requests for second in (0, 1)]
    assert counts == [10, 2]


def test_an_answer_counts_for_the_throughput_of_the_second_it_came_in() -> None:
    async def slowly(path: str, number: int) -> bytes:
        del path, number
        await asyncio.sleep(1.0)
        return OK

    async def ran() -> Recording:
        async with serving(slowly) as (target, _):
            generator = Generator(Plan(target, Schedule(10, 0.5), 5, (GET,)), None)
            await generator.run(asyncio.get_running_loop().time())
            recording = Recording()
            recording.add(generator.tally.take())
            return recording

    recording = asyncio.run(ran())
    assert recording.merged(range(1), (0,)).answered == 0
    assert recording.merged(recording.seconds, (0,)).answered == 5
