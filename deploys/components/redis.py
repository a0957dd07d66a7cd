"""Redis servers: the file each starts with, its users, and what is set while it runs (C3)."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import SecretStr

from deploys.components import tls
from deploys.components.master import Endpoint
from deploys.engine import tools
from deploys.engine.render import render
from deploys.engine.resources import (
    Activation,
    ConfigSet,
    Directory,
    Facts,
    File,
    RedisCommands,
    Secret,
    lines,
)
from stellwerk.settings import Settings
from stellwerk.settings.cluster import Cluster, ClusterHost

PACKAGES = ("redis-server", "redis-tools")
MASKED = ("redis-server.service",)  # instances are named by their port instead
ACL_FILE = "/etc/redis/users.acl"
TLS = tls.Copy("/etc/redis/tls", "redis")


@dataclass(frozen=True)
class Server:
    """One Redis server of a host."""

    address: str
    port: int

    @property
    def unit(self) -> str:
        return f"redis-server@{self.port}.service"

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.address, self.port)


def servers(cluster: Cluster, declared: ClusterHost) -> tuple[Server, ...]:
    """One server a host; where one host is all there is, a replica beside it."""
    if "caches" not in declared.groups:
        return ()
    redis = declared.settings.redis
    ports = [redis.port]
    if len(cluster.group("caches")) == 1:
        ports.append(redis.replica_port)
    return tuple(Server(declared.address, port) for port in ports)


def all_servers(cluster: Cluster) -> tuple[Server, ...]:
    return tuple(server for one in cluster.group("caches") for server in servers(cluster, one))


def certificates(certificate: tls.HostCertificate | None) -> tuple[ConfigSet, ...]:
    """The servers' copy of the host's certificate; servers that run read a renewed one at once."""
    read = Activation(commands=((*tools.RUN.split(), "renew-redis-certificate"),))
    return tls.install("redis-tls", TLS, certificate, read)


def configs(cluster: Cluster, declared: ClusterHost, master: Endpoint) -> tuple[ConfigSet, ...]:
    """The users of all servers, then each server's first configuration file."""
    settings = declared.settings
    mine = servers(cluster, declared)
    return (
        _users(settings),
        *(_seed(cluster, settings, server, master) for server in mine),
    )


def _users(settings: Settings) -> ConfigSet:
    return ConfigSet(
        "redis-users",
        files=(
            File(ACL_FILE, acl(settings), mode=0o640, owner="redis", group="redis"),
            File(
                "/etc/stellwerk/credentials/redis.replication",
                settings.redis.passwords.replication.get_secret_value(),
                mode=0o600,
            ),
        ),
        # Loaded as the present administrator, whose credential is replaced only afterwards.
        activation=Activation(commands=((*tools.RUN.split(), "load-redis-users"),)),
    )


def acl(settings: Settings) -> str:
    """Redis' users with no more rights than each needs; passwords as digests only.

    Sentinel's and the replicas' rights are those of the Redis documentation on ACL.
    """
    passwords = settings.redis.passwords
    rights: Mapping[str, tuple[SecretStr, str]] = {
        "admin": (passwords.admin, "~* &* +@all"),
        "app": (passwords.app, "~* &* +@all -@admin -@dangerous +info"),
        "monitor": (
            passwords.monitor,
            "+ping +info +config|get +client|list +slowlog|get +latency|latest +role",
        ),
        "replication": (passwords.replication, "+psync +replconf +ping"),
        "sentinel": (
            passwords.sentinel,
            "&* +multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info"
            " +client|setname +client|kill +script|kill",
        ),
    }
    return lines(
        "user default off sanitize-payload resetchannels -@all",
        [
            f"user {name} on sanitize-payload #{_digest(secret)} resetchannels {granted}"
            for name, (secret, granted) in rights.items()
        ],
    )


def _digest(secret: SecretStr) -> str:
    return hashlib.sha256(secret.get_secret_value().encode()).hexdigest()


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
    configuration = f"/etc/redis/redis-{server.port}.conf"
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


def live_commands(
    cluster: Cluster, declared: ClusterHost, facts: Facts
) -> tuple[RedisCommands, ...]:
    """What differs between the settings and the running servers, as commands for each."""
    found = []
    for server in servers(cluster, declared):
        present = facts.get("redis", {}).get(str(server.port), {}).get("config")
        if present is None:
            continue
        commands = _differing(cluster, declared.settings, present)
        if commands:
            rewrite: tuple[str | Secret, ...] = ("CONFIG", "REWRITE")
            found.append(RedisCommands(server.port, (*commands, rewrite)))
    return tuple(found)


def restarts(
    cluster: Cluster, declared: ClusterHost, facts: Facts, role: Literal["master", "slave"]
) -> tuple[dict[str, Any], ...]:
    """The servers of a role that wait for a restart, as requests to their host."""
    settings = declared.settings
    sentinels = [[one.address, one.settings.sentinel.port] for one in cluster.group("sentinels")]
    found = []
    for server in servers(cluster, declared):
        present = facts.get("redis", {}).get(str(server.port), {})
        waiting = present.get("waits_for_restart", {}).items()
        wanted = waiting & directives(cluster, settings).items()
        if wanted and present["replication"]["role"] == role:
            others = [one for one in all_servers(cluster) if one != server]
            found.append(
                {
                    "port": server.port,
                    "address": server.address,
                    "unit": server.unit,
                    "name": settings.sentinel.master_name,
                    "sentinels": sentinels,
                    "replicas": [[one.address, one.port] for one in others],
                }
            )
    return tuple(found)


def _differing(
    cluster: Cluster, settings: Settings, present: Mapping[str, str]
) -> tuple[tuple[str | Secret, ...], ...]:
    commands: list[tuple[str | Secret, ...]] = [
        ("CONFIG", "SET", name, value)
        for name, value in directives(cluster, settings).items()
        # One that Redis does not show is set as well: a misspelt name is then refused by Redis.
        if name not in present or _plain(name, present[name]) != _plain(name, value)
    ]
    if present.get("masterauth") != _digest(settings.redis.passwords.replication):
        commands.append(("CONFIG", "SET", "masterauth", Secret("redis.replication")))
    return tuple(commands)


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
