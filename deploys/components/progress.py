"""How far the agents are with what was declared, from the ledger alone. Pure."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from deploys.components.declaration import snapshot_of
from deploys.engine.resources import Facts
from stellwerk.instances.availability import Cluster as Observed
from stellwerk.instances.model import Instance, Role, RolloutState, Snapshot, State
from stellwerk.instances.rollouts import current, standing
from stellwerk.settings.cluster import Cluster


@dataclass(frozen=True)
class Progress:
    """Where a service stands. `mark` is another one whenever it got on."""

    service: str
    sentence: str
    mark: Hashable
    over: bool
    failed: bool = False
    journal: str = ""


def of_services(cluster: Cluster, snapshot: Snapshot) -> tuple[Progress, ...]:
    """Where every service of the ledger stands."""
    observed = _observed(cluster, snapshot)
    apps = {one.name for one in cluster.group("apps")}
    return tuple(_of(observed, name, apps) for name in sorted(snapshot.services))


def of_leaving(cluster: Cluster, snapshot: Snapshot) -> tuple[Progress, ...]:
    """How far the instances are of services that are in no settings any more.

    Nobody waits for those that an agent would have to let go which is not heard of.
    """
    observed = _observed(cluster, snapshot)
    gone = sorted(snapshot.services.keys() - observed.ports.keys())
    return tuple(_leaving(observed, name) for name in gone)


def services_that_leave(cluster: Cluster, answer: Facts) -> tuple[str, ...]:
    """Services that are in no settings any more and have instances, from PostgreSQL's facts."""
    snapshot = snapshot_of(answer)
    if snapshot is None:
        return ()
    return tuple(one.service for one in of_leaving(cluster, snapshot) if snapshot.of(one.service))


def is_over(cluster: Cluster, answer: Facts) -> bool:
    """Whether there is nothing to wait for, from the facts of PostgreSQL."""
    if not answer:
        return True  # no PostgreSQL, no ledger
    snapshot = snapshot_of(answer)
    return snapshot is not None and all(one.over for one in of_services(cluster, snapshot))


def _observed(cluster: Cluster, snapshot: Snapshot) -> Observed:
    apps = cluster.group("apps")
    settings = apps[0].settings if apps else None
    services = settings.services if settings else {}
    return Observed(
        snapshot,
        balancers=tuple(one.name for one in cluster.group("balancers")),
        balanced=frozenset(name for name, one in services.items() if one.balancer),
        lost_after=timedelta(seconds=settings.agent.lost_after_seconds if settings else 0),
        ports={name: settings.ports(name) for name in services} if settings else {},
    )


def _of(observed: Observed, service: str, apps: Iterable[str]) -> Progress:
    snapshot = observed.snapshot
    rollout, rows = current(snapshot, service), snapshot.of(service)
    mark = (
        rollout and (rollout.id, rollout.state, rollout.canary_since, rollout.canary_passed),
        tuple((one.key, one.state, one.purpose, one.generation, one.restarts) for one in rows),
        tuple(
            (one.key, one.balancer, one.seen)
            for one in snapshot.sightings
            if one.key.service == service
        ),
    )
    if rollout is not None and rollout.state is RolloutState.FAILED:
        said = standing(observed, rollout).sentence
        return Progress(service, said, mark, True, failed=True, journal=rollout.journal)
    if rollout is not None and rollout.state is RolloutState.RUNNING:
        return Progress(service, standing(observed, rollout).sentence, mark, False)
    return _at_rest(observed, service, mark, apps)


def _leaving(observed: Observed, service: str) -> Progress:
    rows = observed.snapshot.of(service)
    lost = [one for one in observed.balancers if observed.lost(one, Role.BALANCERS)]
    lost += [one.host for one in rows if observed.lost(one.host, Role.APPS)]
    mark = (tuple((one.key, one.state) for one in rows), tuple(lost))
    if not rows:
        return Progress(service, "has no instances any more", mark, True)
    names = ", ".join(f"{one.key} on {one.host}" for one in rows)
    if lost:
        missing = ", ".join(dict.fromkeys(lost))
        said = f"{names} will be stopped as it is, as nothing has been heard from {missing}"
        return Progress(service, said, mark, True)
    return Progress(service, f"leaves; still there: {names}", mark, False)


def _at_rest(observed: Observed, service: str, mark: Hashable, apps: Iterable[str]) -> Progress:
    """No roll-out runs: instances may still come, leave, or have failed."""
    rows = observed.snapshot.of(service)
    staying = [one for one in rows if not one.leaves_for_good]
    ready = sum(one.state is State.READY for one in staying)
    subject = f"{ready} of {_desired(observed.snapshot, service)} are ready"
    if coming := _coming(observed, service, staying, rows, apps):
        return Progress(service, f"{subject}; {coming}", mark, False)
    if failed := [one for one in staying if one.state is State.FAILED]:
        said = "; ".join(f"{one.key} on {one.host} failed: {one.reason}" for one in failed)
        return Progress(service, f"{subject}; {said}", mark, True, failed=True)
    return Progress(service, subject, mark, True)


def _coming(
    observed: Observed,
    service: str,
    staying: Iterable[Instance],
    rows: Iterable[Instance],
    apps: Iterable[str],
) -> str:
    """What is on its way and will end by itself; empty: nothing."""
    for one in rows:
        if one.host not in apps:
            return f"{one.key} leaves {one.host}, which is gone"
    for one in staying:
        if one.state in (State.STARTING, State.DRAINING):
            return f"{one.key} {observed.hindrance(one)}"
    hosts = [one.host for one in staying]
    for (of, host), count in sorted(observed.snapshot.desired.items()):
        if of == service and hosts.count(host) < count:
            return f"{host} has {hosts.count(host)} of {count} instances"
    return ""


def _desired(snapshot: Snapshot, service: str) -> int:
    return sum(count for (of, _), count in snapshot.desired.items() if of == service)
