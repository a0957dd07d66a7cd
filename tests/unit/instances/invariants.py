"""What must hold in a simulated cluster at every moment, whatever goes wrong."""

from datetime import timedelta

from stellwerk.instances.life_cycle import LedgerStep, Put, Remove, Stop, UnitStep, Unpin
from stellwerk.instances.model import InstanceKey, Purpose, RolloutState, Seen, State
from tests.unit.instances.simulation import AppHost, World


class Invariants:
    """Looks at every step of every agent, and at the world after every second."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rolled: dict[str, set[InstanceKey]] = {name: set() for name in world.services}
        self.stops: list[InstanceKey] = []
        world.watchers.append(self._step)

    def check(self) -> None:
        """After each second."""
        for service in self._world.ledger.services:
            self._canary_is_alone(service)
            self._drop_those_back(service)

    def _step(self, host: AppHost, step: UnitStep | LedgerStep) -> None:
        if isinstance(step, Stop | Unpin | Remove):
            self.stops.append(step.key)
        if isinstance(step, Stop):
            self._nobody_sends_requests(host, step.key)
        if isinstance(step, Put) and step.event == "rolls":
            self._few_are_away(step.instance.key)

    def _nobody_sends_requests(self, host: AppHost, key: InstanceKey) -> None:
        """Never stops an instance that leaves while a serving balancer still has it, before the
        drain timeout."""
        world = self._world
        instance = world.ledger.instances[key]
        figures = world.services[key.service]
        overdue = world.ledger.at - instance.since >= timedelta(seconds=figures.drain_timeout)
        if instance.state is not State.DRAINING or overdue or figures.balancer is None:
            return
        for balancer in world.balancers.values():
            seen = balancer.seen.get(key, Seen.OUT)
            assert not balancer.serves or seen is Seen.OUT, (
                f"{host.name} stops {key} while it is {seen} at {balancer.name}"
            )

    def _few_are_away(self, key: InstanceKey) -> None:
        """Never more than max_unavailable instances that served are away for a roll-out."""
        world, service = self._world, key.service
        self._drop_those_back(service)
        if key in world.in_rotation(service):
            self._rolled[service].add(key)
        most = world.rollout(service).max_unavailable
        assert len(self._rolled[service]) <= most, f"away for a roll-out: {self._rolled[service]}"

    def _drop_those_back(self, service: str) -> None:
        rows = self._world.ledger.instances
        self._rolled[service] -= self._world.in_rotation(service)
        self._rolled[service] &= {key for key, one in rows.items() if not one.held}

    def _canary_is_alone(self, service: str) -> None:
        """Until the canary has passed, nothing else gets an unproven generation; and after it has
        failed nothing does."""
        about, rollout = self._world.ledger.services[service], self._world.rollout(service)
        unproven = about.stable not in (None, rollout.generation) and not rollout.canary_passed
        if not unproven or rollout.state not in (RolloutState.RUNNING, RolloutState.FAILED):
            return
        first = [
            str(one.key)
            for one in self._world.ledger.instances.values()
            if one.key.service == service
            and one.rollout == rollout.id
            and (one.purpose is Purpose.ROLL or one.generation == rollout.generation)
        ]
        assert len(first) <= 1, f"{first} are rolled before a canary has passed"
