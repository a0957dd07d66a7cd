"""The whole matrix of edits, in the order in which it is applied to six hosts.

The edits of a step are applied by one run: what each of them may reach is told apart by its units.
"""

from tests.lab import (
    edits_balancers,
    edits_hosts,
    edits_inventory,
    edits_postgresql,
    edits_redis,
    edits_services,
)
from tests.lab.edits import Edit
from tests.lab.edits_redis import Hosts

THREE_CACHES = ("cache-1", "cache-2", "cache-3")


def _redis(hosts: Hosts) -> dict[str, tuple[Edit, ...]]:
    return {
        "Redis and Sentinel while they run": hosts.live(),
        "values taken back": hosts.taken_back(),
        "Redis restarted": hosts.restarted(),
    }


REDIS_STEPS = _redis(Hosts(THREE_CACHES, THREE_CACHES))
"""Redis' own, for a cluster of three hosts."""

STEPS: dict[str, tuple[Edit, ...]] = {
    "kernel, packages, clock, figures": edits_hosts.QUIET,
    "journal": edits_hosts.JOURNAL,
    "PostgreSQL": edits_postgresql.RELOADS,
    "PostgreSQL with `allow_restart`": edits_postgresql.RESTART,
    **_redis(Hosts(("cache-1", "cache-2"), ("cache-1", "cache-2", "db-1"))),
    "passwords": (*edits_postgresql.PASSWORDS, *edits_redis.PASSWORDS),
    "HAProxy": edits_balancers.HAPROXY,
    "nginx": edits_balancers.NGINX,
    "what instances are started with": edits_services.STARTED_WITH,
    "time to stop": edits_services.STOP,
    "figures of agents": edits_services.AGENTS_FIGURES,
    "what balancers and agents know of services": edits_services.BALANCED,
    "a new service": edits_services.NEW,
    "a service taken out": edits_services.GONE,
    "a new app host": edits_inventory.NEW_APP_HOST,
    "instances for it": edits_inventory.NEEDED,
    "an app host taken out": edits_inventory.APP_HOST_GONE,
    "an app host replaced": edits_inventory.REPLACED,
    "a second balancer": edits_inventory.SECOND_BALANCER,
    "a balancer taken out": edits_inventory.BALANCER_GONE,
    "fewer instances": edits_services.FEWER,
    "open files": edits_services.FILES,
    "another release of the runtime": edits_services.UPGRADE,
    "the release of before": edits_services.DOWNGRADE,
}
