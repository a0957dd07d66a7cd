"""The Redis servers of a lab's cluster as its operators see them."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from secrets import token_urlsafe

import yaml

from tests.lab.platform import Node, Platform
from tests.lab.redis_traffic import KEY, Access, Traffic
from tests.lab.waiting import wait_until

NAME = "aktienanalyse-redis"
REDIS_PORT, SENTINEL_PORT = 6379, 26379
SENTINEL_CLIENT = "a client of Sentinel"
_CREDENTIALS = "/etc/stellwerk/credentials"
ASK_REDIS = (
    f"REDISCLI_AUTH=$(cat {_CREDENTIALS}/redis.admin) redis-cli -p {REDIS_PORT} --user admin"
)
ASK_SENTINEL = (
    f"REDISCLI_AUTH=$(cat {_CREDENTIALS}/sentinel.password) redis-cli -p {SENTINEL_PORT} SENTINEL"
)
SETTLE_SECONDS = 60.0
FIRST_WRITES = 10
_FIRSTS = count(0, 1_000_000)  # numbers apart, so that each client's are its own


def cache(number: int, *groups: str) -> Node:
    """A host for a Redis and a Sentinel, or in other groups."""
    return Node(f"cache-{number}", f"198.18.0.3{number}", groups or ("caches", "sentinels"))


CACHES = tuple(map(cache, (1, 2, 3)))


class RedisCluster:
    """Reads and drives the Redis servers of a platform; a Sentinel runs beside each of them."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    @property
    def nodes(self) -> tuple[Node, ...]:
        return tuple(node for node in self.platform.nodes if "caches" in node.groups)

    @property
    def sentinels(self) -> list[tuple[str, int]]:
        """Where clients find the Sentinels."""
        nodes = self.platform.nodes
        return [(node.address, SENTINEL_PORT) for node in nodes if "sentinels" in node.groups]

    def redis(self, host: str, command: str, check: bool = True) -> str:
        """What the Redis of a host answers its administrator."""
        return self.platform.shell(host, f"{ASK_REDIS} {command}", check=check)

    def sentinel(self, host: str, command: str, check: bool = True) -> str:
        """What the Sentinel of a host answers."""
        return self.platform.shell(host, f"{ASK_SENTINEL} {command}", check=check)

    def master(self, asked: str = "") -> str:
        """The name of the host whose Redis is the master, as the Sentinel of `asked` says."""
        host = asked or self.nodes[0].name
        address = self.sentinel(host, f"GET-MASTER-ADDR-BY-NAME {NAME} | head -n 1")
        return next(node.name for node in self.platform.nodes if node.address == address)

    def settled_on(self) -> str:
        """The host that all Sentinels name as the master and see well; empty while they do not."""
        named = {self.master(node.name) for node in self.nodes}
        flags = {
            self.sentinel(node.name, f"MASTER {NAME} | grep -A 1 -x flags | tail -n 1")
            for node in self.nodes
        }
        return named.pop() if len(named) == 1 and flags == {"master"} else ""

    def priority_of(self, host: str) -> int:
        """The priority for a promotion that the first host's Sentinel knows a replica to have."""
        address = next(node.address for node in self.nodes if node.name == host)
        line = f"REPLICAS {NAME} | grep -A 60 -x {address}:6379"
        shown = self.sentinel(self.nodes[0].name, f"{line} | grep -A 1 -x slave-priority")
        return int(shown.split()[1])

    def known(self, host: str, kind: str) -> list[str]:
        """The addresses that a Sentinel knows as `SENTINELS` or `REPLICAS`, in their order."""
        listed = self.sentinel(host, f"{kind} {NAME} | grep -A 1 -x ip | grep -v -e ip -e --")
        return sorted(listed.split())

    def passwords(self) -> dict[str, dict[str, str]]:
        """The passwords of Redis and Sentinel as secrets.yaml has them."""
        secrets = yaml.safe_load((self.platform.folder / "secrets.yaml").read_text())
        return {"redis": secrets["redis"]["passwords"], "sentinel": secrets["sentinel"]}

    def change_passwords(self) -> None:
        """Give every user of Redis, and Sentinel, another password in secrets.yaml."""
        path = self.platform.folder / "secrets.yaml"
        secrets = yaml.safe_load(path.read_text())
        for user in secrets["redis"]["passwords"]:
            secrets["redis"]["passwords"][user] = token_urlsafe(32)
        secrets["sentinel"]["password"] = token_urlsafe(32)
        path.write_text(yaml.safe_dump(secrets))

    def takes(self, host: str, user: str, password: str) -> bool:
        """Whether the Redis of a host lets the user in, or its Sentinel for SENTINEL_CLIENT."""
        port, login = (
            (SENTINEL_PORT, "") if user == SENTINEL_CLIENT else (REDIS_PORT, f"--user {user}")
        )
        said = self.platform.shell(
            host, f"REDISCLI_AUTH='{password}' redis-cli -p {port} {login} PING 2>&1", check=False
        )
        return "WRONGPASS" not in said and "NOAUTH" not in said

    @contextmanager
    def traffic(self, folder: Path, *, every_time: bool = False) -> Iterator[Traffic]:
        """A client with the present passwords; it has begun to write."""
        passwords = self.passwords()
        access = Access(
            NAME,
            self.sentinels,
            passwords["sentinel"]["password"],
            passwords["redis"]["app"],
            every_time,
        )
        found = Traffic(self.platform.lab, access, folder, next(_FIRSTS))
        try:
            begun = wait_until(
                lambda: len(found.notes().acknowledged) > FIRST_WRITES, SETTLE_SECONDS
            )
            assert begun, found.notes().errors
            yield found
        finally:
            found.kill()

    def wait_for_writes(self, traffic: Traffic) -> None:
        """Wait until writes are acknowledged again."""
        before = len(traffic.notes().acknowledged)
        going = wait_until(lambda: len(traffic.notes().acknowledged) > before, SETTLE_SECONDS)
        assert going, self.platform.journals()

    def stored(self, asked: str = "") -> set[int]:
        """The numbers that the present master holds."""
        keys = self.redis(self.master(asked), f"--scan --pattern '{KEY}*'").split()
        return {int(key.removeprefix(KEY)) for key in keys}
