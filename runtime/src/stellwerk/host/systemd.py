"""systemd over D-Bus: states of units, jobs with their results, and word of every change.

Which unit is started or stopped, and when, is decided elsewhere; polkit says what may be.
"""

import asyncio
import contextlib
import math
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple, Protocol

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

from stellwerk.host.unit import Activity, Unit

ANSWER_SECONDS: Final = 10.0
"""How long systemd may take for an answer; a job may take longer and has a bound of its own."""

JOB_SECONDS: Final = 90.0
"""The bound of a job where none is given: systemd's own default for a unit's start."""

WHOLE_SECONDS: Final = 60.0
"""How often everything is read again by default though nothing was told: a signal may get lost."""

TIMED_OUT: Final = "timeout"
"""The result of a job that did not end within its bound; it goes on."""


class UnitError(Exception):
    """systemd refused or did not answer; one sentence."""


class Place(NamedTuple):
    """An object on the bus."""

    name: str
    path: str


class UnitStarter(Protocol):
    """Starts units that do something and end."""

    async def start(self, unit: str) -> str:
        """Start a unit, wait for the job, return its result: "done", "failed" and others. Raises
        UnitError."""
        ...


class UnitManager(UnitStarter, Protocol):
    """What an app host's agent needs of systemd."""

    async def start(self, unit: str, seconds: float = JOB_SECONDS) -> str:
        """Start a unit; TIMED_OUT where the job takes longer. Raises UnitError."""
        ...

    async def stop(self, unit: str, seconds: float = JOB_SECONDS) -> str:
        """Stop a unit; TIMED_OUT where the job takes longer. Raises UnitError."""
        ...

    async def reset_failed(self, unit: str) -> None:
        """Have systemd forget that a unit failed. Raises UnitError."""
        ...

    async def states(self) -> Mapping[str, Unit]:
        """The units that are known to systemd, of those looked after. Raises UnitError."""
        ...


class SystemdUnits:
    """The system's systemd. Looks after the units that `patterns` name (as systemctl's globs)."""

    def __init__(
        self,
        patterns: Sequence[str],
        on_change: Callable[[], None],
        address: str | None = None,
        whole_seconds: float = WHOLE_SECONDS,
    ) -> None:
        self._patterns = list(patterns)
        self._on_change = on_change
        self._whole_seconds = whole_seconds
        self._bus = MessageBus(bus_address=address, bus_type=BusType.SYSTEM)
        self._jobs: dict[str, asyncio.Future[str]] = {}
        self._ended: OrderedDict[str, str] = OrderedDict()  # jobs, often told before they are asked
        self._known: dict[str, Unit] = {}
        self._changed: set[str] = set()  # object paths
        self._stale = True  # something was done since `_known` was read
        self._whole_at = -math.inf  # when all of it was read, by the monotonic clock
        self._calling = asyncio.Lock()

    async def connect(self) -> None:
        """Connect and be told of changes. Raises UnitError."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._bus.connect()
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            raise UnitError(f"D-Bus cannot be reached: {error or type(error).__name__}") from None
        self._bus.add_message_handler(self._hear)
        for rule in _RULES:
            await self._call(_BUS, "org.freedesktop.DBus", "AddMatch", "s", rule)
        await self._ask("Subscribe")

    async def closed(self) -> None:
        """Return when the connection is lost or closed."""
        with contextlib.suppress(Exception):  # how it ended does not matter
            await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        self._bus.disconnect()

    async def boot(self) -> str:
        """Names the time since the host was started. Raises UnitError."""
        path = _MANAGER_PLACE.path
        return str(await self._property(path, _MANAGER, "UserspaceTimestamp"))

    async def start(self, unit: str, seconds: float = JOB_SECONDS) -> str:
        return await self._job("StartUnit", unit, seconds)

    async def stop(self, unit: str, seconds: float = JOB_SECONDS) -> str:
        return await self._job("StopUnit", unit, seconds)

    async def reset_failed(self, unit: str) -> None:
        await self._ask("ResetFailedUnit", "s", unit)
        self._stale = True

    async def states(self) -> Mapping[str, Unit]:
        async with self._calling:
            whole = time.monotonic() - self._whole_at >= self._whole_seconds
            if self._changed or self._stale or whole:
                await self._read(whole=whole)
            return dict(self._known)

    async def _read(self, *, whole: bool) -> None:
        changed, self._changed, self._stale = self._changed, set(), False
        try:
            (listed,) = await self._ask("ListUnitsByPatterns", "asas", [], self._patterns)
            present = {one[0]: (one[6], _activity(one[3])) for one in listed}
            for name in self._known.keys() - present.keys():
                del self._known[name]
            for name, (path, activity) in present.items():
                before = self._known.get(name)
                if whole or before is None or path in changed or before.activity != activity:
                    self._known[name] = await self._details(path, activity)
        except BaseException:
            self._whole_at = -math.inf
            raise
        if whole:
            self._whole_at = time.monotonic()

    async def _details(self, path: str, activity: Activity) -> Unit:
        unit = Unit(activity)
        for (interface, name), (field, read) in _PROPERTIES.items():
            value = await self._property(path, interface, name)
            unit = replace(unit, **{field: read(value)})
        return unit

    async def _property(self, path: str, interface: str, name: str) -> Any:
        place = Place(_SYSTEMD, path)
        (variant,) = await self._call(
            place, "org.freedesktop.DBus.Properties", "Get", "ss", interface, name
        )
        return variant.value

    async def _job(self, member: str, unit: str, seconds: float) -> str:
        (path,) = await self._ask(member, "ss", unit, "replace")
        self._stale = True
        if path in self._ended:
            return self._ended.pop(path)
        ended = self._jobs.setdefault(path, asyncio.get_running_loop().create_future())
        done, _ = await asyncio.wait({ended}, timeout=seconds)
        self._stale = True
        return ended.result() if done else TIMED_OUT

    async def _ask(self, member: str, signature: str = "", *body: Any) -> list[Any]:
        return await self._call(_MANAGER_PLACE, _MANAGER, member, signature, *body)

    async def _call(
        self, place: "Place", interface: str, member: str, signature: str, *body: Any
    ) -> list[Any]:
        message = Message(
            destination=place.name,
            path=place.path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
        )
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reply = await self._bus.call(message)
        except TimeoutError:
            raise UnitError(f"{member}: no answer within {ANSWER_SECONDS:g} s") from None
        except (OSError, EOFError) as error:
            raise UnitError(f"{member}: the connection to D-Bus is lost ({error})") from None
        if reply is None:
            raise UnitError(f"{member}: the connection to D-Bus is lost")
        if reply.message_type is MessageType.ERROR:
            said = reply.body[0] if reply.body else reply.error_name
            raise UnitError(f"{member} {' '.join(map(str, body[:1]))}: {said}")
        return list(reply.body)

    def _hear(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        if message.member == "JobRemoved" and message.interface == _MANAGER:
            _, path, _, result = message.body
            self._end(path, result)
        elif message.member == "PropertiesChanged" and self._looked_after(message.path or ""):
            self._changed.add(message.path or "")
            self._on_change()

    def _end(self, job: str, result: str) -> None:
        waiting = self._jobs.pop(job, None)
        if waiting is None:
            self._ended[job] = result
            while len(self._ended) > _REMEMBERED_JOBS:
                self._ended.popitem(last=False)
        elif not waiting.done():
            waiting.set_result(result)

    def _looked_after(self, path: str) -> bool:
        name = unit_name(path)
        return any(_matches(pattern, name) for pattern in self._patterns)


def unit_name(path: str) -> str:
    """The unit that an object path of systemd stands for."""
    escaped = path.rpartition("/")[2]
    return re.sub("_([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), escaped)


def _matches(pattern: str, name: str) -> bool:
    before, star, after = pattern.partition("*")
    if not star:
        return name == pattern
    return name.startswith(before) and name.endswith(after)


def _activity(state: str) -> Activity:
    return _ACTIVITIES.get(state, Activity.STARTING)


_SYSTEMD: Final = "org.freedesktop.systemd1"
_MANAGER: Final = "org.freedesktop.systemd1.Manager"
_MANAGER_PLACE: Final = Place(_SYSTEMD, "/org/freedesktop/systemd1")
_BUS: Final = Place("org.freedesktop.DBus", "/org/freedesktop/DBus")
_RULES: Final = (
    f"type='signal',sender='{_SYSTEMD}',interface='{_MANAGER}',member='JobRemoved'",
    f"type='signal',sender='{_SYSTEMD}',interface='org.freedesktop.DBus.Properties',"
    "member='PropertiesChanged',path_namespace='/org/freedesktop/systemd1/unit'",
)
_REMEMBERED_JOBS: Final = 64

_ACTIVITIES: Final = {
    "active": Activity.RUNNING,
    "reloading": Activity.RUNNING,
    "inactive": Activity.INACTIVE,
    "failed": Activity.FAILED,
    "deactivating": Activity.STOPPING,
}

_UNIT: Final = "org.freedesktop.systemd1.Unit"
_SERVICE: Final = "org.freedesktop.systemd1.Service"
_MICROSECONDS: Final = 1_000_000
_PROPERTIES: Final[dict[tuple[str, str], tuple[str, Callable[[Any], Any]]]] = {
    (_UNIT, "InvocationID"): ("invocation", lambda value: bytes(value).hex()),
    (_UNIT, "ActiveEnterTimestampMonotonic"): (
        "running_since",
        lambda value: value / _MICROSECONDS if value else None,
    ),
    (_SERVICE, "NRestarts"): ("restarts", int),
    (_SERVICE, "Result"): ("result", str),
    (_SERVICE, "ControlGroup"): ("control_group", str),
}
