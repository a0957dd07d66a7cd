"""What the scaler sees of services, from what the ledger knows. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from stellwerk.instances.availability import Cluster
from stellwerk.instances.model import Instance, InstanceKey, Purpose, Role, State
from stellwerk.instances.store import Capacity
from stellwerk.scaling.limits import Size
from stellwerk.scaling.model import CPU, MEMORY, Observations, Phase, Reading
from stellwerk.scaling.placement import AppHost, Present
from stellwerk.scaling.records import CPU_OF_A_CORE, MEMORY_BYTES, Findings
from stellwerk.scaling.series import NOTHING, Series

_PERCENT = 100.0


@dataclass(frozen=True)
class Surroundings:
    """What the settings say of hosts and services; `balanced` are services with a balancer,
    `checked` those whose balancer asks for their health by itself. An instance that has answered
    the leader within `answer_seconds` lives.
    """

    apps: tuple[str, ...]
    balancers: tuple[str, ...]
    balanced: frozenset[str]
    checked: frozenset[str]
    answer_seconds: float
    sizes: Mapping[str, Size]


class Sight:
    """All services at one moment.

    + silent: agents, by host and role, that have not been heard of for too long
    """

    def __init__(
        self,
        surroundings: Surroundings,
        findings: Findings,
        silent: Iterable[tuple[str, str]],
    ) -> None:
        self._surroundings = surroundings
        self._findings = findings
        self._silent = frozenset(silent)
        heard = tuple(
            host
            for host in surroundings.balancers
            if (host, str(Role.BALANCERS)) not in self._silent
        )
        self._cluster = Cluster(
            findings.snapshot,
            # One that is gone knows nothing of new instances. Where all are, the last word counts.
            balancers=heard or surroundings.balancers,
            balanced=surroundings.balanced,
            lost_after=timedelta.max,
        )
        self._instances: dict[str, list[Instance]] = defaultdict(list)
        self._desired: dict[str, dict[str, int]] = defaultdict(dict)
        for (service, host), count in findings.snapshot.desired.items():
            self._desired[service][host] = count
        self._readings: dict[str, list[tuple[Instance, Reading]]] = defaultdict(list)
        for instance in findings.snapshot.instances.values():
            self._instances[instance.key.service].append(instance)
            reading = self._reading(instance)
            if reading is not None:
                self._readings[instance.key.service].append((instance, reading))

    def observations(self, service: str) -> Observations:
        """What a policy judges a service by."""
        desired = sum(self.desired(service).values())
        return Observations(desired, tuple(one for _, one in self._readings[service]))

    def desired(self, service: str) -> dict[str, int]:
        """The wanted numbers of a service by host."""
        return dict(self._desired[service])

    def load(self, service: str, seconds: float) -> float | None:
        """CPU that the serving instances used together in the last seconds, in percent of a core.
        None where none serve, or that of one is not known: half of a load is not less of it.
        """
        now = self._findings.snapshot.at.timestamp()
        used = [
            self._findings.series.get(instance.key, {})
            .get(CPU_OF_A_CORE, NOTHING)
            .over(now - seconds, now, stale_after=seconds)
            for instance, reading in self._readings[service]
            if reading.phase is Phase.SERVING
        ]
        known = [one.mean for one in used if one is not None]
        return sum(known) if known and len(known) == len(used) else None

    def instances(self, service: str, state: State) -> tuple[Instance, ...]:
        """The instances of a service that say they are in a state."""
        return tuple(one for one in self._instances[service] if one.state is state)

    def hosts(self) -> tuple[AppHost, ...]:
        """The app hosts of the settings."""
        capacities = self._findings.capacities
        return tuple(
            AppHost(name, capacities.get(name, Capacity()), lost=self._is_lost(name))
            for name in self._surroundings.apps
        )

    def present(self, idle: Iterable[str]) -> dict[tuple[str, str], Present]:
        """How many instances there are by service and host; `idle` are names of instances."""
        counted: dict[tuple[str, str], dict[Phase, int]] = defaultdict(lambda: defaultdict(int))
        idling: dict[tuple[str, str], int] = defaultdict(int)
        names = frozenset(idle)
        for service, readings in self._readings.items():
            for instance, reading in readings:
                counted[service, instance.host][reading.phase] += 1
                idling[service, instance.host] += reading.name in names
        return {
            place: Present(
                serving=by_phase[Phase.SERVING],
                starting=by_phase[Phase.STARTING],
                failed=by_phase[Phase.FAILED],
                leaving=by_phase[Phase.DRAINING],
                idle=idling[place],
            )
            for place, by_phase in counted.items()
        }

    def _is_lost(self, host: str) -> bool:
        return (host, str(Role.APPS)) in self._silent

    def _reading(self, instance: Instance) -> Reading | None:
        phase = self._phase(instance)
        if phase is None:
            return None
        since, now = instance.since, self._findings.snapshot.at
        ready = instance.state is State.READY and since <= now  # else the clock was set back
        return Reading(
            str(instance.key),
            phase,
            since.timestamp() if ready else None,
            self._metrics(instance.key),
        )

    def _phase(self, instance: Instance) -> Phase | None:
        """What an instance is to the scaler; None for one that an operator holds out."""
        lost = self._is_lost(instance.host)
        if instance.state is State.READY and instance.held:
            return None
        if instance.state is State.READY and not self._cluster.missing_rotation(instance):
            return Phase.FAILED if lost and not self._answers(instance) else Phase.SERVING
        if instance.state is State.FAILED or lost:
            return Phase.FAILED
        if instance.state is State.DRAINING and instance.purpose is Purpose.RETIRE:
            return Phase.DRAINING
        return Phase.STARTING

    def _answers(self, instance: Instance) -> bool:
        """Whether one in rotation lives, as others than its agent find: a balancer that checks it,
        else the leader. nginx keeps sending requests to where nobody is.
        """
        if instance.key.service in self._surroundings.checked:
            return True
        answered = self._findings.answered_at.get(instance.key)
        if answered is None:
            return False
        silence = self._findings.snapshot.at - answered
        return silence.total_seconds() <= self._surroundings.answer_seconds

    def _metrics(self, key: InstanceKey) -> dict[str, Series]:
        """The series by the names that rules use: CPU and memory as shares of an instance's own."""
        found = dict(self._findings.series.get(key, {}))
        size = self._surroundings.sizes.get(key.service)
        cpu, memory = found.pop(CPU_OF_A_CORE, None), found.pop(MEMORY_BYTES, None)
        if size is not None and cpu is not None:
            found[CPU] = _share(cpu, size.cpu_percent)
        if size is not None and memory is not None:
            found[MEMORY] = _share(memory, size.memory)
        return found


def _share(series: Series, whole: float) -> Series:
    return Series(series.times, [_PERCENT * value / whole for value in series.values])
