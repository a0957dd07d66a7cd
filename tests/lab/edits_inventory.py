"""The edits of the inventory: hosts come, go and are replaced, and the others run on."""

from dataclasses import replace

from tests.lab.conftest import SIX
from tests.lab.edits import Edit, InForce
from tests.lab.edits_postgresql import DEBIAN_13
from tests.lab.edits_redis import SERVER
from tests.lab.edits_services import AGENTS, CORE, NGINX, monitors
from tests.lab.platform import Node
from tests.lab.redis_cluster import ASK_REDIS

APP_3 = Node("app-3", "198.18.0.23", ("apps",), release="trixie")
CACHE_3 = Node("cache-3", "198.18.0.33", ("caches",), release="trixie")
CACHE_3_AT_REST = replace(CACHE_3, groups=("resting",))
LB_2 = Node("lb-2", "198.18.0.12", ("balancers",), release="bookworm")
SEES_ALL = monitors("db-1")  # it is in `monitors`, and is told of all hosts
_ANSWERS = (
    "for url in http://127.0.0.1/ http://127.0.0.1:9100/; do"
    " python3 -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).status)' $url; done"
)


def _runs(host: str, service: str, *, some: bool) -> tuple[InForce, ...]:
    """Whether instances of a service run on a host."""
    listed = f"systemctl list-units --state=running --no-legend '{service}@*' | grep -q ."
    return (InForce((host,), f"{listed} && echo some || echo none", "some" if some else "none"),)


NEW_APP_HOST = (
    Edit(
        "A new app host",
        nodes=(*SIX, APP_3),
        in_force=_runs("app-3", CORE, some=False),
        restarts=SEES_ALL,
        reloads=DEBIAN_13.units,
    ),
)
NEW_CACHE_HOST = (
    Edit(
        "A new cache host",
        nodes=(*SIX, APP_3, CACHE_3),
        in_force=(InForce(("cache-3",), f"{ASK_REDIS} ROLE | head -n 1", "slave"),),
        restarts=SEES_ALL,
    ),
)
NEEDED = (
    Edit(
        "A service: more instances than its hosts had",
        {f"services.{CORE}.min_instances": "3"},
        in_force=_runs("app-3", CORE, some=True),
        counts={CORE: 3},
    ),
)
APP_HOST_GONE = (
    Edit(
        "An app host that is taken out",
        nodes=(*SIX, CACHE_3),
        restarts=SEES_ALL,
        reloads=DEBIAN_13.units,
        counts={CORE: 3},
    ),
)
CACHE_HOST_GONE = (
    Edit(
        "A cache host that is taken out",
        nodes=(*SIX, CACHE_3_AT_REST),
        in_force=(InForce(("cache-3",), "ls /etc/redis/*-*.conf", ""),),
        restarts=SEES_ALL | monitors("cache-3"),
        stops=frozenset({f"cache-3 {SERVER}"}),
    ),
)
SECOND_BALANCER = (
    Edit(
        "A second balancer",
        nodes=(*SIX, LB_2),
        in_force=(InForce(("lb-2",), _ANSWERS, "200\n200"),),
        reloads=DEBIAN_13.units,
        restarts=AGENTS | SEES_ALL,
    ),
)
BALANCER_GONE = (
    Edit(
        "A balancer that is taken out",
        nodes=SIX,
        reloads=DEBIAN_13.units,
        restarts=AGENTS | SEES_ALL,
    ),
)
REPLACED = (
    Edit(
        "A dead app host, replaced by an empty machine",
        replaces="app-2",
        in_force=_runs("app-2", CORE, some=True),
        reloads=NGINX,
    ),
)
