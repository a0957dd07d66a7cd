"""Clocks of their own for daemons of a lab, to be set while they run.

All hosts share the kernel's clock. A library that is loaded into a daemon adds to what the kernel
says of the time of day, and leaves the monotonic clock alone. Handlers of signals that come while a
process waits see the kernel's: PostgreSQL with a clock that is behind ends idle sessions after
their time although they are asked, so a step back costs scalers their connections now and then.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from tests.lab.platform import Platform

BY_UNIT: Final = "EnvironmentFile={file}"
BY_CLUSTER: Final = "BindReadOnlyPaths={file}:/etc/postgresql/%I/environment"
"""The line of a drop-in that gives a daemon the environment of a file. Debian's PostgreSQL takes
its own from nowhere else.
"""

_PACKAGE: Final = "libfaketime"
_FOLDER: Final = "/run/clocks"
_ENVIRONMENT: Final = """\
LD_PRELOAD='/usr/$LIB/faketime/libfaketime.so.1'
FAKETIME_TIMESTAMP_FILE='{file}'
FAKETIME_NO_CACHE='1'
FAKETIME_DONT_FAKE_MONOTONIC='1'
FAKETIME_DISABLE_SHM='1'
NO_FAKE_STAT='1'
"""


@dataclass(frozen=True)
class Daemon:
    """A unit of a host, and how it is given an environment."""

    host: str
    unit: str
    given: str = BY_UNIT

    @property
    def drop_in(self) -> str:
        """The file that is added to the unit."""
        return f"/run/systemd/system/{self.unit}.d/clock.conf"


@dataclass(frozen=True)
class Clock:
    """A clock that some daemons share."""

    platform: Platform
    name: str
    daemons: tuple[Daemon, ...]

    def set(self, seconds: int) -> None:
        """Have it differ from the hosts' by so much, at once."""
        for one in self.daemons:
            self._write(one.host, self._file, f"{seconds:+d}s\n")

    def give(self) -> None:
        """Start the daemons anew, with a clock of their own that is right as yet."""
        self.set(0)
        environment = f"{self._file}.environment"
        for one in self.daemons:
            self._write(one.host, environment, _ENVIRONMENT.format(file=self._file))
            self._write(one.host, one.drop_in, f"[Service]\n{one.given.format(file=environment)}\n")
            self._restart(one)
            process = f"$(systemctl show -P MainPID {one.unit})"
            self.platform.shell(one.host, f"sudo grep -q {_PACKAGE} /proc/{process}/maps")

    def take(self) -> None:
        """Start the daemons anew, with the hosts' clock."""
        for one in self.daemons:
            self.platform.shell(one.host, f"sudo rm -f {one.drop_in}")
            self._restart(one)

    @property
    def _file(self) -> str:
        return f"{_FOLDER}/{self.name}"

    def _write(self, host: str, file: str, text: str) -> None:
        """A daemon that reads meanwhile finds the old text or the new one."""
        self.platform.shell(
            host,
            f"sudo mkdir -p $(dirname {file}); sudo tee {file}.new >/dev/null <<'END'\n{text}END\n"
            f"sudo mv {file}.new {file}",
        )

    def _restart(self, one: Daemon) -> None:
        self.platform.shell(
            one.host, f"sudo systemctl daemon-reload; sudo systemctl restart {one.unit}"
        )


@contextmanager
def own_clocks(
    platform: Platform, daemons: Mapping[str, tuple[Daemon, ...]]
) -> Iterator[Mapping[str, Clock]]:
    """Clocks by name, each for some daemons, which are started anew before and after."""
    clocks = {name: Clock(platform, name, sharing) for name, sharing in daemons.items()}
    hosts = {one.host for sharing in daemons.values() for one in sharing}
    platform.shells(hosts, f"sudo apt-get install -qy --no-install-recommends {_PACKAGE}")
    try:
        for clock in clocks.values():
            clock.give()
        yield clocks
    finally:
        for clock in clocks.values():
            clock.take()
        platform.shells(hosts, f"sudo rm -r {_FOLDER}; sudo apt-get purge -qy {_PACKAGE}")
