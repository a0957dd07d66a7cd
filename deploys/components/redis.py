"""Redis servers: the file each starts with, what is set while it runs, and what leaves (C3)."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import SecretStr

from deploys.components import tls
from deploys.components.master import Endpoint
from deploys.components.redis_users import ACL_FILE
from deploys.engine import tools
from deploys.engine.render import render
from deploys.engine.resources import (
    Activation,
    ConfigSet,
    Directory,
    Facts,
    File,
    RedisRequest,
    Secret,
    secret_digest,
)
from stellwerk.settings import Settings
from stellwerk.settings.cluster import Cluster, ClusterHost

PACKAGES = ("redis-server", "redis-tools")
MASKED = ("redis-server.service",)  # instances are named by their port instead
TLS = tls.Copy("/etc/redis/tls", "redis")

REMOVAL_REASON = "is declared no more and goes; what it stored stays in /var/lib/redis"

Role = Literal["master", "slave"]


@dataclass(frozen=True)
class Server:
    """One Redis server of a host."""

    address: str
    port: int

    @property
    def unit(self) -> str:
        return f"redis-server@{self.port}.service"

    @property
    def component(self) -> str:
        """What a plan and the record of runs call it."""
        return f"redis {self.port}"

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.address, self.port)

    @property
    def configuration(self) -> str:
        return f"/etc/redis/redis-{self.port}.conf"


def servers(cluster: Cluster, declared: ClusterHost) -> tuple[Server, ...]:
    """One server a host; where one host is all there is, a replica beside it."""
    if "caches" not in declared.groups:
        return ()
    redis = declared.settings.redis
    ports = [redis.port]
    if len(cluster.group("caches")) == 1:
        ports.append(redis.replica_port)
    return tuple(Server(declared.address, port) for port in ports)


def all_servers(cluster: Cluster, reachable: Collection[str] | None = None) -> tuple[Server, ...]:
    """The servers of all hosts, or of those named in `reachable`."""
    return tuple(
        server
        for one in cluster.group("caches")
        if reachable is None or one.name in reachable
        for server in servers(cluster, one)
    )


def certificates(certificate: tls.HostCertificate | None) -> tuple[ConfigSet, ...]:
    """The servers' copy of the host's certificate; servers that run read a renewed one at once."""
    read = Activation(commands=((*tools.RUN.split(), "renew-redis-certificate"),))
    return tls.install("redis-tls", TLS, certificate, read)


def configs(cluster: Cluster, declared: ClusterHost, master: Endpoint) -> tuple[ConfigSet, ...]:
    """Each server's first configuration file."""
    mine = servers(cluster, declared)
    return tuple(_seed(cluster, declared.settings, server, master) for server in mine)


def _seed(cluster: Cluster, settings: Settings, server: Server, master: Endpoint) -> ConfigSet:
    """What a server starts with for the first time; from then on Redis rewrites its file."""
    content = render(
        "redis/redis.conf.j2",
        server=server,
        master=None if server.endpoint == master else master,
        directives=directives(cluster, settings),
        acl_file=ACL_FILE,
        replication_password=quoted(settings.redis.passwords.replication),
        tls=TLS if settings.tls.enabled else None,
    )
    configuration = server.configuration
    return ConfigSet(
        f"redis-{server.port}",
        directories=(Directory(f"/var/lib/redis/{server.port}", 0o750, "redis", "redis"),),
        files=(File(configuration, content, 0o640, "redis", "redis", seed=True),),
        check=((*tools.RUN.split(), "try-redis", f"{{root}}{configuration}"),),
        activation=Activation(unit=server.unit, how="start"),
        health=({"kind": "redis", "port": server.port, "unit": server.unit},),
    )


def quoted(secret: SecretStr) -> str:
    """A secret as a word of redis.conf, which may hold quotes and backslashes of its own."""
    value = secret.get_secret_value().replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'


def directives(cluster: Cluster, settings: Settings) -> dict[str, str]:
    """Directives as CONFIG GET shows them; which of them take a restart is Redis' to say."""
    redis = settings.redis
    # On one host a dead replica must not stop the writes: nothing would be safer for it.
    least_replicas = redis.min_replicas_to_write if len(cluster.group("caches")) > 1 else 0
    values = {
        "maxmemory": str(int(redis.maxmemory)),
        "maxmemory-policy": redis.maxmemory_policy,
        "maxmemory-samples": str(redis.maxmemory_samples),
        "save": " ".join(f"{point.seconds} {point.changes}" for point in redis.save),
        "appendonly": _yes(redis.appendonly),
        "timeout": str(redis.timeout_seconds),
        "tcp-keepalive": str(redis.tcp_keepalive_seconds),
        "tcp-backlog": str(redis.tcp_backlog),
        "protected-mode": _yes(redis.protected_mode),
        "loglevel": redis.loglevel,
        "min-replicas-to-write": str(least_replicas),
        "min-replicas-max-lag": str(redis.min_replicas_max_lag_seconds),
    }
    return {**values, **redis.parameters}


def settings_requests(
    cluster: Cluster, declared: ClusterHost, facts: Facts, role: Role
) -> tuple[RedisRequest, ...]:
    """What differs between the settings and the running servers of a role, for each that does."""
    wanted = directives(cluster, declared.settings)
    parameters = sorted(declared.settings.redis.parameters)
    found = []
    for server in servers(cluster, declared):
        present = facts.get("redis", {}).get(str(server.port), {})
        if "config" not in present or present["replication"]["role"] != role:
            continue
        differing = _differing(declared.settings, wanted, present["config"])
        before = present["parameters"]
        if not differing and before == parameters and not present.get("unsaved"):
            continue
        to_default = [name for name in before if name not in wanted]
        named = [*differing, *(f"{name} as it is by default" for name in to_default)]
        document = {
            "port": server.port,
            "sentinel": False,
            "settings": differing,
            "parameters": parameters,
            "to_default": to_default,
        }
        reason = f"setting {', '.join(named)}" if named else "keeping what is set"
        found.append(RedisRequest("redis", server.component, reason, document))
    return tuple(found)


def restarts(
    cluster: Cluster, declared: ClusterHost, facts: Facts, role: Role
) -> tuple[RedisRequest, ...]:
    """The servers of a role that wait for a restart, as requests to their host."""
    wanted = directives(cluster, declared.settings)
    found = []
    for server in servers(cluster, declared):
        present = facts.get("redis", {}).get(str(server.port), {})
        waiting = {
            name: value
            for name, value in present.get("waits_for_restart", {}).items()
            if wanted.get(name, value) == value  # one that is no setting any more is reset so
            and not _is_in_force(name, value, present["config"])
        }
        if waiting and present["replication"]["role"] == role:
            document = {**_hand_over(cluster, declared, server), "directives": waiting}
            reason = f"restarting it for {', '.join(waiting)}"
            found.append(RedisRequest("restart-redis", server.component, reason, document))
    return tuple(found)


def removals(
    cluster: Cluster, declared: ClusterHost, facts: Facts, role: Role
) -> tuple[RedisRequest, ...]:
    """The servers that this host no longer should have, as requests to it.

    One that does not answer counts as a replica: it has nothing to hand over.
    """
    present = facts.get("redis", {})
    staying = {str(server.port) for server in servers(cluster, declared)}
    left = set(present)
    found = []
    for port, instance in present.items():
        if port in staying or instance.get("replication", {}).get("role", "slave") != role:
            continue
        left.remove(port)
        server = Server(declared.address, int(port))
        files, stamps = [server.configuration], [f"redis-{port}"]
        if not left:  # after the last one there are no users any more
            files.append(ACL_FILE)
            stamps.append("redis-users")
        document = {
            **_hand_over(cluster, declared, server),
            "files": files,
            "stamps": stamps,
        }
        found.append(RedisRequest("remove-redis", server.component, REMOVAL_REASON, document))
    return tuple(found)


def _hand_over(cluster: Cluster, declared: ClusterHost, server: Server) -> dict[str, Any]:
    """What a host needs to have a server's successor promoted."""
    others = [one for one in all_servers(cluster) if one != server]
    return {
        "port": server.port,
        "address": server.address,
        "unit": server.unit,
        "name": declared.settings.sentinel.master_name,
        "sentinels": [
            [one.address, one.settings.sentinel.port] for one in cluster.group("sentinels")
        ],
        "replicas": [[one.address, one.port] for one in others],
    }


def _differing(
    settings: Settings, wanted: Mapping[str, str], present: Mapping[str, str]
) -> dict[str, str | dict[str, str]]:
    values: dict[str, str | dict[str, str]] = {
        name: value
        for name, value in wanted.items()
        # One that Redis does not show is set as well: a misspelt name is then refused by Redis.
        if not _is_in_force(name, value, present)
    }
    if present.get("masterauth") != secret_digest(settings.redis.passwords.replication):
        values["masterauth"] = Secret("redis.replication").document()
    return values


def _is_in_force(name: str, value: str, present: Mapping[str, str]) -> bool:
    return name in present and _plain(name, present[name]) == _plain(name, value)


_UNITS = {"k": 1000, "kb": 1024, "m": 1000**2, "mb": 1024**2, "g": 1000**3, "gb": 1024**3, "b": 1}
_SIZE = re.compile(r"(\d+)([kmg]?b|[kmg])")


def _plain(name: str, value: str) -> str:
    """One spelling for one value: Redis shows 1gb as 1073741824, and flags in its own order."""
    words = value.strip().strip('"').lower().split()
    if name == "notify-keyspace-events":
        return "".join(sorted(value.strip('"')))
    return " ".join(_SIZE.sub(_in_bytes, word) if _SIZE.fullmatch(word) else word for word in words)


def _in_bytes(size: re.Match[str]) -> str:
    return str(int(size[1]) * _UNITS[size[2]])


def _yes(value: bool) -> str:
    return "yes" if value else "no"
