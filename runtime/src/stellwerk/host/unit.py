"""A systemd unit as it is. Types only."""

from dataclasses import dataclass
from enum import StrEnum


class Activity(StrEnum):
    """A unit's state, as far as an instance's life depends on it."""

    INACTIVE = "inactive"
    STARTING = "starting"  # also between a crash and systemd's own restart
    RUNNING = "running"  # it has said READY=1
    STOPPING = "stopping"
    FAILED = "failed"  # systemd has given up on it


@dataclass(frozen=True)
class Unit:
    """A systemd unit as it is. One that systemd does not know is like one that never ran."""

    activity: Activity = Activity.INACTIVE
    invocation: str = ""  # another one after each start
    restarts: int = 0  # by systemd, since the last start by anyone else
    result: str = ""  # systemd's word for how it ended
    running_since: float | None = None  # seconds of the host's monotonic clock
    control_group: str = ""

    @property
    def has_processes(self) -> bool:
        return self.activity not in (Activity.INACTIVE, Activity.FAILED)
