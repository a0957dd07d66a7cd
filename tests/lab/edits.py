"""The edits that operators make, as data: what is set, and exactly what may happen for it.

A row is one dataclass; the rows of a component are one tuple. `editing` applies and judges them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.lab.platform import Node

SERVER = "redis-server@6379.service"


@dataclass(frozen=True)
class InForce:
    """What shows that the edit is in force: the output of a shell line on each of these hosts."""

    hosts: tuple[str, ...]
    command: str
    output: str


@dataclass(frozen=True)
class Edit:
    """An edit of the settings.

    + settings: values by dotted key, as `--data` takes them
    + secrets: dotted keys of secrets.yaml that get another value
    + runtime: text added to a source of the runtime, which makes it another release
    + nodes: the hosts that the inventory names from then on
    + replaces: a host that died before and is an empty machine now
    + restarts, reloads: the units, as `HOST UNIT`, that do; all others run on
    + rolls: the services whose instances are restarted, one after the other
    + counts: the services that have so many instances afterwards; those that stay run on
    + says: what the run is to say
    + fails_over: whether clients of Redis may be without a master meanwhile
    """

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)
    in_force: tuple[InForce, ...] = ()
    restarts: frozenset[str] = frozenset()
    reloads: frozenset[str] = frozenset()
    fails_over: bool = False
    secrets: tuple[str, ...] = ()
    runtime: str | None = None
    nodes: tuple[Node, ...] = ()
    replaces: str = ""
    rolls: frozenset[str] = frozenset()
    counts: Mapping[str, int] = field(default_factory=dict)
    says: str = ""


CACHES = ("cache-1", "cache-2", "cache-3")
_CREDENTIALS = "/etc/stellwerk/credentials"
_REDIS = f"REDISCLI_AUTH=$(cat {_CREDENTIALS}/redis.admin) redis-cli -p 6379 --user admin"
_SENTINEL = (
    f"REDISCLI_AUTH=$(cat {_CREDENTIALS}/sentinel.password) redis-cli -p 26379"
    " SENTINEL MASTER aktienanalyse-redis"
)


def _redis(directive: str, value: str) -> tuple[InForce, ...]:
    return (InForce(CACHES, f"{_REDIS} CONFIG GET {directive} | tail -n 1", value),)


def _sentinel(option: str, value: str) -> tuple[InForce, ...]:
    return (InForce(CACHES, f"{_SENTINEL} | grep -A 1 -x {option} | tail -n 1", value),)


REDIS = (
    Edit(
        "Redis: memory for data",
        {"redis.maxmemory": "768MB"},
        _redis("maxmemory", str(768 * 1024**2)),
    ),
    Edit(
        "Redis: eviction policy",
        {"redis.maxmemory_policy": "volatile-lru"},
        _redis("maxmemory-policy", "volatile-lru"),
    ),
    Edit(
        "Redis: save points",
        {"redis.save": '[{"seconds": 600, "changes": 5}]'},
        _redis("save", "600 5"),
    ),
    Edit("Redis: no save points", {"redis.save": "[]"}, _redis("save", "")),
    Edit(
        "Redis: idle clients",
        {"redis.timeout_seconds": "120"},
        _redis("timeout", "120"),
    ),
    Edit(
        "Redis: a further directive",
        {"redis.parameters": '{"lazyfree-lazy-eviction": "yes"}'},
        _redis("lazyfree-lazy-eviction", "yes"),
    ),
    Edit(
        "Redis: the further directive taken back",
        {"redis.parameters": "{}"},
        _redis("lazyfree-lazy-eviction", "no"),
    ),
    Edit(
        "Redis: two settings that take a restart",
        {"redis.tcp_backlog": "600", "redis.parameters": '{"databases": "32"}'},
        (*_redis("tcp-backlog", "600"), *_redis("databases", "32")),
        restarts=frozenset(f"{host} {SERVER}" for host in CACHES),
        fails_over=True,
    ),
    Edit(
        "Sentinel: silence until a server counts as down",
        {"sentinel.down_after_milliseconds": "4000"},
        _sentinel("down-after-milliseconds", "4000"),
    ),
    Edit(
        "Sentinel: time for a failover",
        {"sentinel.failover_timeout_milliseconds": "15000"},
        _sentinel("failover-timeout", "15000"),
    ),
    Edit("Sentinel: quorum", {"sentinel.quorum": "3"}, _sentinel("quorum", "3")),
    Edit(
        "Sentinel: quorum as the majority again",
        {"sentinel.quorum": "null"},
        _sentinel("quorum", "2"),
    ),
)
