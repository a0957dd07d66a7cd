"""Which services would be rolled, and why: what their instances are started with differs. Pure."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from deploys.components import credentials, services
from deploys.components.generations import FOLDER, Generation
from deploys.components.services import ServiceRelease
from deploys.engine.resources import Facts
from stellwerk.instances.model import RolloutState, Snapshot
from stellwerk.instances.rollouts import current
from stellwerk.settings.cluster import Cluster, ClusterHost

UNIT, ENVIRONMENT, CREDENTIALS, RELEASE = "unit", "environment", "credentials", "release"


@dataclass(frozen=True)
class Roll:
    """A roll-out that a run would start. `before` is empty for a service that is new.

    `reloads`: balancers whose nginx is reloaded whenever an instance goes or comes.
    """

    service: str
    before: str
    after: str
    why: tuple[str, ...]
    instances: Mapping[str, int]
    reloads: tuple[str, ...] = ()

    def document(self) -> Mapping[str, Any]:
        """The roll-out as JSON."""
        return asdict(self)


def rolls(
    cluster: Cluster,
    snapshot: Snapshot,
    wanted: Mapping[str, Generation],
    facts: Mapping[str, Facts],
) -> tuple[Roll, ...]:
    """The roll-outs that the ledger does not ask for yet, by service."""
    return tuple(_rolls(cluster, snapshot, wanted, facts))


def _rolls(
    cluster: Cluster,
    snapshot: Snapshot,
    wanted: Mapping[str, Generation],
    facts: Mapping[str, Facts],
) -> Iterator[Roll]:
    for name, generation in sorted(wanted.items()):
        present = snapshot.services.get(name)
        reloads = _reloads(cluster, name)
        if present is None:
            yield Roll(name, "", generation.digest, ("new",), {}, reloads)
            continue
        rollout = current(snapshot, name)
        failed = rollout is not None and rollout.state is RolloutState.FAILED
        if present.generation == generation.digest and not failed:
            continue
        why = tuple(_why(cluster, name, present.generation, generation, facts))
        if failed and present.generation == generation.digest:
            why = ("the last one failed",)
        counts: dict[str, int] = {}
        for one in snapshot.of(name):
            counts[one.host] = counts.get(one.host, 0) + 1
        hosts = dict(sorted(counts.items()))
        yield Roll(name, present.generation, generation.digest, why, hosts, reloads)


def _reloads(cluster: Cluster, service: str) -> tuple[str, ...]:
    return tuple(
        one.name
        for one in cluster.group("balancers")
        if (known := one.settings.services.get(service)) and known.balancer == "nginx"
    )


def _why(
    cluster: Cluster, service: str, before: str, after: Generation, facts: Mapping[str, Facts]
) -> Iterator[str]:
    """What differs on any app host between the generation that is there and the wanted one."""
    found: dict[str, None] = {}
    for app in cluster.group("apps"):
        if app.name in facts and service in app.settings.services:
            found |= dict.fromkeys(
                _differing(cluster, app, service, before, after, facts[app.name])
            )
    order = (RELEASE, UNIT, ENVIRONMENT, CREDENTIALS)
    yield from (one for one in order if one in found)


def _differing(
    cluster: Cluster,
    app: ClusterHost,
    service: str,
    before: str,
    after: Generation,
    facts: Facts,
) -> Iterator[str]:
    files, settings, folder = facts.get("files", {}), app.settings, f"{FOLDER}/{service}/{before}"
    if f"{folder}/release" in files:
        release = _release_on(facts, settings.runtime.prefix, files[f"{folder}/release"], after)
        if release.name != after.release:
            yield RELEASE
        text = services.unit(settings, service, settings.services[service], release, folder)
        if not _is(files.get(f"{folder}/{service}@.service"), text):
            yield UNIT
        if not _is(
            files.get(f"{folder}/environment"),
            services.environment(cluster, app, service, app.address),
        ):
            yield ENVIRONMENT
    shared = credentials.wanted(app)
    secrets = {
        path: shared[path.rpartition("/")[2]] for path in services.shared_credentials().values()
    }
    secrets |= {
        file.path: file.content
        for file in services.own_credentials(app)
        if file.path.startswith(credentials.path(f"{service}."))
    }
    if any(not _is(files.get(path), content) for path, content in secrets.items()):
        yield CREDENTIALS


def _release_on(
    facts: Facts, prefix: str, file: Mapping[str, Any] | None, after: Generation
) -> ServiceRelease:
    """The release that a generation names, of those that lie on the host."""
    for name, folder in _releases(facts, prefix, after.service):
        if _is(file, f"{name}\n"):
            return ServiceRelease(name, f"{folder}/{name}" if name else "")
    return ServiceRelease("unknown", "unknown")


def _releases(facts: Facts, prefix: str, service: str) -> Iterable[tuple[str, str]]:
    yield "", ""
    for name in facts.get("release", {}).get("releases", ()):
        yield name, f"{prefix}/releases"
    for name in facts.get("programs", {}).get(service, ()):
        yield name, f"{prefix}/services/{service}/releases"


def _is(file: Mapping[str, Any] | None, content: str) -> bool:
    return bool(file and file.get("sha256") == hashlib.sha256(content.encode()).hexdigest())
