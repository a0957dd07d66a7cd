"""The local Redis and Sentinel: what they run with, what is to be set, and whether they are well.

Redis and Sentinel rewrite their own files, so they are asked and told at run time (contract C3).
Secrets leave this host only as digests.
"""

import hashlib
from pathlib import Path
from typing import Any

from . import redis_notes, redis_tls, units
from .paths import CREDENTIALS
from .resp import Connection, RedisError

CERTIFICATE_DIRECTIVES = ("tls-cert-file", "tls-key-file", "tls-ca-cert-file")
LOG_LINES = 10
SECRET_DIRECTIVES = ("requirepass", "masterauth", "tls-key-file-pass")


def instances() -> list[int]:
    """Ports with a Redis of ours, from its configuration file's name."""
    return _ports("redis-[0-9]*.conf")


def sentinels() -> list[int]:
    return _ports("sentinel-[0-9]*.conf")


def _ports(pattern: str) -> list[int]:
    try:
        found = [path.stem.rsplit("-", 1)[1] for path in Path("/etc/redis").glob(pattern)]
    except PermissionError:
        return []
    return sorted(int(port) for port in found if port.isdigit())


def secret_digest(value: str) -> str:
    """How a secret is compared without being shown."""
    return hashlib.sha256(value.encode()).hexdigest() if value else ""


def connect(port: int, address: str = "127.0.0.1") -> Connection:
    """A connection to a Redis of the cluster as its administrator."""
    connection = Connection((address, port), tls=redis_tls.context())
    try:
        connection.call("AUTH", "admin", (CREDENTIALS / "redis.admin").read_text())
    except (RedisError, OSError) as error:
        connection.close()
        raise RedisError(f"Redis on port {port} does not take the administrator: {error}") from None
    return connection


def connect_sentinel(port: int, address: str = "127.0.0.1") -> Connection:
    connection = Connection((address, port), tls=redis_tls.context())
    try:
        connection.call("AUTH", (CREDENTIALS / "sentinel.password").read_text())
    except (RedisError, OSError) as error:
        connection.close()
        raise RedisError(f"Sentinel on port {port} does not take the password: {error}") from None
    return connection


def state() -> dict[str, Any]:
    """Per port: the configuration in force, the role, and how replication stands."""
    return {
        str(port): {**_instance_state(port), "tls": redis_tls.is_spoken_by(configuration_of(port))}
        for port in instances()
    }


def configuration_of(port: int, daemon: str = "redis") -> Path:
    """The file that a Redis, or another `daemon`, reads and rewrites."""
    return Path(f"/etc/redis/{daemon}-{port}.conf")


def _instance_state(port: int) -> dict[str, Any]:
    try:
        with connect(port) as connection:
            configuration = connection.pairs("CONFIG", "GET", "*")
            for secret in SECRET_DIRECTIVES:
                configuration[secret] = secret_digest(configuration.get(secret, ""))
            return {
                "config": configuration,
                "replication": info(connection, "replication"),
                "keys": connection.call("DBSIZE"),
                "waits_for_restart": redis_notes.remembered(port),
                "parameters": redis_notes.declared(port),
                "unsaved": redis_notes.is_unsaved(port),
            }
    except RedisError as error:
        return {"error": str(error)}


def info(connection: Connection, section: str) -> dict[str, str]:
    lines = str(connection.call("INFO", section)).splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def sentinel_state() -> dict[str, Any]:
    """Per port: the masters it watches, whom else it knows, and the passwords in force."""
    return {
        str(port): {
            **_sentinel_state(port),
            "tls": redis_tls.is_spoken_by(configuration_of(port, "sentinel")),
        }
        for port in sentinels()
    }


def _sentinel_state(port: int) -> dict[str, Any]:
    try:
        with connect_sentinel(port) as connection:
            masters = [as_dict(flat) for flat in connection.call("SENTINEL", "MASTERS")]
            user = connection.call("ACL", "GETUSER", "default")
            told = connection.pairs("SENTINEL", "CONFIG", "GET", "sentinel-pass")
            return {
                "id": connection.call("SENTINEL", "MYID"),
                "masters": {master["name"]: master for master in masters},
                "known": {master["name"]: known(connection, master["name"]) for master in masters},
                "accepts": user[user.index("passwords") + 1],
                "tells": secret_digest(told["sentinel-pass"]),
            }
    except RedisError as error:
        return {"error": str(error)}


def known(connection: Connection, master: str) -> list[dict[str, str]]:
    """The other Sentinels, by their ids, and the replicas that a Sentinel knows of a master.

    A replica has another id after each restart, so it is known by its address only.
    """
    sentinels = map(as_dict, connection.call("SENTINEL", "SENTINELS", master))
    replicas = map(as_dict, connection.call("SENTINEL", "REPLICAS", master))
    return [
        *(_peer(sentinel, sentinel["runid"]) for sentinel in sentinels),
        *(_peer(replica, "") for replica in replicas),
    ]


def _peer(shown: dict[str, str], identity: str) -> dict[str, str]:
    return {"ip": shown["ip"], "port": shown["port"], "id": identity, "flags": shown["flags"]}


def as_dict(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def log_of(port: int) -> str:
    """The last lines of a server's unit and of its own log."""
    unit = units.journal(f"redis-server@{port}.service", LOG_LINES)
    try:
        log = Path(f"/var/log/redis/redis-server-{port}.log").read_text(errors="replace")
    except OSError:
        return unit
    return "\n".join([unit, *log.splitlines()[-LOG_LINES:]])


def renew_certificate() -> int:
    """Make running servers read their certificate again; their connections stay."""
    for port in instances():
        if units.is_active(f"redis-server@{port}.service"):
            with connect(port) as connection:
                # Redis reads these files again even where their names stay the same.
                named = connection.pairs("CONFIG", "GET", *CERTIFICATE_DIRECTIVES)
                connection.call("CONFIG", "SET", *(word for pair in named.items() for word in pair))
    return 0


def tell_sentinel(port: int, master: str) -> int:
    """Give the running Sentinel the password it logs in to Redis with."""
    with connect_sentinel(port) as connection:
        password = (CREDENTIALS / "redis.sentinel").read_text()
        connection.call("SENTINEL", "SET", master, "auth-pass", password)
    return 0


def check_instance(check: dict[str, Any]) -> str:
    """The Redis on `port` answers; as a replica its link is up.

    With `replicas`, a master has so many and takes writes.
    """
    port = check["port"]
    try:
        with connect(port) as connection:
            replication = info(connection, "replication")
            needed = int(connection.pairs("CONFIG", "GET", "min-replicas-to-write").popitem()[1])
    except RedisError as error:
        return str(error)
    if replication.get("role") == "slave" and replication.get("master_link_status") != "up":
        master = f"{replication.get('master_host')}:{replication.get('master_port')}"
        return f"Redis on port {port} has no link to its master {master}"
    if replication.get("role") != "master" or "replicas" not in check:
        return ""
    present, expected = int(replication["connected_slaves"]), check["replicas"]
    if present < expected:
        return f"the Redis master on port {port} has {present} replicas, not {expected}"
    # Where replicas are needed, Redis counts those that are not too far behind.
    good = int(replication.get("min_slaves_good_slaves", needed))
    if good < needed:
        return (
            f"the Redis master on port {port} takes no writes, as {good} of its replicas are up to"
            f" date and redis.min_replicas_to_write is {needed}"
        )
    return ""


def check_sentinel(check: dict[str, Any]) -> str:
    """Sentinel has its quorum and knows all others that are declared."""
    port, master = check["port"], check["master"]
    try:
        with connect_sentinel(port) as connection:
            connection.call("SENTINEL", "CKQUORUM", master)
            seen = as_dict(connection.call("SENTINEL", "MASTER", master))
    except RedisError as error:
        return f"Sentinel on port {port}: {error}"
    if "down" in seen["flags"]:
        return f"Sentinel on port {port} sees the master {master} as {seen['flags']}"
    others = check["others"]
    if int(seen["num-other-sentinels"]) < others:
        return f"Sentinel on port {port} knows {seen['num-other-sentinels']} others, not {others}"
    if int(seen["num-slaves"]) < check["replicas"]:
        return (
            f"Sentinel on port {port} knows {seen['num-slaves']} replicas, not {check['replicas']}"
        )
    return ""
