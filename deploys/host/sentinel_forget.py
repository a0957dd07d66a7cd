"""Having a Sentinel forget other Sentinels and replicas that are gone for good.

They would count for the majority that a failover takes. SENTINEL RESET is the one way, and it makes
the Sentinel forget everybody: it has time to meet again who lives, before the next one is told.
"""

from typing import Any

from . import redis
from .command import Failure
from .redis_failover import until
from .resp import Connection, RedisError

CALM_SECONDS = 30  # a failover that is under way ends within this, or has failed
MEET_SECONDS = (
    30  # Sentinels announce themselves every 2 s, and a master tells its replicas at once
)


def forget(document: dict[str, Any]) -> None:
    """Reset what the Sentinel on `port` knows of the master `name`, to be rid of `gone`.

    + document: `gone` lists address, port and id, as `known` has them, of each that is gone

    Raises:
        Failure: the master is down or a failover is under way (nothing was done), or the Sentinel
            did not meet the others again in time.
    """
    port, name = document["port"], document["name"]
    try:
        with redis.connect_sentinel(port) as connection:
            if not until(lambda: not _trouble(connection, name), CALM_SECONDS):
                raise Failure(
                    f"Sentinel on port {port} sees the master {name} as"
                    f" {_trouble(connection, name)}, so it was left as it is; run again when the"
                    " cluster is well"
                )
            staying = _living(connection, name) - {tuple(one) for one in document["gone"]}
            connection.call("SENTINEL", "RESET", name)
            if not until(lambda: staying <= _living(connection, name), MEET_SECONDS):
                missing = staying - _living(connection, name)
                listed = ", ".join(f"{address}:{at}" for address, at, _ in sorted(missing))
                raise Failure(
                    f"Sentinel on port {port} was reset and has not met {listed} again within"
                    f" {MEET_SECONDS} s; look at its log in /var/log/redis"
                )
            connection.call("SENTINEL", "CKQUORUM", name)
            connection.call("SENTINEL", "FLUSHCONFIG")
    except RedisError as error:
        raise Failure(f"Sentinel on port {port}: {error}") from error


def _trouble(connection: Connection, name: str) -> str:
    """The flags of a master that is down or fails over; empty where it is well."""
    flags = redis.as_dict(connection.call("SENTINEL", "MASTER", name))["flags"]
    return "" if flags == "master" else str(flags)


def _living(connection: Connection, name: str) -> set[tuple[str, ...]]:
    return {
        (one["ip"], one["port"], one["id"])
        for one in redis.known(connection, name)
        if one["flags"] in ("sentinel", "slave")
    }
