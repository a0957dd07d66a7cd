"""How a roll-out goes on: which instance is next, what the canary shows, when it is done. Pure.

What happens to the one instance that may go is `life_cycle`'s.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from stellwerk.instances.availability import Cluster
from stellwerk.instances.model import (
    Instance,
    InstanceKey,
    Purpose,
    Role,
    Rollout,
    RolloutState,
    Seen,
    Snapshot,
    State,
)

CANARY_REQUESTS: Final = 10
"""Requests from which a share of errors says something: the canary is judged from so many on, and
before its time is over only once so many have failed."""

UP_WITHIN: Final = timedelta(seconds=60)
"""How long a canary may be healthy on its host and down at a balancer. Balancers check each 5 s and
nginx is reloaded at most every few seconds; after this it cannot be reached from there."""


@dataclass(frozen=True)
class Permit:
    """This instance may leave, to start again with the roll-out's generation."""

    key: InstanceKey
    canary: bool


@dataclass(frozen=True)
class Surge:
    """The service has one instance only: this host is to start one more before that one goes."""

    host: str


@dataclass(frozen=True)
class Refusal:
    """None may go now; the reason is the end of a sentence."""

    reason: str


@dataclass(frozen=True)
class Watch:
    """The canary has come into rotation: its time begins."""


@dataclass(frozen=True)
class Passed:
    """The canary has proved good: the others may follow."""


@dataclass(frozen=True)
class Rechosen:
    """The canary is no more: another one is to be."""


@dataclass(frozen=True)
class Finished:
    """Every instance runs the generation and serves."""


@dataclass(frozen=True)
class Failed:
    """An instance of the generation is bad: the roll-out stops here."""

    key: InstanceKey
    reason: str


Next = Permit | Surge | Refusal
Progress = Watch | Passed | Rechosen | Finished | Failed


@dataclass(frozen=True)
class Standing:
    """Where a service's roll-out stands, for people."""

    updated: int  # instances that run the generation and serve
    total: int
    sentence: str


def current(snapshot: Snapshot, service: str) -> Rollout | None:
    """The newest roll-out of a service, whatever became of it."""
    about = snapshot.services.get(service)
    return None if about is None else snapshot.rollouts.get(about.rollout)


def running(snapshot: Snapshot, service: str) -> Rollout | None:
    """The service's roll-out if it is under way."""
    rollout = current(snapshot, service)
    return rollout if rollout and rollout.state is RolloutState.RUNNING else None


def outdated(instance: Instance, rollout: Rollout) -> bool:
    """Whether the roll-out has yet to come to an instance: it runs another generation, was not
    restarted for it, is on its way out for it, or failed before it began.
    """
    return (
        instance.generation != rollout.generation
        or instance.purpose is Purpose.ROLL
        or (instance.rollout < rollout.id and (rollout.restart or instance.state is State.FAILED))
    )


def permitted(instance: Instance, rollout: Rollout | None) -> bool:
    """Whether an instance that drains to be rolled does so for a roll-out that still runs."""
    return (
        rollout is not None
        and rollout.state is RolloutState.RUNNING
        and instance.rollout == rollout.id
    )


def generation_of_new(snapshot: Snapshot, service: str) -> tuple[str, int]:
    """What an instance that is started now is to run, and the roll-out it is started for (0: none).

    Until the canary has passed, and after a roll-out failed, that is the proven generation.
    """
    about = snapshot.services[service]
    rollout = current(snapshot, service)
    if rollout is None:
        return about.generation, 0
    proven = rollout.state is RolloutState.DONE or (
        rollout.state is RolloutState.RUNNING and rollout.canary_passed
    )
    if proven or about.stable in (None, rollout.generation):
        return rollout.generation, rollout.id
    return about.stable or rollout.generation, 0


def alone(snapshot: Snapshot, service: str) -> bool:
    """Whether a service is to have one instance in all."""
    return sum(count for (name, _), count in snapshot.desired.items() if name == service) == 1


def surging(snapshot: Snapshot, service: str, host: str) -> bool:
    """Whether a host has one instance more than desired: the canary of a service with only one."""
    rollout = running(snapshot, service)
    if rollout is None or rollout.canary_passed or not alone(snapshot, service):
        return False
    rows = snapshot.of(service)
    return any(_is_canary(one, rollout) and one.host == host for one in rows) and any(
        one.key.port != rollout.canary and one.host == host for one in rows
    )


def next_step(cluster: Cluster, service: str) -> Next | None:
    """Which instance of the service may go next, or why none may; None when none has to."""
    rollout = running(cluster.snapshot, service)
    if rollout is None:
        return None
    rows = cluster.snapshot.of(service)
    waiting = [one for one in rows if outdated(one, rollout) and one.purpose is None]
    if not waiting:
        return None
    if rollout.canary is not None and not rollout.canary_passed:
        return Refusal(_canary_sentence(cluster, rollout))
    if any(_fails(one, rollout) for one in rows):
        return Refusal("an instance of the new generation has failed")
    reachable = [one for one in waiting if not cluster.lost(one.host, Role.APPS)]
    if not reachable:
        return Refusal(f"nothing has been heard from {waiting[0].host}")
    if rollout.canary is None:  # one that is held out proves little
        reachable = [one for one in reachable if not _held_out(one)] or reachable
    steps = [_may_go(cluster, rollout, one) for one in sorted(reachable, key=_order)]
    return next((step for step in steps if not isinstance(step, Refusal)), steps[0])


def progress(cluster: Cluster, service: str) -> Progress | None:
    """What has come of the roll-out since it was last looked at; None: nothing new."""
    rollout = running(cluster.snapshot, service)
    if rollout is None:
        return None
    rows = cluster.snapshot.of(service)
    for one in rows:
        if _fails(one, rollout):
            return Failed(one.key, f"{one.key} failed: {one.reason or 'no reason is known'}")
    if rollout.canary is not None and not rollout.canary_passed:
        canary = next((one for one in rows if one.key.port == rollout.canary), None)
        return Rechosen() if canary is None else _judged(cluster, rollout, canary)
    return Finished() if not _unfinished(cluster, rollout) else None


def judged(progress: Progress, rollout: Rollout) -> InstanceKey | None:
    """The instance that something new of a roll-out is about; None: all of them, or one that is
    no more."""
    match progress:
        case Failed(key=key):
            return key
        case Watch() | Passed() if rollout.canary is not None:
            return InstanceKey(rollout.service, rollout.canary)
    return None


def standing(cluster: Cluster, rollout: Rollout) -> Standing:
    """Where a roll-out stands and what it waits for; for the current one of its service."""
    rows = cluster.snapshot.of(rollout.service)
    fresh = [one for one in rows if not outdated(one, rollout)]
    updated = sum(not _away(cluster, one) for one in fresh)
    return Standing(updated, len(rows), _sentence(cluster, rollout, updated, len(rows)))


def _sentence(cluster: Cluster, rollout: Rollout, updated: int, total: int) -> str:
    subject = f"{updated} of {total} run {rollout.generation[:8]}"
    match rollout.state:
        case RolloutState.DONE:
            return f"done: {subject}"
        case RolloutState.REPLACED:
            return f"replaced by a newer roll-out: {subject}"
        case RolloutState.FAILED:
            return f"failed: {rollout.reason}; {subject}, the others serve on as they are"
        case RolloutState.RUNNING:
            step = next_step(cluster, rollout.service)
            if isinstance(step, Refusal):
                return f"{subject}; waits: {step.reason}"
            if isinstance(step, Permit):
                return f"{subject}; {step.key} is next"
            if isinstance(step, Surge):
                return f"{subject}; {step.host} is to start one more first"
            if rollout.canary is not None and not rollout.canary_passed:
                return f"{subject}; waits: {_canary_sentence(cluster, rollout)}"
            unfinished = _unfinished(cluster, rollout)
            return f"{subject}; waits: {unfinished}" if unfinished else subject


def _fails(instance: Instance, rollout: Rollout) -> bool:
    """Whether an instance that was started for the roll-out has failed."""
    return (
        instance.state is State.FAILED
        and instance.rollout >= rollout.id
        and instance.generation == rollout.generation
    )


def _held_out(instance: Instance) -> bool:
    return instance.held and instance.state is State.READY


def _away(cluster: Cluster, instance: Instance) -> str:
    """Why an instance counts as unavailable. One that an operator holds out does not."""
    return "" if _held_out(instance) else cluster.hindrance(instance)


def _order(instance: Instance) -> tuple[bool, bool, int]:
    """Those that serve nobody for sure go first, those held out last, else the lowest port."""
    return instance.state is State.READY, instance.held, instance.key.port


def _may_go(cluster: Cluster, rollout: Rollout, instance: Instance) -> Next:
    """Whether one outdated instance may go.

    What balancers say of a ready one does not make it free to go: all of a service's instances
    are down for a moment where a balancer starts.
    """
    permit = Permit(instance.key, canary=rollout.canary is None)
    if instance.state is not State.READY or instance.held:
        return permit
    service = instance.key.service
    if alone(cluster.snapshot, service) and _room(cluster, service):
        return _replacement(rollout, instance)
    others = [one for one in cluster.snapshot.of(service) if one.key != instance.key]
    away = [(one.key, why) for one in others if (why := _away(cluster, one))]
    if len(away) >= rollout.max_unavailable:
        return Refusal(" ".join(map(str, away[0])))
    if cluster.settling(instance):
        return Refusal(f"{instance.key} comes into rotation")
    if not alone(cluster.snapshot, service) and not any(cluster.serves(one) for one in others):
        return Refusal(f"{instance.key} is the only one that serves")
    return permit


def _room(cluster: Cluster, service: str) -> bool:
    ports = cluster.ports.get(service)
    return ports is None or len(ports) > len(cluster.snapshot.of(service))


def _replacement(rollout: Rollout, instance: Instance) -> Next:
    """How a service's only instance goes: after another has taken its place."""
    if rollout.canary is None:
        return Surge(instance.host)
    return Refusal(f"{instance.key} retires")


def _is_canary(instance: Instance, rollout: Rollout) -> bool:
    return (
        instance.key.port == rollout.canary
        and instance.rollout >= rollout.id
        and instance.generation == rollout.generation
    )


def _judged(cluster: Cluster, rollout: Rollout, canary: Instance) -> Progress | None:
    at = cluster.snapshot.at
    if cluster.lost(canary.host, Role.APPS):
        return None  # its host is away, which says nothing of the generation
    away = _away(cluster, canary)
    if rollout.canary_since is None:
        if canary.state is not State.READY or outdated(canary, rollout):
            return None
        return _unreachable(cluster, canary, at - canary.since) if away else Watch()
    if canary.state is not State.READY or canary.since > rollout.canary_since:
        return Failed(canary.key, f"{canary.key} did not stay healthy: {_said(canary)}")
    left = timedelta(seconds=rollout.canary_seconds) - (at - rollout.canary_since)
    if away:
        return _unreachable(cluster, canary, -left)
    return _tried(cluster, rollout, canary, over=left <= timedelta(0))


def _tried(cluster: Cluster, rollout: Rollout, canary: Instance, *, over: bool) -> Progress | None:
    """The verdict by the canary's requests, when its time is over or they say enough before."""
    requests, errors = _counts(cluster, canary)
    telling = requests if over else errors
    if telling >= CANARY_REQUESTS and 100 * errors > rollout.canary_error_percent * requests:
        return Failed(
            canary.key,
            f"{errors} of {requests} requests to {canary.key} failed, more than "
            f"{rollout.canary_error_percent:g} %",
        )
    return Passed() if over else None


def _unreachable(cluster: Cluster, canary: Instance, since: timedelta) -> Failed | None:
    """The verdict on a canary that is healthy on its host only. What a lost agent said is old, and
    so is all that is in a ledger that has just come back.
    """
    if min(since, cluster.followed) < UP_WITHIN:
        return None
    for balancer in cluster.serving(canary.key.service):
        down = cluster.seen(canary.key, balancer) is Seen.DOWN
        if down and not cluster.lost(balancer, Role.BALANCERS):
            return Failed(
                canary.key,
                f"{canary.key} is healthy on {canary.host}, but its health checks from "
                f"{balancer} fail: see that it listens on {canary.address}",
            )
    return None


def _counts(cluster: Cluster, instance: Instance) -> tuple[int, int]:
    seen = cluster.snapshot.sightings_of(instance.key)
    return sum(one.requests for one in seen), sum(one.errors for one in seen)


def _said(instance: Instance) -> str:
    return instance.reason or f"it is {instance.state}"


def _canary_sentence(cluster: Cluster, rollout: Rollout) -> str:
    key = InstanceKey(rollout.service, rollout.canary or 0)
    canary = cluster.snapshot.instances.get(key)
    if canary is None:
        return f"{key}, the canary, is gone: another one is chosen"
    if rollout.canary_since is None:
        return f"{key}, the canary, {_away(cluster, canary) or 'comes into rotation'}"
    watched = cluster.snapshot.at - rollout.canary_since
    left = rollout.canary_seconds - watched.total_seconds()
    requests, errors = _counts(cluster, canary)
    counts = f"{requests} requests, {errors} failed"
    if left > 0:
        return f"{key}, the canary, is watched for {left:.0f} s more ({counts})"
    return f"{key}, the canary, {_away(cluster, canary) or 'is judged'} ({counts})"


def _unfinished(cluster: Cluster, rollout: Rollout) -> str:
    """What a roll-out still needs, as a sentence; empty: nothing."""
    snapshot = cluster.snapshot
    rows = snapshot.of(rollout.service)
    for one in rows:
        if one.purpose is Purpose.RETIRE and not outdated(one, rollout):
            continue
        if why := _away(cluster, one):
            return f"{one.key} {why}"
        if outdated(one, rollout):
            return f"{one.key} is still to be rolled"
    for (service, host), count in sorted(snapshot.desired.items()):
        present = sum(one.host == host and one.purpose is not Purpose.RETIRE for one in rows)
        if service == rollout.service and present < count:
            return f"{host} has {present} of {count} instances"
    if not rows and rollout.service not in {service for service, _ in snapshot.desired}:
        return "no number of instances is declared"
    return ""
