"""Taking a Redis server or a Sentinel off this host, when its group no longer has the host.

A master hands over before. What Redis has stored stays in its folder, for the operator to remove;
passwords go with all that the host needs no more, by `removal`.
"""

from pathlib import Path
from typing import Any

from . import redis, redis_notes, stamps, units
from .command import Failure, run, run_or_fail
from .redis_failover import hand_over
from .resp import RedisError


def remove(document: dict[str, Any]) -> None:
    """Stop the unit for good and delete its `files` and `stamps`.

    + document: for a Redis server also what `hand_over` needs

    Raises:
        Failure: no replica took over from a master in time; it then serves on.
    """
    unit, port = document["unit"], document["port"]
    if document.get("replicas") and units.is_active(unit):
        try:
            with redis.connect(port) as connection:
                if connection.call("ROLE")[0] == "master":
                    hand_over(connection, document)
        except RedisError as error:
            raise Failure(f"Redis on port {port} was not removed: {error}") from error
    run(["systemctl", "disable", "--quiet", unit])
    run_or_fail(["systemctl", "stop", unit], timeout=units.START_TIMEOUT_SECONDS)
    redis_notes.forget(port)
    for path in document["files"]:
        Path(path).unlink(missing_ok=True)
    for name in document["stamps"]:
        stamps.remove(name)
