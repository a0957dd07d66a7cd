"""What came of the requests, per second of their intended start and kind. Pure bookkeeping."""

import base64
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Self

from stellwerk.metrics.histogram import Histogram

DROPPED: Final = "dropped: no free user"
TIMED_OUT: Final = "no answer in time"
UNFINISHED: Final = "no answer when the run was ended"

Key = tuple[int, int]
"""The second of the intended start, counted from the start of the run, and the kind of request."""


@dataclass
class Cell:
    """The requests of some seconds and kinds.

    + response: from the intended start to the end of the answer. Requests without any answer are in
      it with the time they waited, as leaving them out would flatter; answers that are errors are
      not, as a quick error is no quick answer
    + service: from the sending to the end of the answer
    + failures: how many failed, by reason
    + answered: good answers that came in these seconds, whenever their requests were meant to start
    """

    response: Histogram = field(default_factory=Histogram)
    service: Histogram = field(default_factory=Histogram)
    failures: Counter[str] = field(default_factory=Counter)
    answered: int = 0

    @property
    def succeeded(self) -> int:
        """How many requests were answered well."""
        return self.service.count

    @property
    def failed(self) -> int:
        """How many were not."""
        return self.failures.total()

    @property
    def requests(self) -> int:
        """All of them."""
        return self.succeeded + self.failed

    @property
    def error_percent(self) -> float | None:
        """The share of failures; None where there was no request."""
        return 100 * self.failed / self.requests if self.requests else None

    def success(self, response: float, service: float) -> None:
        """Count an answered request; times in seconds."""
        self.response.add(response)
        self.service.add(service)

    def failure(self, reason: str) -> None:
        """Count a request that was answered with an error or whose connection broke."""
        self.failures[reason] += 1

    def silence(self, reason: str, waited: float) -> None:
        """Count a request that had no answer for so many seconds."""
        self.failures[reason] += 1
        self.response.add(waited)

    def merge(self, other: Self) -> None:
        """Count all requests of `other` as well."""
        self.response.merge(other.response)
        self.service.merge(other.service)
        self.failures.update(other.failures)
        self.answered += other.answered


class Tally:
    """Cells by second and kind, until they are taken."""

    def __init__(self) -> None:
        self._cells: dict[Key, Cell] = {}

    def cell(self, second: int, kind: int) -> Cell:
        """The cell to count a request in."""
        key = (second, kind)
        found = self._cells.get(key)
        if found is None:
            found = self._cells[key] = Cell()
        return found

    def take(self) -> list[dict[str, Any]]:
        """All cells as JSON values for `Recording.add`; the tally is empty afterwards."""
        taken, self._cells = self._cells, {}
        return [
            {
                "second": second,
                "kind": kind,
                "response": base64.b64encode(cell.response.packed()).decode(),
                "service": base64.b64encode(cell.service.packed()).decode(),
                "failures": dict(cell.failures),
                "answered": cell.answered,
            }
            for (second, kind), cell in taken.items()
        ]


@dataclass(frozen=True)
class _Packed:
    """A cell as it is kept: two hours of dictionaries would take hundreds of megabytes."""

    response: bytes
    service: bytes
    failures: Counter[str]
    answered: int

    @classmethod
    def of(cls, cell: Cell) -> Self:
        return cls(cell.response.packed(), cell.service.packed(), cell.failures, cell.answered)

    def cell(self) -> Cell:
        return Cell(
            Histogram.unpacked(self.response),
            Histogram.unpacked(self.service),
            Counter(self.failures),
            self.answered,
        )


class Recording:
    """All cells of a run, merged over its workers."""

    def __init__(self) -> None:
        self._cells: dict[Key, _Packed] = {}

    def add(self, taken: Iterable[dict[str, Any]]) -> None:
        """Add what a worker's tally gave."""
        for values in taken:
            key = (int(values["second"]), int(values["kind"]))
            new = _Packed(
                base64.b64decode(values["response"]),
                base64.b64decode(values["service"]),
                Counter(values["failures"]),
                int(values["answered"]),
            )
            if key in self._cells:
                cell = self._cells[key].cell()
                cell.merge(new.cell())
                new = _Packed.of(cell)
            self._cells[key] = new

    @property
    def seconds(self) -> range:
        """From the start of the run to the last second with a request."""
        return range(1 + max((second for second, _ in self._cells), default=-1))

    def merged(self, seconds: range, kinds: Iterable[int]) -> Cell:
        """One cell of these seconds and kinds."""
        result = Cell()
        wanted = tuple(kinds)
        for cell in self._cells_of(seconds, wanted):
            result.merge(cell)
        return result

    def _cells_of(self, seconds: range, kinds: tuple[int, ...]) -> Iterator[Cell]:
        for second in seconds:
            for kind in kinds:
                packed = self._cells.get((second, kind))
                if packed is not None:
                    yield packed.cell()
