"""A Redis master hands over to a replica without losing a write.

Writes are paused, the replicas have caught up, the Sentinels promote one, and the old master
follows it before writes go on. Without the pause and the immediate REPLICAOF an old master takes
writes for seconds that are then lost (redis#6062).
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from . import redis
from .resp import Connection, RedisError

CANDIDATE_SECONDS = 40  # Sentinel asks a server every 10 s, and sees one as down for a while
RECENT_MILLISECONDS = 3_000
CAUGHT_UP_SECONDS = 10
ACCEPT_SECONDS = 5
SWITCH_SECONDS = 20
# Lifted much earlier; should this process die after the promotion, the Sentinels have the old
# master follow the new one within 10 s, before writes that nobody else has are possible again.
PAUSE_MILLISECONDS = 1000 * (CAUGHT_UP_SECONDS + ACCEPT_SECONDS + SWITCH_SECONDS + 10)
POLL_SECONDS = 0.05

Endpoint = tuple[str, int]


def hand_over(master: Connection, document: dict[str, Any]) -> None:
    """Have a replica take over from the master that `master` is connected to.

    Where the Sentinels have promoted one already, as a hand-over was cut short, it follows that.

    + document: `name` of the master and `sentinels` that watch it, its `address` and `port`, and
      its `replicas`, of which those that are linked must have caught up: any may be promoted

    Raises:
        RedisError: no replica caught up or was promoted in time; the master serves on.
    """
    name, own = document["name"], (document["address"], document["port"])
    with _sentinel(document["sentinels"]) as sentinel:
        promoted = _promoted(document["sentinels"], name, own)
        # A replica that was just restarted is no candidate until Sentinel has heard of it again.
        if not promoted and not until(lambda: _has_candidate(sentinel, name), CANDIDATE_SECONDS):
            raise RedisError(f"Sentinel sees no replica fit to take over in {CANDIDATE_SECONDS} s")
        master.call("CLIENT", "PAUSE", PAUSE_MILLISECONDS, "WRITE")
        try:
            if not promoted:
                _wait_for_replicas(master, document["replicas"])
                promoted = _fail_over(sentinel, name, own)
            master.call("REPLICAOF", *promoted)
        finally:
            master.call("CLIENT", "UNPAUSE")
    # Kept, so that it does not come up as a second master from its restart.
    master.call("CONFIG", "REWRITE")
    # Clients that stay connected would go on with a server that takes no writes any more.
    master.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _has_candidate(sentinel: Connection, name: str) -> bool:
    """Whether a replica is linked to the master and not seen as down, as Sentinel requires."""
    replicas = map(redis.as_dict, sentinel.call("SENTINEL", "REPLICAS", name))
    return any(
        replica["flags"] == "slave"
        and replica["master-link-status"] == "ok"
        and int(replica["last-ok-ping-reply"]) < RECENT_MILLISECONDS
        for replica in replicas
    )


def _promoted(sentinels: list[list[Any]], name: str, old: Endpoint) -> Endpoint | None:
    """Who took over already: the master that most Sentinels name, if that is not the old one."""
    votes: Counter[Endpoint] = Counter()
    for address, port in sentinels:
        try:
            with redis.connect_sentinel(port, address) as sentinel:
                votes[_named(sentinel, name)] += 1
        except RedisError:
            continue
    agreed = [one for one, count in votes.items() if count > len(sentinels) // 2]
    return agreed[0] if agreed and agreed[0] != old else None


def _fail_over(sentinel: Connection, name: str, old: Endpoint) -> Endpoint:
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
    if not until(lambda: _named(sentinel, name) != old, SWITCH_SECONDS):
        raise RedisError(f"the Sentinels promoted none within {SWITCH_SECONDS} s")
    return _named(sentinel, name)


def _wait_for_replicas(master: Connection, replicas: list[list[Any]]) -> None:
    """Until each linked replica has everything the paused master has."""
    wanted = int(redis.info(master, "replication")["master_repl_offset"])

    def caught_up() -> bool:
        offsets = [_offset(address, port) for address, port in replicas]
        linked = [offset for offset in offsets if offset is not None]
        return bool(linked) and min(linked) >= wanted

    if not until(caught_up, CAUGHT_UP_SECONDS):
        raise RedisError(f"its replicas have not caught up within {CAUGHT_UP_SECONDS} s")


def _offset(address: str, port: int) -> int | None:
    """How far a replica is; None where it cannot be asked or has no link to its master."""
    try:
        with redis.connect(port, address) as connection:
            replication = redis.info(connection, "replication")
    except RedisError:
        return None
    linked = replication.get("master_link_status") == "up"
    return int(replication["slave_repl_offset"]) if linked else None


def _sentinel(sentinels: list[list[Any]]) -> Connection:
    for address, port in sentinels:
        try:
            return redis.connect_sentinel(port, address)
        except RedisError:
            continue
    raise RedisError("no Sentinel answers")


def _named(sentinel: Connection, name: str) -> Endpoint:
    address, port = sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
    return address, int(port)
