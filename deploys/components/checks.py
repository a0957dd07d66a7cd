"""What must hold on a host at the end of every run."""

from collections.abc import Collection, Iterator

from deploys.components import (
    agent,
    cache,
    event_store,
    haproxy,
    monitor,
    nginx,
    postgresql,
    prometheus,
    redis,
    scaler,
    sentinel,
)
from deploys.engine.resources import Check, Facts
from stellwerk.instances.model import Snapshot, State
from stellwerk.settings.cluster import Cluster, ClusterHost


def wanted(
    cluster: Cluster,
    declared: ClusterHost,
    facts: Facts,
    snapshot: Snapshot,
    reachable: Collection[str],
) -> tuple[Check, ...]:
    """What a host's groups have to show; `snapshot` tells which instances run there.

    It may expect something only of the hosts that are `reachable`.
    """
    settings, groups = declared.settings, declared.groups
    found: list[Check] = []
    if "caches" in groups:
        replicas = len(redis.all_servers(cluster, reachable)) - 1
        for server in redis.servers(cluster, declared):
            found.append({"kind": "unit", "unit": server.unit})
            found.append(
                {
                    "kind": "redis",
                    "unit": server.unit,
                    "port": server.port,
                    "replicas": replicas,
                }
            )
    if "sentinels" in groups:
        found.append(sentinel.health(cluster, declared, reachable))
    if "databases" in groups:
        found += [*postgresql.checks(facts), *event_store.checks(declared)]
    found += [*agent.checks(declared), *scaler.checks(cluster, declared)]
    if "apps" in groups:
        found += instances(declared, snapshot)
    if "balancers" in groups:
        found += [*haproxy.checks(settings), *nginx.checks(settings)]
    found += cache.checks(cluster, declared)
    found += monitor.checks(settings)
    found += prometheus.checks(declared)
    return tuple(found)


def new_health_paths(declared: ClusterHost, facts: Facts, snapshot: Snapshot) -> Iterator[Check]:
    """Instances that serve answer where their health is to be asked from now on.

    An app host asks its own, a balancer all: where none answers, all would leave rotation at once.
    """
    services, present = declared.settings.services, facts["health_paths"]
    for key, one in sorted(snapshot.instances.items()):
        service = services.get(key.service)
        if service is None or one.state is not State.READY:
            continue
        if present.get(key.service, service.health_path) == service.health_path:
            continue
        if one.host == declared.name or "balancers" in declared.groups:
            address = "127.0.0.1" if one.host == declared.name else one.address
            url = f"http://{address}:{key.port}{service.health_path}"
            yield {"kind": "http", "url": url, "unit": key.unit}


def instances(declared: ClusterHost, snapshot: Snapshot) -> Iterator[Check]:
    """The instances of a host run and are healthy, but for those that are about to stop."""
    services = declared.settings.services
    for key, one in sorted(snapshot.instances.items()):
        if one.host != declared.name or one.state is State.DRAINING or key.service not in services:
            continue
        yield {"kind": "unit", "unit": key.unit}
        path = services[key.service].health_path
        yield {"kind": "http", "url": f"http://127.0.0.1:{key.port}{path}", "unit": key.unit}
