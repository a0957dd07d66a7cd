"""Everything a run has measured so far: written by the run, read by the display and the verdict."""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime

from stellwerk.loadtest.planning import Planned
from stellwerk.loadtest.tally import Cell, Recording
from stellwerk.loadtest.watch import Sample
from stellwerk.loadtest.worker import Report


@dataclass(frozen=True)
class Window:
    """The seconds that are judged, and how long they are together."""

    seconds: range
    length: float


@dataclass(frozen=True)
class Beat:
    """One report of one worker, without its cells. Times in seconds; `end` from the start."""

    end: float
    elapsed: float
    cpu: float


@dataclass
class WorkerRecord:
    """How one worker did."""

    beats: list[Beat] = field(default_factory=list)
    started: int = 0
    late: int = 0
    worst_seconds: float = 0.0
    repeated: int = 0
    own_failures: int = 0
    in_flight: int = 0
    waiting: int = 0
    finished: bool = False

    def add(self, report: Report) -> None:
        """Take in a report."""
        end = (self.beats[-1].end if self.beats else 0.0) + report.elapsed
        self.beats.append(Beat(end, report.elapsed, report.cpu))
        self.started += report.started
        self.late += report.late
        self.repeated += report.repeated
        self.own_failures += report.own_failures
        self.worst_seconds = report.worst_seconds
        self.in_flight, self.waiting = report.in_flight, report.waiting
        self.finished = report.last

    def cpu_share(self, after: float) -> float | None:
        """CPU time per time since that second; None where nothing was reported since."""
        beats = [beat for beat in self.beats if beat.end > after]
        elapsed = sum(beat.elapsed for beat in beats)
        return sum(beat.cpu for beat in beats) / elapsed if elapsed else None


@dataclass
class RunRecord:
    """A run and what came of it."""

    planned: Planned
    workers: list[WorkerRecord]
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    recording: Recording = field(default_factory=Recording)
    samples: list[Sample] = field(default_factory=list)
    sources: tuple[str, ...] = ()
    no_hosts: str = ""
    """Why no host of a cluster is watched; empty where some are."""
    start: float = 0.0
    """The moment of the first request, by the monotonic clock."""
    elapsed: float = 0.0
    """How much of the schedule has been run, in seconds."""
    interrupted: bool = False
    broken: str = ""
    """Why the run could not go on; empty if it could."""

    @property
    def window(self) -> Window:
        """What is judged: the full load, or what there is where a run has not come so far."""
        schedule = self.planned.plan.schedule
        end = min(self.elapsed, schedule.duration)
        first = math.ceil(schedule.ramp_up)
        if end - first < 1:
            first = 0
        return Window(range(first, math.ceil(end)), end - first)

    def judged(self, kinds: tuple[int, ...] | None = None) -> Cell:
        """The requests that are judged, of some kinds or all."""
        return self.merged(self.window.seconds, kinds)

    def merged(self, seconds: range, kinds: tuple[int, ...] | None = None) -> Cell:
        """The requests of these seconds, of some kinds or all."""
        wanted = range(len(self.planned.kinds)) if kinds is None else kinds
        return self.recording.merged(seconds, wanted)
