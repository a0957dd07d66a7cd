"""Checks that look at several sections or hosts at once. Pure: they return what is wrong."""

from collections.abc import Iterator
from itertools import combinations

from stellwerk.settings.errors import did_you_mean
from stellwerk.settings.hosts import Cluster, ClusterHost
from stellwerk.settings.root import Settings
from stellwerk.settings.schema import KeyPath

MINIMUM_SENTINELS = 3
"""With two, the loss of one host leaves no majority and so no failover (spec 3.1)."""


def section_problems(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    """Yield key path and problem where sections of one host contradict each other."""
    yield from _port_collisions(settings)
    yield from _unknown_services(settings)
    for location, name in settings.nginx.locations.items():
        service = settings.services.get(name)
        if service is not None and service.balancer is None:
            yield ("nginx", "locations", location), f"service {name} has no balancer"


def cluster_problems(cluster: Cluster) -> Iterator[str]:
    """Yield what is wrong with the cluster as a whole."""
    caches, sentinels = cluster.group("caches"), cluster.group("sentinels")
    if cluster.group("balancers") and not cluster.group("apps"):
        yield "group balancers: there is no host in apps to balance to"
    if len(databases := cluster.group("databases")) > 1:
        names = ", ".join(host.name for host in databases)
        yield f"group databases: one database host is supported, not {len(databases)} ({names})"
    if sentinels and not caches:
        yield "group sentinels: there is no host in caches to watch"
    if len(caches) > 1 and len(sentinels) < MINIMUM_SENTINELS:
        yield (
            f"group sentinels: {len(caches)} hosts in caches need at least {MINIMUM_SENTINELS}"
            f" Sentinels for a failover, not {len(sentinels)}"
        )
    for host in caches:
        replicas, needed = len(caches) - 1, host.settings.redis.min_replicas_to_write
        if replicas and needed > replicas:
            yield (
                f"host {host.name}: redis.min_replicas_to_write: {needed} is not accepted: expected"
                f" at most {replicas}, the number of replicas, or no write would be taken"
            )
    for host in sentinels:
        if (quorum := host.settings.sentinel.quorum_of(len(sentinels))) > len(sentinels):
            yield (
                f"host {host.name}: sentinel.quorum: {quorum} is not accepted: expected at most"
                f" {len(sentinels)}, the number of hosts in sentinels"
            )
    if len({host.settings.tls.enabled for host in cluster.hosts.values()}) > 1:
        named = ", ".join(host.name for host in cluster.hosts.values() if host.settings.tls.enabled)
        yield f"tls.enabled: is set for {named} only; set it for all hosts, in group_data/tls.py"
    yield from _shared_addresses(cluster)


def _shared_addresses(cluster: Cluster) -> Iterator[str]:
    seen: dict[str, ClusterHost] = {}
    for host in cluster.hosts.values():
        first = seen.setdefault(host.address, host)
        if first is not host:
            yield f"host {host.name}: has the same address as host {first.name} ({host.address})"


def _port_collisions(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    for (first, ports), (second, others) in combinations(_claims(settings), 2):
        if ports.start < others.stop and others.start < ports.stop:
            yield second, f"{_span(others)} would collide with {'.'.join(first)} ({_span(ports)})"


def _claims(settings: Settings) -> Iterator[tuple[KeyPath, range]]:
    """Yield every port something listens on: one machine may be in all groups."""
    single: list[tuple[KeyPath, int | None]] = [
        (("redis", "port"), settings.redis.port),
        (("redis", "replica_port"), settings.redis.replica_port),
        (("sentinel", "port"), settings.sentinel.port),
        (("postgresql", "port"), settings.postgresql.port),
        (("nginx", "port"), settings.nginx.port),
        (("haproxy", "stats_port"), settings.haproxy.stats_port),
        (("nginx", "status_port"), settings.nginx.status_port),
        (("monitoring", "port"), settings.monitoring.port),
        (("caching", "invalidation", "admin", "port"), settings.caching.invalidation.admin.port),
    ]
    prometheus = settings.monitoring.prometheus
    if prometheus.enabled:
        own = ("monitoring", "prometheus")
        single.append(((*own, "port"), prometheus.port))
        single.append(((*own, "alertmanager_port"), prometheus.alertmanager_port))
    for name, service in settings.services.items():
        single.append((("services", name, "listen_port"), service.listen_port))
    yield from ((path, range(port, port + 1)) for path, port in single if port is not None)
    for name in settings.services:
        yield ("services", name, "port_base"), settings.ports(name)


def _span(ports: range) -> str:
    if len(ports) == 1:
        return f"port {ports.start}"
    return f"ports {ports.start}-{ports.stop - 1}"


def _unknown_services(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    named: list[tuple[KeyPath, str]] = [
        (("nginx", "locations", location), name)
        for location, name in settings.nginx.locations.items()
    ]
    named += [(("scaling", "services", name), name) for name in settings.scaling.services]
    for event, about in settings.scaling.predictive.events.items():
        services: KeyPath = ("scaling", "predictive", "events", event, "services")
        named += [(services, name) for name in about.services]
    for path, name in named:
        if name not in settings.services:
            yield path, f"unknown service {name}{did_you_mean(name, settings.services)}"
