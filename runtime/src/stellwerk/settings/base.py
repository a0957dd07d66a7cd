"""Settings of every host, whatever runs on it: packages, kernel, clock, journal."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from stellwerk.settings.model import Model
from stellwerk.settings.types import Bytes, Count, Days, Line, SecondsOrZero, TimeZone, Whole


def _number_from_text(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdigit() else value


OvercommitMemory = Annotated[Literal[0, 1, 2] | None, BeforeValidator(_number_from_text)]


class Base(Model):
    """The operating system of a host."""

    packages: list[Line] = Field(
        default=[], description="Debian packages to have besides those Stellwerk needs."
    )
    timezone: TimeZone = Field("Etc/UTC", description="Time zone of the host.")
    nofile_limit: Count = Field(65536, description="Open files a daemon may have.")
    sysctl: dict[Line, Line | Whole] = Field(
        default={}, description="Kernel parameters to set, by their dotted name."
    )
    overcommit_memory: OvercommitMemory = Field(
        None,
        description="vm.overcommit_memory; absent: 1 where Redis runs, otherwise left alone."
        " Redis wants 1, guides for PostgreSQL want 2: on a shared host one has to yield.",
    )
    journal_max_use: Bytes = Field(Bytes.parse("500MB"), description="Disk space of the journal.")
    journal_max_retention_days: Days = Field(14, description="Age at which the journal is dropped.")
    minimum_free_disk: Bytes = Field(
        Bytes.parse("1GB"), description="A run stops before changing a host with less free disk."
    )
    apt_lock_timeout_seconds: SecondsOrZero = Field(
        60, description="How long to wait for another apt to finish."
    )
    ntp_servers: list[Line] = Field(
        default=[], description="Time servers; empty keeps those of the distribution."
    )
