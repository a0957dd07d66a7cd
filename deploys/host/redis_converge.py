"""Settings for a Redis or Sentinel that runs: all or none, and kept only if it stays well."""

import re
import time
from typing import Any

from . import redis, redis_candidate, redis_notes
from .command import Failure
from .paths import CREDENTIALS
from .resp import Connection, RedisError

HEALTH_SECONDS = 1  # nothing starts here: what is wrong is wrong at once
POLL_SECONDS = 0.1
_ARGUMENT = re.compile(r"argument '([^']+)'")

Values = dict[str, str]


def converge(document: dict[str, Any]) -> None:
    """Give one Redis its settings, or one Sentinel its commands.

    A value or word that is `{"secret": NAME}` is read from this host's credentials.

    Raises:
        Failure: one was refused, or Redis was not healthy with them; it then runs on as before.
    """
    port = document["port"]
    try:
        if document["sentinel"]:
            _command_sentinel(port, document["commands"])
        else:
            _set(port, document)
    except RedisError as error:
        who = "Sentinel" if document["sentinel"] else "Redis"
        raise Failure(f"{who} on port {port}: {error}") from error


def _set(port: int, document: dict[str, Any]) -> None:
    wanted = {name: _read(value) for name, value in document["settings"].items()}
    wanted |= redis_candidate.defaults(document["to_default"])
    with redis.connect(port) as connection, redis_notes.saving(port):
        if wanted:
            _set_together(connection, port, wanted)
        connection.call("CONFIG", "REWRITE")
        redis_notes.declare(port, document["parameters"])


def _set_together(connection: Connection, port: int, wanted: Values) -> None:
    was_well = not redis.check_instance({"port": port})
    before = connection.pairs("CONFIG", "GET", *wanted)
    as_wanted = [name for name, value in wanted.items() if before.get(name) == value]
    redis_notes.forget(port, as_wanted)
    differing = {name: value for name, value in wanted.items() if name not in as_wanted}
    live = _set_live(connection, port, differing)
    problem = _problem(port) if live and was_well else ""
    if problem:
        # By the connection that is open: a new one may be just what is impossible now.
        connection.call("CONFIG", "SET", *_flat({name: before[name] for name in live}))
        raise Failure(
            f"Redis on port {port} was not healthy with {', '.join(live)} ({problem}), so it"
            " runs with the values of before",
            redis.log_of(port),
        )


def _set_live(connection: Connection, port: int, wanted: Values) -> Values:
    """Set everything at once; what Redis takes only at its start is noted for a restart."""
    left = dict(wanted)
    while left:
        try:
            connection.call("CONFIG", "SET", *_flat(left))
            break
        except RedisError as error:
            named = _ARGUMENT.search(str(error))
            if "immutable" not in str(error) or not named or named[1] not in left:
                raise Failure(
                    f"Redis on port {port} runs on as before, as it refuses its settings: {error}"
                ) from error
            redis_notes.remember(port, named[1], left.pop(named[1]))
    return left


def _problem(port: int) -> str:
    """Why the server is not healthy for a client that connects now; empty where it is."""
    deadline = time.monotonic() + HEALTH_SECONDS
    while (problem := redis.check_instance({"port": port})) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return problem


def _command_sentinel(port: int, commands: list[list[Any]]) -> None:
    with redis.connect_sentinel(port) as connection:
        for command in commands:
            try:
                connection.call(*map(_read, command))
            except RedisError as error:
                raise Failure(
                    f"Sentinel on port {port} refuses {_shown(command)}: {error}"
                ) from error


def _read(word: Any) -> str:
    if isinstance(word, dict):
        return (CREDENTIALS / str(word["secret"])).read_text()
    return str(word)


def _flat(values: Values) -> list[str]:
    return [word for pair in values.items() for word in pair]


def _shown(command: list[Any]) -> str:
    return " ".join("***" if isinstance(word, dict) else str(word) for word in command)
