"""The local Redis and Sentinel: what they run with, what is to be set, and whether they are well.

Redis and Sentinel rewrite their own files, so they are asked and told at run time (contract C3).
Secrets leave this host only as digests.
"""

import hashlib
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from . import redis_notes, redis_tls, units
from .command import Failure
from .paths import CREDENTIALS
from .resp import Connection, RedisError

CERTIFICATE_DIRECTIVES = ("tls-cert-file", "tls-key-file", "tls-ca-cert-file")
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
        str(port): {**_instance_state(port), "tls": redis_tls.is_spoken_by(_file("redis", port))}
        for port in instances()
    }


def _file(daemon: str, port: int) -> Path:
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
            }
    except RedisError as error:
        return {"error": str(error)}


def info(connection: Connection, section: str) -> dict[str, str]:
    lines = str(connection.call("INFO", section)).splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def sentinel_state() -> dict[str, Any]:
    """Per port: Sentinel's own settings and the masters it watches."""
    found: dict[str, Any] = {}
    for port in sentinels():
        try:
            with connect_sentinel(port) as connection:
                masters = [as_dict(flat) for flat in connection.call("SENTINEL", "MASTERS")]
                found[str(port)] = {"masters": {master["name"]: master for master in masters}}
        except RedisError as error:
            found[str(port)] = {"error": str(error)}
        found[str(port)]["tls"] = redis_tls.is_spoken_by(_file("sentinel", port))
    return found


def as_dict(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def converge(document: dict[str, Any]) -> None:
    """Send the given commands to one Redis or Sentinel, in order.

    What Redis takes only at its start is noted for a restart. A word that is `{"secret": NAME}` is
    read from this host's credentials.
    """
    port = document["port"]
    who = "Sentinel" if document["sentinel"] else "Redis"
    try:
        with (connect_sentinel if document["sentinel"] else connect)(port) as connection:
            for command in document["commands"]:
                try:
                    _send(connection, command)
                except RedisError as error:
                    if "immutable" not in str(error):
                        raise Failure(
                            f"{who} on port {port} refused {_shown(command)}: {error}"
                        ) from error
                    redis_notes.remember(port, str(command[2]), str(command[3]))
    except RedisError as error:
        raise Failure(f"{who} on port {port}: {error}") from error


def _send(connection: Connection, command: list[Any]) -> None:
    words = [
        (CREDENTIALS / word["secret"]).read_text() if isinstance(word, dict) else word
        for word in command
    ]
    connection.call(*words)


def _shown(command: list[Any]) -> str:
    return " ".join("***" if isinstance(word, dict) else str(word) for word in command)


def load_users() -> int:
    """Make running servers read their users' file again, as the administrator of before."""
    for port in instances():
        if units.is_active(f"redis-server@{port}.service"):
            with connect(port) as connection:
                connection.call("ACL", "LOAD")
    return 0


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
    """The Redis on `port` answers; as a replica its link is up; as a master it takes writes."""
    port = check["port"]
    try:
        with connect(port) as connection:
            replication = info(connection, "replication")
    except RedisError as error:
        return str(error)
    if replication.get("role") == "slave" and replication.get("master_link_status") != "up":
        master = f"{replication.get('master_host')}:{replication.get('master_port')}"
        return f"Redis on port {port} has no link to its master {master}"
    expected = check.get("replicas", 0)
    if replication.get("role") == "master" and int(replication["connected_slaves"]) < expected:
        return (
            f"the Redis master on port {port} has {replication['connected_slaves']} replicas,"
            f" not {expected}"
        )
    return ""


def check_sentinel(check: dict[str, Any]) -> str:
    """Sentinel has its quorum and knows as many other Sentinels as are declared."""
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


CANDIDATE_SECONDS = 10


def try_candidate(configuration: Path) -> int:
    """Start a candidate on a throw-away socket, as Redis has no configuration test (0 if it runs).

    Its data folder, ports and replication are replaced, so it touches nothing of the real one.
    """
    with tempfile.TemporaryDirectory(prefix="stellwerk-redis-") as folder:
        socket = f"{folder}/redis.sock"
        harmless = ["--port", "0", "--tls-port", "0", "--unixsocket", socket]
        harmless += ["--dir", folder, "--save", ""]
        harmless += ["--daemonize", "no", "--supervised", "no", "--logfile", "", "--pidfile", ""]
        harmless += ["--appendonly", "no", "--replicaof", "no", "one"]
        server = subprocess.Popen(
            ["redis-server", str(configuration), *harmless],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            deadline = time.monotonic() + CANDIDATE_SECONDS
            while server.poll() is None and time.monotonic() < deadline:
                if Path(socket).exists():
                    return 0
                time.sleep(0.02)
        finally:
            server.kill()
            said, _ = server.communicate()
        print(said)
        return 1
