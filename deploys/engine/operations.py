"""The operations of all deploys: each compares facts with what is wanted, sends what differs.

One operation handles one component of a host, so that a run that changes nothing stays short.
"""

import json
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any

from pyinfra import logger
from pyinfra.api.command import FunctionCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host, state

from deploys.components.declaration import Wanted
from deploys.components.programs import ServiceProgram, is_on
from deploys.components.progress import Progress, is_over
from deploys.engine import bootstrap, tools
from deploys.engine.resources import (
    Check,
    ConfigSet,
    Facts,
    RedisCommands,
    why_install,
)
from deploys.engine.run import SECTIONS, ask, current_run, here, refresh
from deploys.engine.tree import Release
from deploys.engine.waiting import Effects, follow
from stellwerk.database.statement import Statement, psql_script

Commands = Generator[StringCommand | FunctionCommand, None, None]
WAIT_SECONDS = 1.0  # between two looks at the ledger
ANSWER_SECONDS = 5  # a process that systemd starts anew answers again within this
VERIFY_SECONDS = 60  # a replica's first sync and a balancer's health checks end well within this


def _tool(name: str, document: dict[str, Any], what: str) -> StringCommand:
    """One request to the host's tools; what it carries goes through standard input, unseen."""
    logger.info(f"{host.print_prefix}{what}")
    return StringCommand(f"{tools.RUN} {name}", _stdin=json.dumps(document))


def _changed() -> None:
    """The present host is not what it was: facts of it that matter are to be read again."""
    current_run().stale[host.name] = set(SECTIONS)


def _fresh(*sections: str) -> Facts:
    """Facts as they are now: read again where this run has changed the host since."""
    stale = current_run().stale[host.name]
    if state.is_executing and stale.intersection(sections):
        refresh(*sections)
    return here().facts


@operation()
def install_packages(
    packages: Iterable[str], masked: Iterable[str], lock_timeout_seconds: int
) -> Commands:
    """Put the missing packages and the tools of the other operations on the host.

    A host without python3 gets it in the same go, by the shell. `masked` units never run with
    Debian's own settings.
    """
    wanted = sorted(set(packages))
    if here().facts["bare"]:
        logger.info(f"{host.print_prefix}installing {len(wanted)} packages and what they need")
        yield StringCommand(bootstrap.install_command(wanted, sorted(masked), lock_timeout_seconds))
        _changed()
    if not here().facts["tools"]:
        yield StringCommand(tools.install_command(), _stdin=tools.archive())
        _changed()
        refresh()
    missing = set(wanted) - here().facts["packages"].keys()
    if not missing:
        host.noop("tools and packages are there")
        return
    document = {
        "packages": wanted,
        "masked": sorted(masked),
        "lock_timeout_seconds": lock_timeout_seconds,
    }
    yield _tool("packages", document, f"installing {', '.join(sorted(missing))}")
    _changed()
    refresh()


@operation()
def install_configs(configs: Iterable[ConfigSet]) -> Commands:
    """Make each configuration the active one, in order; the first that fails ends it."""
    reasons = [(config, why_install(config, here().facts)) for config in configs]
    wanted = [(config, reason) for config, reason in reasons if reason]
    if not wanted:
        host.noop("all configurations are active")
        return
    what = "; ".join(f"{config.name}: {reason}" for config, reason in wanted)
    yield _tool("install", {"configs": [config.document() for config, _ in wanted]}, what)
    _changed()


@operation()
def converge_redis(plan: Callable[[Facts], Iterable[RedisCommands]] | None) -> Commands:
    """Set on running Redis servers and Sentinels what differs from the settings (C3)."""
    if plan is None:
        return
    for commands in plan(_fresh("redis", "sentinel")):
        names = ", ".join(str(command[-2]) for command in commands.commands)
        yield _tool("redis", commands.document(), f"port {commands.port}: {names}")
        _changed()


@operation()
def restart_redis(plan: Callable[[Facts], Iterable[dict[str, Any]]] | None) -> Commands:
    """Restart the servers that wait for it, one at a time; a master hands over before (C3).

    To be run serially, replicas before the master.
    """
    if plan is None:
        return
    run = current_run()
    for request in plan(_fresh("redis")):
        if run.restart_failed:
            host.noop("left as it is, as another restart failed")
            return
        run.restart_failed = state.is_executing  # until the host says otherwise
        yield _tool("restart-redis", request, f"restarting the Redis on port {request['port']}")
        run.restart_failed = False
        _changed()


@operation()
def converge_postgresql(plan: Callable[[Facts], Iterable[Statement]] | None, what: str) -> Commands:
    """Run the statements that bring roles and databases to the settings (C4)."""
    if plan is None:
        return
    statements = list(plan(_fresh("postgresql")["postgresql"]))
    if not statements:
        host.noop(f"{what} are as wanted")
        return
    summaries = "; ".join(one.summary for one in statements)
    yield _tool("postgresql", {"script": psql_script(statements)}, f"{what}: {summaries}")
    _changed()


@operation()
def restart_postgresql(
    pending: Callable[[Facts], Iterable[str]] | None, unit: str, allowed: bool
) -> Commands:
    """Name the settings that wait for a restart, and restart where that is allowed (C4)."""
    if pending is None:
        return
    names = list(pending(_fresh("postgresql")["postgresql"]))
    if not names:
        host.noop("no setting waits for a restart")
        return
    if not allowed:
        logger.warning(
            f"{host.print_prefix}PostgreSQL waits for a restart to apply {', '.join(names)};"
            " set postgresql.allow_restart to have it"
        )
        return
    logger.info(f"{host.print_prefix}restarting PostgreSQL for {', '.join(names)}")
    yield StringCommand(f"{tools.RUN} activate-postgresql {unit} may-restart")
    _changed()


@operation()
def install_release(release: Release, keep: int) -> Commands:
    """Put the runtime on the host and switch to it (C7)."""
    present = here().facts["release"]
    if present and present["current"] == release.name:
        host.noop(f"release {release.name} is in use")
        return
    document = {
        "name": release.name,
        "prefix": release.prefix,
        "keep": keep,
        "archive": "" if release.name in present.get("releases", ()) else release.archive(),
    }
    yield _tool("release", document, f"release {release.name}")
    _changed()


@operation()
def install_programs(programs: Iterable[ServiceProgram], keep: int) -> Commands:
    """Put the releases of services' programs on the host; the agents start instances of them."""
    missing = [one for one in programs if not is_on(here().facts, one)]
    if not missing:
        host.noop("all programs' releases are there")
        return
    for one in missing:
        yield _tool("program", one.document(keep), f"{one.service}: release {one.release.name}")
        _changed()


@operation()
def wait_for_instances(
    wanted: Callable[[], Wanted] | None, progress: Callable[[Wanted], Sequence[Progress]]
) -> Commands:
    """Wait until the agents have done what the ledger says, where they have not yet (C6).

    Nothing is changed, so a host where there is nothing to wait for counts as unchanged.
    """
    if wanted is None or not state.is_executing:
        return
    present = _fresh("postgresql")["postgresql"]
    if is_over(here().run.cluster, present):
        host.noop("all instances run as declared")
        return
    if "error" in present:
        logger.error(f"{host.print_prefix}what runs is not known: {present['error']}; run again")
        yield _failure()
        return
    declared, start = wanted(), time.monotonic()
    effects = Effects(
        poll=lambda: progress(declared),
        say=lambda line: logger.info(f"{host.print_prefix}{line}"),
        elapsed=lambda: time.monotonic() - start,
        pause=lambda: time.sleep(WAIT_SECONDS),
    )
    patience = {
        name: float(one.rollout.progress_timeout_seconds) for name, one in declared.services.items()
    }
    reasons = follow(effects, patience)
    refresh("postgresql")
    for line in reasons:
        logger.error(f"{host.print_prefix}{line}")
    if reasons:
        yield _failure()


@operation()
def remove_instances(names: Iterable[str]) -> Commands:
    """Stop instances whose service or port is not declared any more: no agent knows them."""
    gone = list(names)
    if not gone:
        host.noop("every instance is declared")
        return
    yield _tool("remove-instances", {"instances": gone}, f"stopping {', '.join(gone)}")
    _changed()


@operation()
def try_health_paths(checks: Callable[[], Iterable[Check]]) -> Commands:
    """Instances answer where their health is to be asked, or the run ends before it is asked there.

    Nothing is changed.
    """
    wanted = list(checks()) if state.is_executing else []
    if not wanted:
        return
    failures = _failures(wanted, ANSWER_SECONDS)
    for failure in failures:
        logger.error(
            f"{host.print_prefix}{failure['unit'].removesuffix('.service')}: {failure['problem']},"
            " so its health is asked where it was; roll out a program that answers there too, then"
            " change health_path"
        )
    if failures:
        yield _failure()


def _failures(checks: Iterable[Check], seconds: float) -> list[dict[str, str]]:
    """The checks that do not hold on the present host within their time."""
    request = json.dumps({"checks": [dict(check) for check in checks], "seconds": seconds})
    return list(json.loads(ask(f"{tools.RUN} verify", request)))


def _failure() -> FunctionCommand:
    """What makes an operation fail that has said why."""
    # pyinfra heeds what a function returns only if it takes these two.
    return FunctionCommand(lambda state, host: False, (), {})  # noqa: ARG005


@operation()
def verify(checks: Callable[[], Iterable[Check]]) -> Commands:
    """Every check holds within its time, or the run fails and shows the units' journals.

    `checks` is called at the end, when it is known what runs where. Nothing is changed, so a host
    where all is well counts as unchanged.
    """
    run = current_run()
    if not state.is_executing:
        return
    wanted = list(checks())
    failures = _failures(wanted, VERIFY_SECONDS)
    count = run.commands[here().declared.name]
    if not failures:
        logger.info(f"{host.print_prefix}{len(wanted)} checks hold; {count} remote commands")
        return
    for failure in failures:
        logger.error(f"{host.print_prefix}{failure['problem']}")
        for line in failure["journal"].splitlines():
            logger.error(f"{host.print_prefix}    {line}")
    yield _failure()
