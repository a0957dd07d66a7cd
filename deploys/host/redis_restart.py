"""Restarting a Redis for directives it takes only at its start, without losing a write."""

import re
from pathlib import Path
from typing import Any

from . import redis, redis_candidate, redis_notes, units
from .command import Failure
from .paths import STAGING, make_private
from .redis_failover import hand_over, until
from .resp import RedisError
from .transaction import fill

BACK_SECONDS = 60

Directives = dict[str, str]


def restart(document: dict[str, Any]) -> None:
    """Restart the server on `port` with `directives`; if it is the master, a replica takes over.

    Those that wait no more are left out: a run that was cut short may have ended here meanwhile.

    Raises:
        Failure: Redis would not start with them, no replica took over in time, or it was not
            healthy with them. It then runs as it was before.
    """
    port = document["port"]
    waiting = redis_notes.remembered(port)
    directives = {name: it for name, it in document["directives"].items() if name in waiting}
    if not directives:
        return
    configuration = redis.configuration_of(port)
    _try(port, configuration, directives)
    try:
        with redis.connect(port) as connection:
            if connection.call("ROLE")[0] == "master" and document["replicas"]:
                hand_over(connection, document)
    except RedisError as error:
        raise Failure(f"Redis on port {port} was not restarted: {error}") from error
    before = configuration.read_text()
    _replace(configuration, edited(before, directives))
    problem = _start(document["unit"], port)
    if problem:
        said = redis.log_of(port)
        redis_notes.forget(port)
        _replace(configuration, before)
        again = _start(document["unit"], port)
        outcome = f", and not with the values of before either: {again}" if again else ""
        raise Failure(
            f"Redis on port {port} was not healthy with {_named(directives)} ({problem}), so it was"
            f" started with the values of before{outcome}",
            said,
        )
    redis_notes.forget(port)


def _try(port: int, configuration: Path, directives: Directives) -> None:
    """Ask a throw-away server first: the real one would already be stopped."""
    candidate = make_private(STAGING) / configuration.name
    try:
        _fill_like(configuration, candidate, edited(configuration.read_text(), directives))
        refusal = redis_candidate.refusal(candidate)
    finally:
        candidate.unlink(missing_ok=True)
    if refusal:
        redis_notes.forget(port)
        raise Failure(
            f"Redis on port {port} runs on as before, as it would not start with"
            f" {_named(directives)}",
            refusal.replace(str(candidate), str(configuration)),
        )


def _start(unit: str, port: int) -> str:
    """Restart the unit and wait until Redis is well; what is wrong where it is not."""
    try:
        units.activate(unit, "restart")
    except Failure as failure:
        return str(failure)
    if until(lambda: not redis.check_instance({"port": port}), BACK_SECONDS):
        return ""
    return redis.check_instance({"port": port})


def edited(text: str, directives: Directives) -> str:
    """Redis' own file with directives set."""
    for directive, value in directives.items():
        line = f"{directive} {value}"
        pattern = re.compile(rf"^{re.escape(directive)}\s.*$", re.MULTILINE)
        if pattern.search(text):
            text = pattern.sub(line.replace("\\", r"\\"), text)
        else:
            text = f"{text.rstrip()}\n{line}\n"
    return text


def _replace(configuration: Path, text: str) -> None:
    """Done just before Redis reads the file: a running one rewrites it."""
    _fill_like(configuration, configuration, text)


def _fill_like(model: Path, path: Path, text: str) -> None:
    status = model.stat()
    owner = (status.st_uid, status.st_gid)
    fill(path, text.encode(), owner, status.st_mode & 0o7777).replace(path)


def _named(directives: Directives) -> str:
    return ", ".join(f"{name} {value}" for name, value in directives.items())
