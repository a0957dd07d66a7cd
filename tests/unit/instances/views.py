"""Ledgers to be shown: one to read claims by, and any that could be."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from stellwerk.instances.availability import Cluster
from stellwerk.instances.model import (
    AgentSign,
    Instance,
    InstanceKey,
    Purpose,
    Role,
    Rollout,
    RolloutState,
    Seen,
    Service,
    Sighting,
    Snapshot,
    State,
)
from stellwerk.instances.store import Sample

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
OLD, NEW = "3f2a91c7aa00bb11", "9bc01d2e77665544"
CORE = "aktienanalyse-core"


def instance(port: int, state: State = State.READY, **changed: object) -> Instance:
    """One of core's, on the host its number is odd or even for, unless told otherwise."""
    host = f"app-{2 - port % 2}"
    values: dict[str, object] = {
        "key": InstanceKey(CORE, port),
        "host": host,
        "address": "198.18.0.21",
        "generation": OLD,
        "rollout": 1,
        "state": state,
        "since": NOW - timedelta(hours=3),
    }
    return Instance(**(values | changed))  # type: ignore[arg-type]


def rollout(state: RolloutState = RolloutState.RUNNING, **changed: object) -> Rollout:
    """A roll-out of core from OLD to NEW, begun 80 s ago."""
    values: dict[str, object] = {
        "id": 2,
        "service": CORE,
        "generation": NEW,
        "previous": OLD,
        "state": state,
        "started_at": NOW - timedelta(seconds=80),
        "progressed_at": NOW - timedelta(seconds=5),
        "started_by": "anna on control",
    }
    return Rollout(**(values | changed))  # type: ignore[arg-type]


def cluster(
    *instances: Instance,
    rollouts: tuple[Rollout, ...] = (),
    sightings: tuple[Sighting, ...] | None = None,
    silent: tuple[str, ...] = (),
    balancers: tuple[str, ...] = ("lb-1",),
    desired: int | None = None,
) -> Cluster:
    """A cluster of core's instances. Balancers see as up what is ready, unless told otherwise;
    the agents of `silent` hosts were last heard of three minutes ago.
    """
    if sightings is None:
        sightings = tuple(
            Sighting(one.key, name, Seen.UP if one.wanted_in_rotation else Seen.OUT)
            for one in instances
            for name in balancers
        )
    roles = {(one.host, Role.APPS) for one in instances} | {
        (name, Role.BALANCERS) for name in balancers
    }
    newest = rollouts[-1] if rollouts else None
    snapshot = Snapshot(
        at=NOW,
        services={
            CORE: Service(
                CORE, newest.generation if newest else OLD, OLD, newest.id if newest else 0
            )
        },
        desired={(CORE, "app-1"): len(instances) if desired is None else desired},
        rollouts={one.id: one for one in rollouts},
        instances={one.key: one for one in instances},
        sightings=sightings,
        agents=tuple(
            AgentSign(host, role, NOW - timedelta(seconds=180 if host in silent else 4))
            for host, role in sorted(roles)
        ),
    )
    return Cluster(snapshot, balancers, frozenset({CORE}), timedelta(seconds=30))


names = st.from_regex(r"[a-z][a-z0-9-]{0,40}", fullmatch=True)
digits = st.text("0123456789abcdef", min_size=16, max_size=16)
moments = st.timedeltas(timedelta(0), timedelta(days=4000)).map(lambda ago: NOW - ago)
words = st.text(max_size=400)
"""What programs and people said: anything."""


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Any cluster."""
    services = draw(st.lists(names, max_size=4, unique=True))
    hosts = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    balancers = tuple(draw(st.lists(names, max_size=4, unique=True)))
    keys = draw(
        st.lists(
            st.builds(InstanceKey, st.sampled_from(services), st.integers(1, 65535)),
            max_size=8,
            unique=True,
        )
        if services
        else st.just([])
    )
    instances = {
        key: draw(
            st.builds(
                Instance,
                key=st.just(key),
                host=st.sampled_from(hosts),
                address=st.just("198.18.0.9"),
                generation=digits,
                rollout=st.integers(0, 9),
                state=st.sampled_from(State),
                since=moments,
                purpose=st.none() | st.sampled_from(Purpose),
                held=st.booleans(),
                restarts=st.integers(0, 100_000),
                reason=words,
            )
        )
        for key in keys
    }
    sightings = tuple(
        draw(
            st.builds(
                Sighting,
                st.just(key),
                st.just(name),
                st.sampled_from(Seen),
                st.integers(0, 99),
                st.integers(0, 10**9),
                st.integers(0, 10**6),
            )
        )
        for key in keys
        for name in balancers
        if draw(st.booleans())
    )
    agents = tuple(
        AgentSign(host, role, draw(moments))
        for host, role in [
            *((host, Role.APPS) for host in hosts),
            *((name, Role.BALANCERS) for name in balancers),
        ]
        if draw(st.booleans())
    )
    rollouts = {
        number: draw(_rollouts(name, number))
        for number, name in enumerate(services, 1)
        if draw(st.booleans())
    }
    snapshot = Snapshot(
        NOW,
        {
            name: Service(name, draw(digits), draw(st.none() | digits), number)
            for number, name in enumerate(services, 1)
        },
        {(name, host): draw(st.integers(0, 20)) for name in services for host in hosts},
        rollouts,
        instances,
        sightings,
        agents,
    )
    return Cluster(snapshot, balancers, frozenset(services[:2]), timedelta(seconds=30))


def _rollouts(service: str, number: int) -> st.SearchStrategy[Rollout]:
    return st.builds(
        Rollout,
        id=st.just(number),
        service=st.just(service),
        generation=digits,
        previous=st.none() | digits,
        state=st.sampled_from(RolloutState),
        started_at=moments,
        progressed_at=moments,
        started_by=words,
        restart=st.booleans(),
        canary=st.none() | st.integers(1, 65535),
        canary_since=st.none() | moments,
        canary_passed=st.booleans(),
        finished_at=st.none() | moments,
        reason=words,
        failed_instance=names,
        journal=words,
    )


@st.composite
def samples_of(draw: st.DrawFn, shown: Cluster) -> dict[InstanceKey, Sample]:
    """What some instances of a cluster use."""
    return {
        key: Sample(
            key,
            draw(st.none() | st.floats(0, 6400)),
            draw(st.none() | st.integers(0, 2**45)),
        )
        for key in shown.snapshot.instances
        if draw(st.booleans())
    }
