"""The edits of Redis and Sentinel, for a cluster of any cache and Sentinel hosts.

What can be set while they run restarts nothing; for the rest the master hands over first.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.lab.edits import Edit, InForce
from tests.lab.edits_services import ALL, NGINX, monitors
from tests.lab.redis_cluster import ASK_REDIS, ASK_SENTINEL, NAME

SERVER = "redis-server@6379.service"
USERS = ("admin", "app", "monitor", "replication", "sentinel")
_REDIS = f"{ASK_REDIS} CONFIG GET {{directive}} | tail -n 1"
_SENTINEL = f"{ASK_SENTINEL} MASTER {NAME} | grep -A 1 -x {{option}} | tail -n 1"


@dataclass(frozen=True)
class Hosts:
    """Where a cluster's Redis servers and Sentinels are."""

    caches: tuple[str, ...]
    sentinels: tuple[str, ...]

    def live(self) -> tuple[Edit, ...]:
        """What is set while they run."""
        return (
            self._redis("memory for data", {"maxmemory": "768MB"}, maxmemory=str(768 * 1024**2)),
            self._redis(
                "eviction policy",
                {"maxmemory_policy": "volatile-lru"},
                maxmemory_policy="volatile-lru",
            ),
            self._redis("save points", {"save": '[{"seconds": 600, "changes": 5}]'}, save="600 5"),
            self._redis("idle clients", {"timeout_seconds": "120"}, timeout="120"),
            self._redis(
                "a further directive",
                {"parameters": '{"lazyfree-lazy-eviction": "yes"}'},
                lazyfree_lazy_eviction="yes",
            ),
            self._sentinel(
                "silence until a server counts as down",
                {"down_after_milliseconds": "4000"},
                down_after_milliseconds="4000",
            ),
            self._sentinel(
                "time for a failover",
                {"failover_timeout_milliseconds": "15000"},
                failover_timeout="15000",
            ),
            self._sentinel("quorum", {"quorum": "3"}, quorum="3"),
        )

    def taken_back(self) -> tuple[Edit, ...]:
        """What has a value of its own again, or none."""
        return (
            self._redis("no save points", {"save": "[]"}, save=""),
            self._redis(
                "the further directive taken back",
                {"parameters": "{}"},
                lazyfree_lazy_eviction="no",
            ),
            self._sentinel("quorum as the majority again", {"quorum": "null"}, quorum="2"),
        )

    def restarted(self) -> tuple[Edit, ...]:
        """What Redis takes only at its start."""
        edit = self._redis(
            "two settings that take a restart",
            {"tcp_backlog": "600", "parameters": '{"databases": "32"}'},
            restarts=frozenset(f"{host} {SERVER}" for host in self.caches),
            fails_over=True,
            tcp_backlog="600",
            databases="32",
        )
        return (edit,)

    def _redis(
        self,
        name: str,
        settings: Mapping[str, str],
        restarts: frozenset[str] = frozenset(),
        fails_over: bool = False,
        **shown: str,
    ) -> Edit:
        return Edit(
            f"Redis: {name}",
            {f"redis.{key}": value for key, value in settings.items()},
            tuple(
                InForce(self.caches, _REDIS.format(directive=directive.replace("_", "-")), value)
                for directive, value in shown.items()
            ),
            restarts=restarts,
            fails_over=fails_over,
        )

    def _sentinel(self, name: str, settings: Mapping[str, str], **shown: str) -> Edit:
        return Edit(
            f"Sentinel: {name}",
            {f"sentinel.{key}": value for key, value in settings.items()},
            tuple(
                InForce(self.sentinels, _SENTINEL.format(option=option.replace("_", "-")), value)
                for option, value in shown.items()
            ),
        )


# One password for each user: those of before are gone.
PASSWORDS = (
    Edit(
        "Redis and Sentinel: all passwords",
        secrets=(*(f"redis.passwords.{user}" for user in USERS), "sentinel.password"),
        in_force=(
            InForce(
                ("cache-1", "cache-2"),
                f"{ASK_REDIS} ACL LIST | grep -o '#[0-9a-f]*' | wc -l",
                str(len(USERS)),
            ),
        ),
        reloads=NGINX,
        restarts=monitors("cache-1", "cache-2", "db-1"),
        rolls=ALL,
    ),
)
