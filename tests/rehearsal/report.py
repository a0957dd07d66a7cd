"""What a rehearsal found, as text and as JSON. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.rehearsal.probe import Tried


@dataclass(frozen=True)
class Run:
    """One run of the deploy. `changes` are its operations that changed something."""

    seconds: float
    changes: int
    failure: str = ""


@dataclass(frozen=True)
class Breakage:
    """What happened when a host lost its power and got it back.

    + alone_in: the groups that were without any host meanwhile
    + serves_without: whether all doors that are not the host's own answered again without it
    + back_seconds: from its power to answers of all doors; None where that did not come
    + doors: what became of the requests; `redis_away_seconds`: the longest time without a write
    + after: the run that followed
    """

    host: str
    groups: Sequence[str]
    alone_in: Sequence[str]
    serves_without: bool
    back_seconds: float | None
    doors: Mapping[str, Tried]
    redis_away_seconds: float | None
    after: Run

    @property
    def problems(self) -> tuple[str, ...]:
        """What should not have happened."""
        return tuple(self._problems())

    def _problems(self) -> Iterator[str]:
        if not self.serves_without and not self.alone_in:
            yield f"the cluster did not serve while {self.host} was without power"
        if self.back_seconds is None:
            yield f"the cluster did not serve again after {self.host} had its power back"
        if self.after.failure:
            yield f"the run after {self.host} was back failed: {self.after.failure}"


@dataclass(frozen=True)
class Report:
    """A whole rehearsal: the first run, the one after it, and each host that was broken.

    `substituted` are the hosts that had another address than in production.
    """

    inventory: str
    addresses: Mapping[str, str]
    substituted: Sequence[str]
    first: Run
    second: Run | None = None
    breakages: Sequence[Breakage] = field(default_factory=tuple)

    @property
    def problems(self) -> tuple[str, ...]:
        """What should not have happened, in the order in which it did."""
        found = [f"the first run failed: {self.first.failure}"] if self.first.failure else []
        if self.second and self.second.failure:
            found.append(f"the second run failed: {self.second.failure}")
        elif self.second and self.second.changes:
            found.append(f"the second run changed {self.second.changes} operations' hosts again")
        return (*found, *(problem for one in self.breakages for problem in one.problems))

    def document(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            **asdict(self, dict_factory=_plain),
            "problems": list(self.problems),
        }

    def text(self) -> str:
        """All of it, for a terminal of 80 columns."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"Rehearsal of {self.inventory}"
        yield from (
            f"  {name} has {self.addresses[name]} here, as its own address is not known"
            for name in self.substituted
        )
        yield f"  first run   {_of_run(self.first)}"
        if self.second:
            yield f"  second run  {_of_run(self.second)}"
        for one in self.breakages:
            yield from _of_breakage(one)
        yield ""
        yield from (f"Problem: {problem}" for problem in self.problems)
        if not self.problems:
            yield "Every host that was broken came back, and nothing was left to repair by hand."


def _of_run(run: Run) -> str:
    return run.failure or f"{run.seconds:5.1f} s, {run.changes} operations changed something"


def _of_breakage(one: Breakage) -> Iterator[str]:
    yield ""
    yield f"{one.host} without power, for {', '.join(one.groups)}"
    if one.alone_in:
        yield f"  the only host of {', '.join(one.alone_in)}: away until it is back"
    width = max(map(len, one.doors), default=0)
    for door, tried in one.doors.items():
        away = f", away for {tried.away_seconds:.1f} s" if tried.failed else ""
        reasons = f" ({', '.join(sorted(tried.reasons))})" if tried.failed else ""
        yield f"  {door:{width}}  {tried.failed} of {tried.requests} failed{away}{reasons}"
    if one.redis_away_seconds is not None:
        yield f"  {'Redis':{width}}  longest time without a write {one.redis_away_seconds:.1f} s"
    if one.back_seconds is not None:
        yield f"  {one.back_seconds:.1f} s after its power was back all of it answered"
    yield f"  next run    {_of_run(one.after)}"


def _plain(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: sorted(value) if isinstance(value, frozenset) else value for key, value in pairs}
