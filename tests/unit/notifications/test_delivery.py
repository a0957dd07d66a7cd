"""Claims about delivery: nothing is lost, nobody is flooded, nobody waits for another."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from stellwerk.notifications.delivery import LONGEST_WAIT_SECONDS, Notifications
from stellwerk.notifications.message import Message
from stellwerk.notifications.receiver import DeliveryError
from tests.unit.notifications.examples import NOW, message


class Recorder:
    """A receiver that fails as often as it is told and then takes everything."""

    def __init__(
        self, name: str = "slack", failures: int = 0, error: Exception | None = None
    ) -> None:
        self.name = name
        self.failures = failures
        self.error = error or DeliveryError("is away")
        self.batches: list[list[str]] = []
        self.tries = 0

    async def deliver(self, messages: Sequence[Message]) -> None:
        self.tries += 1
        if self.tries <= self.failures:
            raise self.error
        self.batches.append([one.headline for one in messages])


class Frozen(Recorder):
    """A receiver that never answers."""

    async def deliver(self, messages: Sequence[Message]) -> None:  # noqa: ARG002
        self.tries += 1
        await asyncio.Event().wait()


class Pauses:
    """Pauses that last no time, and how long they would have been."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


def _notifications(
    folder: Path,
    *receivers: Recorder,
    group_seconds: float = 0,
    pauses: Pauses | None = None,
    clock: Callable[[], datetime] = lambda: NOW,
) -> Notifications:
    return Notifications(
        folder,
        receivers,
        group_seconds=group_seconds,
        pause=pauses or Pauses(),
        clock=clock,
    )


async def _run_until(told: Notifications, reached: Callable[[], bool]) -> None:
    task = asyncio.create_task(told.run())
    try:
        async with asyncio.timeout(20):
            while not reached():
                await asyncio.sleep(0)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_messages_of_one_moment_are_one_delivery(tmp_path: Path) -> None:
    slack = Recorder()
    told = _notifications(tmp_path, slack, group_seconds=0.01)

    async def scenario() -> None:
        task = asyncio.create_task(told.run())
        told.tell(message("one"))
        await asyncio.sleep(0)
        told.tell(message("two"))
        while not slack.batches:
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(scenario())
    assert slack.batches == [["one", "two"]]
    assert told.waiting() == {"slack": 0}


def test_an_urgent_message_waits_for_no_other(tmp_path: Path) -> None:
    slack = Recorder()
    told = _notifications(tmp_path, slack, group_seconds=3600)
    told.tell(message("usual"))
    told.tell(message("at once"), urgent=True)
    asyncio.run(_run_until(told, lambda: bool(slack.batches)))
    assert slack.batches == [["usual", "at once"]]


def test_what_waited_while_the_receiver_was_away_comes_as_one(tmp_path: Path) -> None:
    slack, pauses = Recorder(failures=20), Pauses()
    told = _notifications(tmp_path, slack, pauses=pauses)
    for number in range(50):
        told.tell(message(str(number)))
    asyncio.run(_run_until(told, lambda: bool(slack.batches)))
    assert slack.batches == [[str(number) for number in range(50)]]
    assert pauses.seconds == sorted(pauses.seconds)
    assert pauses.seconds[0] == 5
    assert pauses.seconds[-1] == LONGEST_WAIT_SECONDS


def test_a_receiver_is_waited_for_as_long_as_it_asks(tmp_path: Path) -> None:
    slack, pauses = Recorder(failures=1, error=DeliveryError("is busy", 42)), Pauses()
    told = _notifications(tmp_path, slack, pauses=pauses)
    told.tell(message())
    asyncio.run(_run_until(told, lambda: bool(slack.batches)))
    assert pauses.seconds == [42]


@pytest.mark.parametrize("dead", [Frozen("email"), Recorder("email", failures=10**9)])
def test_a_dead_receiver_holds_up_no_other(tmp_path: Path, dead: Recorder) -> None:
    slack = Recorder()
    told = _notifications(tmp_path, dead, slack)
    told.tell(message())
    asyncio.run(_run_until(told, lambda: bool(slack.batches and dead.tries)))
    assert told.waiting() == {"email": 1, "slack": 0}


def test_a_fault_in_one_way_of_telling_ends_nothing(tmp_path: Path) -> None:
    faulty, slack = Recorder("email", failures=2, error=KeyError("fault")), Recorder()
    told = _notifications(tmp_path, faulty, slack)
    told.tell(message())
    asyncio.run(_run_until(told, lambda: bool(slack.batches and faulty.batches)))


def test_only_the_channels_that_are_named_are_told(tmp_path: Path) -> None:
    told = _notifications(tmp_path, Recorder("email"), Recorder("slack"))
    told.tell(message(), channels=["email"])
    assert told.waiting() == {"email": 1, "slack": 0}


def test_after_a_restart_what_was_not_delivered_is_delivered(tmp_path: Path) -> None:
    _notifications(tmp_path, Recorder()).tell(message("before the restart"))
    slack = Recorder()
    told = _notifications(tmp_path, slack, group_seconds=3600)
    asyncio.run(_run_until(told, lambda: bool(slack.batches)))
    assert slack.batches == [["before the restart"]]


def test_messages_older_than_a_day_are_given_up(tmp_path: Path) -> None:
    slack = Recorder()
    told = _notifications(tmp_path, slack)
    told.tell(message("yesterday", age_seconds=timedelta(days=1, seconds=1).total_seconds()))
    told.tell(message("today"))
    asyncio.run(_run_until(told, lambda: bool(slack.batches)))
    assert slack.batches == [["today"]]


def test_what_comes_in_during_a_delivery_is_not_taken_for_delivered(tmp_path: Path) -> None:
    class Slow(Recorder):
        async def deliver(self, messages: Sequence[Message]) -> None:
            if not self.batches:
                told.tell(message("meanwhile"))
            await super().deliver(messages)

    slack = Slow()
    told = _notifications(tmp_path, slack)
    told.tell(message("first"))
    asyncio.run(_run_until(told, lambda: len(slack.batches) == 2))
    assert slack.batches == [["first"], ["meanwhile"]]
