"""`python3 host COMMAND`: one JSON document on standard input, the answer on standard output.

The commands of `STEPS` take arguments instead: configurations call them when they are activated.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import (
    checks,
    facts,
    generations,
    kernel,
    look,
    nginx_process,
    nginx_upstreams,
    packages,
    pin,
    postgresql,
    record,
    redis,
    redis_candidate,
    redis_converge,
    redis_removal,
    redis_restart,
    redis_users,
    release,
    removal,
    run_lock,
    sentinel_forget,
    transaction,
)
from .command import Failure, sentence_of
from .lock import host_lock
from .resp import RedisError

CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "packages": packages.install,
    "install": transaction.install_all,
    "redis": redis_converge.converge,
    "restart-redis": redis_restart.restart,
    "remove-redis": redis_removal.remove,
    "forget": sentinel_forget.forget,
    "postgresql": postgresql.execute,
    "restart-postgresql": postgresql.restart,
    "release": release.install,
    "program": release.install_program,
    "remove-instances": pin.remove_instances,
    "remove": removal.remove,
}

ANSWERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "facts": facts.gather,
    "query": lambda request: json.loads(postgresql.psql(request["script"])),
    "verify": lambda request: checks.all_failures(request["checks"], request["seconds"]),
    "look": look.look,
    "lease": run_lock.lease,
    "release-run": run_lock.release,
}

STEPS: dict[str, Callable[[list[str]], int]] = {
    "kernel": lambda words: kernel.apply(Path(words[0])),
    "try-redis": lambda words: redis_candidate.check(Path(words[0])),
    "load-redis-users": lambda _: redis_users.load(),
    "renew-redis-certificate": lambda _: redis.renew_certificate(),
    "tell-sentinel": lambda words: redis.tell_sentinel(int(words[0]), words[1]),
    "activate-postgresql": lambda words: postgresql.activate(words[0], words[1] == "may-restart"),
    "reload-nginx": lambda _: nginx_process.reload(),
    "nginx-upstreams": lambda _: nginx_upstreams.apply(),
    "pin": lambda words: pin.pin(words[0]),
    "unpin": lambda words: pin.unpin(words[0]),
    "record": lambda words: _record(json.loads(words[0])),
    "prune-generations": lambda words: generations.prune(int(words[0]), set(words[1:])),
}


def main() -> int:
    """Run one command; a failure is one sentence on standard error and exit 1."""
    command = sys.argv[1]
    try:
        if command in STEPS:
            return STEPS[command](sys.argv[2:])
        document = _request()
        if command in ANSWERS:
            print(json.dumps(ANSWERS[command](document)))
            return 0
        if command == "hold":
            return run_lock.hold(document)
        _change(command, document)
    except Failure as failure:
        print(*filter(None, (failure.detail, str(failure))), sep="\n", file=sys.stderr)
        return 1
    except RedisError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{command}: {sentence_of(error)}", file=sys.stderr)
        return 1
    return 0


def _change(command: str, document: dict[str, Any]) -> None:
    """Do it for the run that holds the lock, and write down what came of it."""
    run, step = document["run"], document["step"]
    with host_lock(f"{command} {step['operation']}"):
        run_lock.require(run)
        _begin(run)
        began = record.now()
        try:
            CHANGES[command](document)
        except (Failure, RedisError) as error:
            record.changed(run, step, began, error=str(error))
            raise
        except OSError as error:
            record.changed(run, step, began, error=sentence_of(error))
            raise
        record.changed(run, step, began)


def _begin(run: str) -> None:
    if about := run_lock.first_of_run(run):
        record.begun(about)


def _record(document: dict[str, Any]) -> int:
    """Write down what was done without these tools, as they were not here yet."""
    _begin(document["run"])
    record.changed(document["run"], document["step"], record.now())
    return 0


def _request() -> dict[str, Any]:
    try:
        return dict(json.load(sys.stdin))
    except ValueError as error:
        raise Failure(
            "the run that sent this was interrupted; nothing was changed, run again"
        ) from error
