"""The operations of all deploys: each compares facts with what is wanted, sends what differs.

One operation handles one component of a host, so that a run that changes nothing stays short.
"""

import json
from collections.abc import Callable, Generator, Iterable
from typing import Any

from pyinfra import logger
from pyinfra.api.command import FunctionCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host, state

from deploys.engine import bootstrap, tools
from deploys.engine.release import Release
from deploys.engine.resources import (
    Check,
    ConfigSet,
    Facts,
    Instance,
    RedisCommands,
    why_install,
)
from deploys.engine.run import SECTIONS, ask, current_run, here, refresh
from stellwerk.database.statement import Statement, psql_script

Commands = Generator[StringCommand | FunctionCommand, None, None]
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
        if run.roll_failed:
            host.noop("left as it is, as another restart failed")
            return
        run.roll_failed = state.is_executing  # until the host says otherwise
        yield _tool("restart-redis", request, f"restarting the Redis on port {request['port']}")
        run.roll_failed = False
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
    current_run().released.add(host.name)


@operation()
def start_instances(
    wanted: Iterable[Instance], absent: Callable[[Facts], Iterable[str]], concerned: bool
) -> Commands:
    """Start the instances that do not run, all at once, and stop those that are not wanted."""
    if not concerned:
        return
    facts = _fresh("instances")["instances"]
    starting = [one for one in wanted if not _runs(one, facts)]
    gone = sorted(absent(facts))
    if not starting and not gone:
        host.noop("all instances run")
        return
    document = {"instances": [one.document() for one in starting], "absent": gone}
    yield _tool("start", document, f"{len(starting)} instances to start, {len(gone)} to stop")
    _changed()


@operation()
def roll_instances(wanted: Iterable[Instance], prefix: str, concerned: bool) -> Commands:
    """Restart one after the other what runs an old generation; a failure ends it everywhere (C6).

    A release that came with this run is then given up on every host. To be run serially: pyinfra
    itself would go on with the next host after a failure.
    """
    run = current_run()
    fall_back = host.name in run.released
    if run.roll_failed and fall_back:
        yield _tool("fall-back", {"prefix": prefix}, "back to the release of before")
        return
    if not concerned:
        return
    facts = _fresh("instances")["instances"]
    outdated = [
        one for one in wanted if facts.get(one.name, {}).get("generation") != one.generation
    ]
    if run.roll_failed or not outdated:
        host.noop("left as they are" if run.roll_failed else "all instances run their generation")
        return
    run.roll_failed = state.is_executing  # until the host says otherwise
    document = {
        "instances": [one.document() for one in outdated],
        "prefix": prefix,
        "fall_back": fall_back,
    }
    yield _tool("roll", document, f"rolling {', '.join(one.name for one in outdated)}")
    run.roll_failed = False
    _changed()


def _runs(instance: Instance, facts: Facts) -> bool:
    return bool(facts.get(instance.name, {}).get("ActiveState") == "active")


@operation()
def verify(checks: Iterable[Check]) -> Commands:
    """Every check holds within its time, or the run fails and shows the units' journals.

    Nothing is changed, so a host where all is well counts as unchanged.
    """
    run = current_run()
    if not state.is_executing:
        return
    wanted = [dict(check) for check in checks]
    request = json.dumps({"checks": wanted, "seconds": VERIFY_SECONDS})
    failures = json.loads(ask(f"{tools.RUN} verify", request))
    count = run.commands[here().declared.name]
    if not failures:
        logger.info(f"{host.print_prefix}{len(wanted)} checks hold; {count} remote commands")
        return
    for failure in failures:
        logger.error(f"{host.print_prefix}{failure['problem']}")
        for line in failure["journal"].splitlines():
            logger.error(f"{host.print_prefix}    {line}")
    # pyinfra heeds what a function returns only if it takes these two.
    yield FunctionCommand(lambda state, host: False, (), {})  # noqa: ARG005
