"""One run at a time on each host: takes the hosts' locks before the first change to any.

All hosts of the run are taken together, in one order, so that two runs cannot wait for each other.
What holds a lock on a host, and why it cannot stay behind, is in deploys/host/run_lock.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Protocol
from uuid import uuid4

import gevent

from deploys.engine.invocation import Refused
from stellwerk.remote import operator

WAIT_VARIABLE: Final = "STELLWERK_LOCK_WAIT"
"""Environment variable: for how many seconds a run waits for another one."""
WAIT_SECONDS: Final = 300.0
RENEW_SECONDS: Final = 20.0
"""A host gives a run up after 90 s in which it was not heard of."""
_LOOK_SECONDS: Final = 1.0
AT_ONCE_SECONDS: Final = 0.5  # another process that only looks at the lock is not in the way


class LockedHost(Protocol):
    """A host as seen from here. `hold` returns when the run is over there."""

    @property
    def name(self) -> str: ...
    def hold(self, request: Mapping[str, Any]) -> None: ...
    def ask(self, command: str, request: Mapping[str, Any]) -> Mapping[str, Any]: ...


def new_run() -> str:
    """A name for a run that no other has."""
    return uuid4().hex[:12]


@cache
def revision() -> str:
    """What git says of the project; empty where it is in no repository."""
    with suppress(OSError, subprocess.SubprocessError):
        described = subprocess.run(
            ["git", "describe", "--always", "--tags", "--dirty"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        return described.stdout.strip()
    return ""


def patience() -> float:
    """How many seconds to wait for another run.

    Raises:
        Refused: the environment says no number.
    """
    given = os.environ.get(WAIT_VARIABLE, "")
    try:
        return float(given) if given else WAIT_SECONDS
    except ValueError:
        raise Refused(f"{WAIT_VARIABLE}={given} is no number of seconds") from None


@dataclass
class RunLock:
    """The locks of one run. `say` shows a line; `wait_seconds` bounds waiting for another run."""

    run: str
    say: Callable[[str], None]
    wait_seconds: float
    _held: dict[str, LockedHost] = field(default_factory=dict)
    _said: set[str] = field(default_factory=set)

    @property
    def held(self) -> frozenset[str]:
        """The names of the hosts that are locked."""
        return frozenset(self._held)

    def await_others(self, look: Callable[[], Mapping[str, Mapping[str, str]]]) -> None:
        """Wait until no other run works on a host; `look` tells who holds which lock.

        Raises:
            Refused: it took too long; the message names the other run.
        """
        deadline = time.monotonic() + self.wait_seconds
        while holders := look():
            self._wait(holders, deadline)

    def take(self, hosts: Iterable[LockedHost]) -> Mapping[str, str]:
        """Lock hosts; returns per host the run that changed it last.

        Raises:
            Refused: another run holds one for too long, or a host does not answer; then none of
                them is locked.
        """
        ordered = sorted(hosts, key=lambda one: one.name)
        answers = self._try_all(ordered)
        if self._are_mine(answers):
            return self._keep(ordered, answers)
        self._release(ordered, {"outcome": "failed"})
        deadline = time.monotonic() + self.wait_seconds
        taken: list[LockedHost] = []
        for one in ordered:
            taken.append(one)
            gevent.spawn(one.hold, self._request(self.wait_seconds))
            try:
                while not self._are_mine([answer := self._lease(one, starting=True)]):
                    self._wait({one.name: answer}, deadline)
            except Refused:
                self._release(taken, {"outcome": "failed"})
                raise
            answers[ordered.index(one)] = answer
        return self._keep(ordered, answers)

    def release(self, outcome: Mapping[str, str]) -> None:
        """End the run on all hosts; each writes down what came of it, if it was changed."""
        held, self._held = list(self._held.values()), {}
        self._release(held, outcome)

    def _try_all(self, hosts: Sequence[LockedHost]) -> list[Mapping[str, Any]]:
        for one in hosts:
            gevent.spawn(one.hold, self._request(AT_ONCE_SECONDS))
        jobs = [gevent.spawn(_or_refusal, self._lease, one, True) for one in hosts]
        gevent.joinall(jobs)
        return [_or_raise(job.get()) for job in jobs]

    def _request(self, wait_seconds: float) -> Mapping[str, Any]:
        return {
            "run": self.run,
            "who": operator(),
            "revision": revision(),
            "wait_seconds": wait_seconds,
        }

    def _lease(self, one: LockedHost, starting: bool) -> Mapping[str, Any]:
        return one.ask("lease", {"run": self.run, "starting": starting})

    def _are_mine(self, answers: Iterable[Mapping[str, Any]]) -> bool:
        return all(answer.get("run") == self.run for answer in answers)

    def _keep(
        self, hosts: Sequence[LockedHost], answers: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, str]:
        if not self._held:
            gevent.spawn(self._renew)
        self._held |= {one.name: one for one in hosts}
        return {one.name: str(answer["last"]) for one, answer in zip(hosts, answers, strict=True)}

    def _renew(self) -> None:
        """Be heard of, as long as locks are held: a step of one host may take minutes."""
        while True:
            gevent.sleep(RENEW_SECONDS)
            if not self._held:
                return
            for one in list(self._held.values()):
                # One that does not answer ends the run by the step that finds out.
                with suppress(Refused):
                    self._lease(one, starting=False)

    def _release(self, hosts: Iterable[LockedHost], outcome: Mapping[str, str]) -> None:
        request = {"run": self.run, "result": outcome}
        jobs = [gevent.spawn(_or_refusal, one.ask, "release-run", request) for one in hosts]
        gevent.joinall(jobs)

    def _wait(self, holders: Mapping[str, Mapping[str, str]], deadline: float) -> None:
        sentences = [holder_sentence(host, about) for host, about in sorted(holders.items())]
        if time.monotonic() >= deadline:
            raise Refused(
                f"{sentences[0]}; nothing was changed by this one, which has waited for"
                f" {self.wait_seconds:g} s ({WAIT_VARIABLE})"
            )
        for sentence in sentences:
            if sentence not in self._said:
                self._said.add(sentence)
                self.say(f"{sentence}; waiting for it to end")
        gevent.sleep(_LOOK_SECONDS)


def holder_sentence(host: str, about: Mapping[str, str]) -> str:
    """Who holds the lock of a host."""
    if "run" not in about:
        return f"{host}: its lock is not given"
    return f"{host}: a run by {about['who']} works on it since {about['since']}"


def _or_refusal(call: Callable[..., Any], *arguments: Any) -> Any:
    """What it returns, or why there is nothing: gevent prints what a greenlet raises."""
    try:
        return call(*arguments)
    except Refused as refused:
        return refused


def _or_raise(found: Any) -> Mapping[str, Any]:
    if isinstance(found, Refused):
        raise found
    return dict(found)
