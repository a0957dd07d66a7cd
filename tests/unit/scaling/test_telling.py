"""Scaling is told to the receivers of the settings, by the route of each kind of notice."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stellwerk.notifications.message import Message
from stellwerk.notifications.receiver import DeliveryError
from stellwerk.scaling.scaler import telling
from stellwerk.scaling.scaler.notices import Kind, Notice
from stellwerk.scaling.scaler.telling import People
from stellwerk.settings.files import HostFile
from stellwerk.settings.monitoring import Receivers
from stellwerk.settings.scaling import Route
from tests.unit.scaling.clusters import host_file

NOW = datetime.now(UTC)  # of what is a day old nobody is told
NOTICE = Notice(Kind.ACTION, "shop", NOW, "shop goes from 2 to 3: cpu_percent averaged 90.")
AT_ONCE = Route(severity="high", immediate=True)


class Receiver:
    """Takes everything, or nothing while it is away."""

    def __init__(self, name: str, *, is_away: bool = False) -> None:
        self.name = name
        self.is_away = is_away
        self.taken: list[Message] = []

    async def deliver(self, messages: Sequence[Message]) -> None:
        if self.is_away:
            raise DeliveryError("is away")
        self.taken += messages


class Settings:
    """Settings that can be changed, and what receivers they name."""

    def __init__(self, *named: Receiver) -> None:
        self.named = named
        self.host = host_file()

    def __call__(self) -> HostFile:
        return self.host

    def change(self, *named: Receiver) -> None:
        self.named = named
        settings = self.host.settings
        other = settings.monitoring.model_copy(update={"receivers": Receivers(group_seconds=60)})
        changed = settings.model_copy(update={"monitoring": other})
        self.host = replace(self.host, settings=changed)

    def receivers(self, settings: Receivers, host: str) -> tuple[Receiver, ...]:
        assert (settings, host) == (self.host.settings.monitoring.receivers, "db-1")
        return self.named


@pytest.fixture
def people(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[People, Settings]]:
    def make(*named: Receiver) -> tuple[People, Settings]:
        settings = Settings(*named)
        monkeypatch.setattr(telling, "receivers", settings.receivers)
        monkeypatch.setattr(telling, "LOOK_SECONDS", 0)
        return People(settings, tmp_path), settings

    return make


def delivered(told: People, *receivers: Receiver, act: Callable[[], None] = lambda: None) -> None:
    """Deliver until every one of these has something."""

    async def scenario() -> None:
        running = asyncio.ensure_future(told.run())
        await asyncio.sleep(0)
        act()
        async with asyncio.timeout(30):
            while not all(one.taken for one in receivers):
                await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(scenario())


def test_a_notice_is_told_by_the_channels_of_its_route(
    people: Callable[..., tuple[People, Settings]],
) -> None:
    slack, email = Receiver("slack"), Receiver("email")
    told, _ = people(slack, email)
    told.tell(NOTICE, AT_ONCE.model_copy(update={"channels": ["email"]}))
    delivered(told, email)
    assert email.taken == [Message(NOW, "scaler", "high", NOTICE.text)]
    assert slack.taken == []


def test_an_escalation_says_that_it_lasts(
    people: Callable[..., tuple[People, Settings]],
) -> None:
    slack = Receiver("slack")
    told, _ = people(slack)
    told.tell(replace(NOTICE, escalated=True), AT_ONCE)
    delivered(told, slack)
    assert slack.taken[0].headline == f"still: {NOTICE.text}"


def test_what_waits_goes_to_the_receivers_that_the_settings_name_now(
    people: Callable[..., tuple[People, Settings]],
) -> None:
    gone, there = Receiver("slack", is_away=True), Receiver("slack")
    told, settings = people(gone)
    told.tell(NOTICE, AT_ONCE)
    delivered(told, there, act=lambda: settings.change(there))
    assert [one.headline for one in there.taken] == [NOTICE.text]


def test_it_goes_on_with_nobody_to_tell_until_there_is_somebody(
    people: Callable[..., tuple[People, Settings]],
) -> None:
    there = Receiver("slack")
    told, settings = people()
    told.tell(NOTICE, AT_ONCE)

    async def scenario() -> None:
        running = asyncio.ensure_future(told.run())
        await asyncio.sleep(0)
        settings.change(there)
        async with asyncio.timeout(30):
            while not there.taken:
                told.tell(NOTICE, AT_ONCE)
                await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(scenario())
