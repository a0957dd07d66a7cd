"""Ledgers to be shown: one to read claims by, and any that could be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from string import ascii_lowercase

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


names = st.tuples(
    st.sampled_from(ascii_lowercase), st.text(ascii_lowercase + "0123456789-", max_size=40)
).map("".join)
digits = st.text("0123456789abcdef", min_size=16, max_size=16)
moments = st.timedeltas(timedelta(0), timedelta(days=4000)).map(lambda ago: NOW - ago)
words = st.text(max_size=400)
"""What programs and people said: anything."""

# Made once: hypothesis spends longer on making a strategy than on an example of it.
_PORTS = st.integers(1, 65535)
_NAMES = st.lists(names, max_size=4, unique=True)
_HOSTS = st.lists(names, min_size=1, max_size=3, unique=True)
_PLACES = st.lists(st.tuples(st.integers(0, 3), _PORTS, st.integers(0, 2)), max_size=8)
_INSTANCES = st.builds(
    Instance,
    key=st.just(InstanceKey("", 0)),
    host=st.just(""),
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
_SIGHTINGS = st.none() | st.tuples(
    st.sampled_from(Seen), st.integers(0, 99), st.integers(0, 10**9), st.integers(0, 10**6)
)
_ROLLOUTS = st.none() | st.builds(
    Rollout,
    id=st.just(0),
    service=st.just(""),
    generation=digits,
    previous=st.none() | digits,
    state=st.sampled_from(RolloutState),
    started_at=moments,
    progressed_at=moments,
    started_by=words,
    restart=st.booleans(),
    canary=st.none() | _PORTS,
    canary_since=st.none() | moments,
    canary_passed=st.booleans(),
    finished_at=st.none() | moments,
    reason=words,
    failed_instance=names,
    journal=words,
)
_SERVICES = st.tuples(digits, st.none() | digits)
_COUNTS = st.integers(0, 20)
_SIGNS = st.none() | moments
_SAMPLES = st.none() | st.tuples(st.none() | st.floats(0, 6400), st.none() | st.integers(0, 2**45))


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Any cluster."""
    services, hosts = draw(_NAMES), draw(_HOSTS)
    balancers = tuple(draw(_NAMES))
    places = {
        InstanceKey(services[service % len(services)], port): hosts[host % len(hosts)]
        for service, port, host in (draw(_PLACES) if services else ())
    }
    instances = {key: replace(draw(_INSTANCES), key=key, host=host) for key, host in places.items()}
    sightings = tuple(
        Sighting(key, name, *seen)
        for key in instances
        for name in balancers
        if (seen := draw(_SIGHTINGS)) is not None
    )
    agents = tuple(
        AgentSign(host, role, seen_at)
        for host, role in [
            *((host, Role.APPS) for host in hosts),
            *((name, Role.BALANCERS) for name in balancers),
        ]
        if (seen_at := draw(_SIGNS)) is not None
    )
    rollouts = {
        number: replace(rolled, id=number, service=name)
        for number, name in enumerate(services, 1)
        if (rolled := draw(_ROLLOUTS)) is not None
    }
    snapshot = Snapshot(
        NOW,
        {name: Service(name, *draw(_SERVICES), number) for number, name in enumerate(services, 1)},
        {(name, host): draw(_COUNTS) for name in services for host in hosts},
        rollouts,
        instances,
        sightings,
        agents,
    )
    return Cluster(snapshot, balancers, frozenset(services[:2]), timedelta(seconds=30))


@st.composite
def samples_of(draw: st.DrawFn, shown: Cluster) -> dict[InstanceKey, Sample]:
    """What some instances of a cluster use."""
    return {
        key: Sample(key, *used)
        for key in shown.snapshot.instances
        if (used := draw(_SAMPLES)) is not None
    }
