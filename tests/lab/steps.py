"""The whole matrix of edits, in the order in which it is applied to six hosts.

The edits of a step are applied by one run. They are of different daemons, so that it is told by the
units what each of them reached; the bench applies each of them alone.
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


_SIX = Hosts(("cache-1", "cache-2"), ("cache-1", "cache-2", "db-1"))
_THREE = Hosts(THREE_CACHES, THREE_CACHES)

REDIS_STEPS: dict[str, tuple[Edit, ...]] = {
    "Redis and Sentinel while they run": _THREE.live(),
    "values taken back": _THREE.taken_back(),
    "Redis restarted": _THREE.restarted(),
}
"""Redis' own, for a cluster of three hosts."""

STEPS: dict[str, tuple[Edit, ...]] = {
    "nothing restarts but monitors": (*edits_hosts.QUIET, *_SIX.live()),
    "what instances are started with": edits_services.STARTED_WITH,
    "what balancers and agents know of services": (*edits_services.BALANCED, *edits_services.NEW),
    "a service taken out": (*edits_services.GONE, *edits_services.STOP),
    "passwords": (*edits_postgresql.PASSWORDS, *edits_redis.PASSWORDS),
    "new hosts": (*edits_inventory.NEW_APP_HOST, *edits_inventory.NEW_CACHE_HOST),
    "instances for one": edits_inventory.NEEDED,
    "hosts taken out": (*edits_inventory.APP_HOST_GONE, *edits_inventory.CACHE_HOST_GONE),
    "an app host replaced": edits_inventory.REPLACED,
    "a second balancer": edits_inventory.SECOND_BALANCER,
    "daemons reload": (
        *edits_postgresql.DEBIAN_13.reloads(),
        *edits_balancers.HAPROXY,
        *edits_balancers.NGINX,
        *_SIX.taken_back(),
    ),
    "a balancer taken out": (
        *edits_inventory.BALANCER_GONE,
        *edits_services.AGENTS_FIGURES,
    ),
    "Redis and the journal restart": (*_SIX.restarted(), *edits_hosts.JOURNAL),
    "fewer instances": (*edits_services.FEWER, *edits_postgresql.DEBIAN_13.restart()),
    "open files": edits_services.FILES,
    "another release of the runtime": edits_services.UPGRADE,
    "the release of before": edits_services.DOWNGRADE,
}

DEBIAN_12_STEPS: dict[str, tuple[Edit, ...]] = {
    "PostgreSQL reloads": edits_postgresql.DEBIAN_12.reloads(),
    "PostgreSQL restarts": edits_postgresql.DEBIAN_12.restart(),
}
"""What no host of the six does with Debian 12, for one host in every group."""
