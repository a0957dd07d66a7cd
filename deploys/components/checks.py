"""What must hold on a host at the end of every run."""

from collections.abc import Sequence

from deploys.components import haproxy, nginx, postgresql, redis, sentinel, services
from deploys.components.instances import Placed, on
from deploys.engine.resources import Check, Facts
from stellwerk.settings.cluster import Cluster, ClusterHost


def wanted(
    cluster: Cluster, declared: ClusterHost, facts: Facts, placed: Sequence[Placed]
) -> tuple[Check, ...]:
    settings, groups = declared.settings, declared.groups
    found: list[Check] = []
    if "caches" in groups:
        replicas = len(redis.all_servers(cluster)) - 1
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
        found.append(sentinel.health(cluster, declared))
    if "databases" in groups:
        found += postgresql.checks(facts)
    if "apps" in groups:
        found += [
            services.health(one, settings.services[one.service]) for one in on(declared, placed)
        ]
    if "balancers" in groups:
        found += [*haproxy.checks(settings), *nginx.checks(settings)]
    return tuple(found)
