"""Runs take the hosts' locks together: the second waits and says for whom, none waits forever."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gevent
import pytest

from deploys.engine import run_lock
from deploys.engine.invocation import Refused
from deploys.engine.run_lock import RunLock


@dataclass
class Site:
    """Hosts with a lock each, and who holds it."""

    holders: dict[str, str] = field(default_factory=dict)
    last: dict[str, str] = field(default_factory=dict)
    results: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class FakeHost:
    """A host of the site, which gives its lock to whoever asks while it is free."""

    name: str
    site: Site

    def hold(self, request: Mapping[str, Any]) -> None:
        while self.site.holders.setdefault(self.name, request["run"]) != request["run"]:
            if request["wait_seconds"] <= run_lock.AT_ONCE_SECONDS:
                return
            gevent.sleep(0)

    def ask(self, command: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        gevent.sleep(0)
        holder = self.site.holders.get(self.name)
        if command == "release-run":
            if holder == request["run"]:
                del self.site.holders[self.name]
                result = request["result"]["outcome"]
                self.site.results.append((self.name, request["run"], result))
            return {}
        about = {"last": self.site.last.get(self.name, "")}
        if holder is None:
            return about
        return {**about, "run": holder, "who": f"{holder} on desk", "since": "noon"}


@pytest.fixture(autouse=True)
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting takes no time."""
    monkeypatch.setattr(run_lock, "_LOOK_SECONDS", 0)


def hosts(site: Site, *names: str) -> list[FakeHost]:
    return [FakeHost(name, site) for name in names]


def test_all_hosts_are_locked_and_released_with_the_outcome() -> None:
    site = Site(last={"app-1": "before"})
    lock = RunLock("one", print, 0)
    assert lock.take(hosts(site, "lb-1", "app-1")) == {"app-1": "before", "lb-1": ""}
    assert site.holders == {"app-1": "one", "lb-1": "one"}
    assert lock.held == {"app-1", "lb-1"}
    lock.release({"outcome": "ok"})
    assert site.holders == {}
    assert sorted(site.results) == [("app-1", "one", "ok"), ("lb-1", "one", "ok")]


def test_a_second_run_waits_says_once_for_whom_and_goes_on() -> None:
    site = Site()
    said: list[str] = []
    first, second = RunLock("one", print, 0), RunLock("two", said.append, 60)
    first.take(hosts(site, "a", "b"))
    waiting = gevent.spawn(second.take, hosts(site, "a", "b"))
    while not said:
        gevent.sleep(0)
    for _ in range(100):
        gevent.sleep(0)
    first.release({"outcome": "ok"})
    waiting.get(timeout=10)
    assert site.holders == {"a": "two", "b": "two"}
    assert said == ["a: a run by one on desk works on it since noon; waiting for it to end"]


def test_who_has_waited_long_enough_is_refused_with_the_name_and_holds_nothing() -> None:
    site = Site(holders={"b": "other"})
    lock = RunLock("one", print, 0)
    with pytest.raises(Refused, match=r"b: a run by other on desk works on it since noon.*0 s"):
        lock.take(hosts(site, "a", "b", "c"))
    assert site.holders == {"b": "other"}
    assert lock.held == frozenset()


def test_two_runs_that_start_at_once_do_not_wait_for_each_other() -> None:
    site = Site()
    runs = [RunLock(name, lambda _: None, 60) for name in ("one", "two")]

    def work(lock: RunLock) -> None:
        lock.take(hosts(site, "a", "b", "c"))
        assert set(site.holders.values()) == {lock.run}
        gevent.sleep(0)
        lock.release({"outcome": "ok"})

    jobs = [gevent.spawn(work, lock) for lock in runs]
    for job in jobs:
        job.get(timeout=10)
    assert len(site.results) >= 6


def test_runs_on_other_hosts_are_not_disturbed() -> None:
    site = Site()
    RunLock("one", print, 0).take(hosts(site, "a"))
    RunLock("two", print, 0).take(hosts(site, "b"))
    assert site.holders == {"a": "one", "b": "two"}


def test_a_run_waits_before_it_reads_facts() -> None:
    holders = [{"a": {"run": "other", "who": "bob on desk", "since": "noon"}}, {}]
    said: list[str] = []
    RunLock("one", said.append, 60).await_others(lambda: holders.pop(0))
    assert holders == []
    assert said == ["a: a run by bob on desk works on it since noon; waiting for it to end"]


def test_how_long_it_waits_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_lock.patience() == run_lock.WAIT_SECONDS
    monkeypatch.setenv(run_lock.WAIT_VARIABLE, "7")
    assert run_lock.patience() == 7
    monkeypatch.setenv(run_lock.WAIT_VARIABLE, "soon")
    with pytest.raises(Refused, match="STELLWERK_LOCK_WAIT=soon is no number"):
        run_lock.patience()
