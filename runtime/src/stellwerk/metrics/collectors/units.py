"""Instances of services as systemd and their control groups know them."""

from collections.abc import Mapping
from pathlib import Path

from stellwerk.host.control_group import CONTROL_GROUPS, PROCESSES, ControlGroups
from stellwerk.host.unit import Activity, Unit
from stellwerk.metrics.collectors.collector import Found, Samples, SubjectCollector, percent
from stellwerk.metrics.collectors.instances import Instances, service_and_port
from stellwerk.metrics.declarations import unit as metrics
from stellwerk.metrics.model import Sample, Source
from stellwerk.metrics.reading import Gap, State

_MICROSECONDS = 1_000_000
_MEGABYTE = 1024 * 1024
_COMPLETE = 4  # samples of an instance at least; its limit may not be known


class UnitCollector(SubjectCollector):
    """All instances of this host; `limits` is the memory in bytes that one of a service may use."""

    def __init__(
        self,
        instances: Instances,
        limits: Mapping[str, int],
        groups: Path = CONTROL_GROUPS,
        processes: Path = PROCESSES,
    ) -> None:
        super().__init__(Source.UNIT, "systemd")
        self._instances = instances
        self._limits = limits
        self._groups = ControlGroups(groups, processes)
        self._series: dict[str, tuple[Samples, int | None]] = {}  # with the limit of memory

    async def collect(self) -> Found:
        units = await self._instances.units()
        samples: list[Sample] = []
        gaps: list[Gap] = []
        for name in self._series.keys() - units.keys():
            del self._series[name]
        for name, unit in units.items():
            # One that was stopped on purpose stays loaded for a moment: it is not missed.
            if unit.activity is Activity.INACTIVE:
                continue
            known = self._series.get(name) or self._begin(name)
            if known is None:
                continue
            of_this, limit = known
            found = self._measured(of_this, unit, limit)
            samples += found
            if unit.control_group and len(found) < _COMPLETE:
                gaps.append(Gap(State.MISSING, f"The control group of {name} cannot be read"))
        return Found(samples, gaps=gaps)

    def _begin(self, name: str) -> tuple[Samples, int | None] | None:
        known = service_and_port(name)
        if known is None:
            return None
        service, _ = known
        of_this = Samples(service, instance=name.removesuffix(".service"))
        self._series[name] = of_this, self._limits.get(service)
        return self._series[name]

    def _measured(self, of_this: Samples, unit: Unit, limit: int | None) -> list[Sample]:
        group = unit.control_group
        cpu = self._groups.cpu_microseconds(group) if group else None
        memory = self._groups.memory_bytes(group) if group else None
        return of_this.of(
            (
                (metrics.ACTIVE, float(unit.activity is Activity.RUNNING)),
                (metrics.CPU, None if cpu is None else cpu / _MICROSECONDS),
                (metrics.MEMORY, None if memory is None else memory / _MEGABYTE),
                (metrics.MEMORY_PERCENT, percent(memory, limit)),
                (metrics.RESTARTS, unit.restarts),
            )
        )

    def close(self) -> None:
        self._instances.close()
