"""Claims about a host's alerts at work: over restarts, on a broken disk, with silences."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.metrics.alerts import state as keeping
from stellwerk.metrics.alerts.center import AlertCenter
from stellwerk.metrics.alerts.evaluation import Change, Changed, Level, Watch
from stellwerk.metrics.alerts.silences import Silence
from stellwerk.metrics.alerts.state import State
from stellwerk.metrics.alerts.telling import Knowledge, Told
from stellwerk.metrics.model import Series, Status
from stellwerk.notifications.delivery import Notifications
from stellwerk.notifications.outbox import Outbox
from tests.unit.metrics.alerts.examples import (
    CPU,
    HIT_RATE,
    INTERVAL,
    REDIS_UP,
    REGISTRY,
    START,
    settings,
)
from tests.unit.notifications.test_delivery import Recorder


class Host:
    """A host with an alert center that may be restarted, and its clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.at = START
        self.start()

    def start(self) -> None:
        self.center = AlertCenter(
            "cache-1",
            REGISTRY,
            settings().monitoring,
            Notifications(self.folder / "queue", [Recorder("email")], group_seconds=0),
            self.folder / "alerts.json",
            lambda: self.at,
        )

    def restart(self, after: float = 5) -> None:
        self.at += after
        self.start()

    def collect(self, values: Mapping[Series, float], times: int = 1) -> list[Change]:
        found = []
        for _ in range(times):
            self.at += INTERVAL
            found += [one.change for one in self.center.observe(values.items(), self.at)]
        return found

    @property
    def told(self) -> list[str]:
        """The headlines of all messages that wait to be delivered."""
        waiting = Outbox(self.folder / "queue" / "email").waiting()
        return [entry.message.headline for entry in waiting]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_an_alert_is_queued_once_and_its_end_once(host: Host) -> None:
    host.collect({REDIS_UP: 0}, times=20)
    host.collect({REDIS_UP: 1}, times=20)
    assert host.told == ["redis 6379 is down", "redis 6379 is up again"]


def test_a_restart_raises_nothing_anew_and_forgets_nothing(host: Host) -> None:
    host.collect({REDIS_UP: 0}, times=10)
    host.restart(after=7200)
    assert [one.sentence for one in host.center.alerts()] == ["redis 6379 is down"]
    assert host.collect({REDIS_UP: 0}, times=10) == []
    host.restart()
    assert host.collect({REDIS_UP: 1}, times=10) == [Change.CLEARED]
    assert host.told == ["redis 6379 is down", "redis 6379 is up again"]


def test_the_time_without_a_monitor_counts_for_no_alert(host: Host) -> None:
    host.collect({CPU: 99}, times=2)
    host.restart(after=3600)
    assert host.collect({CPU: 99}, times=2) == []
    host.collect({REDIS_UP: 0}, times=10)
    host.restart(after=3600)
    assert host.collect({CPU: 10}) == []  # Redis is not looked at yet, and not lost for that


def test_an_end_that_was_not_told_before_a_restart_is_told_after_it(host: Host) -> None:
    host.collect({REDIS_UP: 0}, times=10)
    assert host.collect({REDIS_UP: 1}, times=3) == [Change.CLEARED]
    host.restart()
    host.collect({REDIS_UP: 1}, times=5)
    assert host.told == ["redis 6379 is down", "redis 6379 is up again"]


@pytest.mark.parametrize("text", ["", "{", '{"format": 99}', "[]", '{"format": 1}', "\x00\xff"])
def test_a_broken_file_is_set_aside_and_alerts_begin_anew(host: Host, text: str) -> None:
    host.collect({REDIS_UP: 0}, times=10)
    (host.folder / "alerts.json").write_bytes(text.encode("latin-1"))
    host.restart()
    assert host.center.alerts() == []
    assert (host.folder / "alerts.json.broken").exists()
    assert host.collect({REDIS_UP: 0}, times=10) == [Change.RAISED]


def test_a_disk_that_takes_nothing_keeps_no_alert_from_being_told(tmp_path: Path) -> None:
    (tmp_path / "alerts.json").mkdir()
    host = Host(tmp_path)
    host.collect({REDIS_UP: 0}, times=10)
    assert host.told == ["redis 6379 is down"]


def test_a_silence_survives_a_restart_and_ends_by_itself(host: Host) -> None:
    host.center.silence(600, "ops", "upgrade", metric="redis.*", service="*", subject="*")
    host.restart()
    host.collect({REDIS_UP: 0}, times=10)
    (alert,) = host.center.alerts()
    assert alert.silenced
    assert host.told == []
    host.collect({REDIS_UP: 0}, times=60)
    assert host.center.silences() == ()
    assert host.told == ["redis 6379 is down"]


def test_a_silence_may_be_ended_before_its_time(host: Host) -> None:
    silence = host.center.silence(600, "ops", "", metric="*", service="*", subject="*")
    assert host.center.unsilence([silence.number + 1]) == ()
    assert host.center.unsilence([silence.number]) == (silence,)
    host.collect({REDIS_UP: 0}, times=10)
    assert host.told == ["redis 6379 is down"]


def test_alerts_are_listed_the_worst_first(host: Host) -> None:
    host.collect({HIT_RATE: 60, CPU: 85}, times=10)
    host.collect({HIT_RATE: 60, CPU: 85, REDIS_UP: 0}, times=10)
    assert host.center.alerts()[0].watch.series == REDIS_UP


def test_nothing_is_written_while_nothing_changes(host: Host) -> None:
    host.collect({REDIS_UP: 0, CPU: 50}, times=20)
    (host.folder / "alerts.json").unlink()
    host.collect({REDIS_UP: 0, CPU: 50}, times=20)
    assert not (host.folder / "alerts.json").exists()


_TIMES = st.floats(1e9, 3e9)
_LEVELS = st.builds(Level, exceeded=st.booleans(), since=_TIMES, believed=st.booleans())
_WATCHES = st.builds(
    Watch,
    series=st.sampled_from([CPU, HIT_RATE, REDIS_UP]),
    value=st.floats(-1e12, 1e12),
    seen_at=_TIMES,
    warning=_LEVELS,
    critical=_LEVELS,
    raised_at=st.none() | _TIMES,
)
_ENDS = st.none() | st.builds(
    Changed, change=st.sampled_from([Change.CLEARED, Change.LOST]), watch=_WATCHES, at=_TIMES
)
_TOLD = st.builds(
    Told,
    series=st.sampled_from([CPU, HIT_RATE, REDIS_UP]),
    severity=st.sampled_from(Status),
    at=_TIMES,
    ended=_ENDS,
)
_STATES = st.builds(
    State,
    watches=st.lists(_WATCHES).map(lambda found: {one.series.key: one for one in found}),
    knowledge=st.builds(
        Knowledge,
        told=st.lists(_TOLD).map(lambda found: {one.series.key: one for one in found}),
        news_since=st.none() | _TIMES,
    ),
    silences=st.lists(
        st.builds(
            Silence,
            number=st.integers(1, 99),
            until=_TIMES,
            by=st.text(max_size=9),
            reason=st.text(max_size=9),
        )
    ).map(tuple),
)


@given(_STATES)
def test_what_is_known_is_the_same_after_a_restart_but_for_time(state: State) -> None:
    document = keeping.from_document(keeping.to_document(state))
    assert document == state
