"""Restarting a Redis for a directive it takes only at its start, without losing a write.

A replica just restarts. A master first hands over: writes are paused, a replica has caught up, the
Sentinels promote it, and the old master follows it before writes go on. Without the pause and the
immediate REPLICAOF an old master takes writes for seconds that are then lost (redis#6062).
"""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import redis, redis_notes, units
from .command import Failure
from .resp import Connection, RedisError
from .transaction import fill

PAUSE_MILLISECONDS = 30_000  # ends by itself should this process die; lifted much earlier
CANDIDATE_SECONDS = 40  # Sentinel asks a server every 10 s, and sees one as down for a while
RECENT_MILLISECONDS = 3_000
CAUGHT_UP_SECONDS = 10
ACCEPT_SECONDS = 5
SWITCH_SECONDS = 20
BACK_SECONDS = 60
POLL_SECONDS = 0.05


def restart(document: dict[str, Any]) -> None:
    """Restart the server on `port`; if it is the master, a replica takes over before.

    Raises:
        Failure: no replica caught up or was promoted in time (the server then runs on as it
            was), or the server did not come back.
    """
    port, unit = document["port"], document["unit"]
    try:
        with redis.connect(port) as connection:
            if connection.call("ROLE")[0] == "master" and document["replicas"]:
                _hand_over(connection, document)
    except RedisError as error:
        raise Failure(f"Redis on port {port} was not restarted: {error}") from error
    _edit(Path(f"/etc/redis/redis-{port}.conf"), redis_notes.remembered(port))
    units.activate(unit, "restart")
    if not _until(lambda: not redis.check_instance({"port": port}), BACK_SECONDS):
        problem = redis.check_instance({"port": port})
        raise Failure(f"{unit} was restarted, but {problem}", units.journal(unit))
    redis_notes.forget(port)


def _hand_over(master: Connection, document: dict[str, Any]) -> None:
    with _sentinel(document["sentinels"]) as sentinel:
        name = document["name"]
        # A replica that was just restarted is no candidate until Sentinel has heard of it again.
        if not _until(lambda: _has_candidate(sentinel, name), CANDIDATE_SECONDS):
            raise RedisError(f"Sentinel sees no replica fit to take over in {CANDIDATE_SECONDS} s")
        master.call("CLIENT", "PAUSE", PAUSE_MILLISECONDS, "WRITE")
        try:
            _wait_for_a_replica(master, document["replicas"])
            address, port = _fail_over(sentinel, name, (document["address"], document["port"]))
            master.call("REPLICAOF", address, port)
        finally:
            master.call("CLIENT", "UNPAUSE")
    # Clients that stay connected would go on with a server that takes no writes any more.
    master.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def _has_candidate(sentinel: Connection, name: str) -> bool:
    """Whether a replica is linked to the master and not seen as down, as Sentinel requires."""
    replicas = map(redis.as_dict, sentinel.call("SENTINEL", "REPLICAS", name))
    return any(
        replica["flags"] == "slave"
        and replica["master-link-status"] == "ok"
        and int(replica["last-ok-ping-reply"]) < RECENT_MILLISECONDS
        for replica in replicas
    )


def _fail_over(sentinel: Connection, name: str, old: tuple[str, int]) -> tuple[str, int]:
    """Have the Sentinels promote a replica; the new master."""
    deadline = time.monotonic() + ACCEPT_SECONDS
    while True:
        try:
            sentinel.call("SENTINEL", "FAILOVER", name)
            break
        except RedisError as error:
            if "NOGOODSLAVE" not in str(error) or time.monotonic() >= deadline:
                raise
            time.sleep(POLL_SECONDS)
    if not _until(lambda: _named(sentinel, name) != old, SWITCH_SECONDS):
        raise RedisError(f"the Sentinels promoted none within {SWITCH_SECONDS} s")
    return _named(sentinel, name)


def _wait_for_a_replica(master: Connection, replicas: list[list[Any]]) -> None:
    """Until one replica has everything the paused master has."""
    offset = int(redis.info(master, "replication")["master_repl_offset"])

    def caught_up() -> bool:
        return any(_offset(address, port) >= offset for address, port in replicas)

    if not _until(caught_up, CAUGHT_UP_SECONDS):
        raise RedisError(f"no replica has caught up within {CAUGHT_UP_SECONDS} s")


def _offset(address: str, port: int) -> int:
    try:
        with redis.connect(port, address) as connection:
            replication = redis.info(connection, "replication")
    except RedisError:
        return -1
    linked = replication.get("master_link_status") == "up"
    return int(replication["slave_repl_offset"]) if linked else -1


def _sentinel(sentinels: list[list[Any]]) -> Connection:
    for address, port in sentinels:
        try:
            return redis.connect_sentinel(port, address)
        except RedisError:
            continue
    raise RedisError("no Sentinel answers")


def _named(sentinel: Connection, name: str) -> tuple[str, int]:
    address, port = sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
    return address, int(port)


def _edit(configuration: Path, directives: dict[str, str]) -> None:
    """Set directives in Redis' own file, just before it is read: a running Redis rewrites it."""
    text = configuration.read_text()
    for directive, value in directives.items():
        line = f"{directive} {value}"
        pattern = re.compile(rf"^{re.escape(directive)}\s.*$", re.MULTILINE)
        if pattern.search(text):
            text = pattern.sub(line.replace("\\", r"\\"), text)
        else:
            text += f"{line}\n"
    status = configuration.stat()
    owner = (status.st_uid, status.st_gid)
    fill(configuration, text.encode(), owner, status.st_mode & 0o7777).replace(configuration)


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
