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
from stellwerk.database.statement import Statement, psql_script

from deploys.engine import tools
from deploys.engine.release import Release
from deploys.engine.resources import (
    Check,
    ConfigSet,
    Facts,
    Instance,
    RedisCommands,
    why_install,
)
from deploys.engine.run import ask, current_run, here, refresh

Commands = Generator[StringCommand | FunctionCommand, None, None]
PYTHON_PACKAGE = "python3"
VERIFY_SECONDS = 60  # a replica's first sync and a balancer's health checks end well within this


def _tool(name: str, document: dict[str, Any], what: str) -> StringCommand:
    """One request to the host's tools; what it carries goes through standard input, unseen."""
    logger.info(f"{host.print_prefix}{what}")
    return StringCommand(f"{tools.RUN} {name}", _stdin=json.dumps(document))


def _changed() -> None:
    current_run().changed.add(host.name)


def _fresh(*sections: str) -> Facts:
    """Facts as they are now: read again where this run has already changed the host."""
    if state.is_executing and host.name in current_run().changed:
        refresh(*sections)
    return here().facts


@operation()
def install_tools(lock_timeout_seconds: int) -> Commands:
    """Put python3 and the tools of the other operations on the host."""
    facts = here().facts
    if facts["tools"]:
        host.noop("the tools are there")
        return
    wait = f"-o DPkg::Lock::Timeout={lock_timeout_seconds}"
    yield StringCommand(
        f"[ -x /usr/bin/python3 ] || {{ apt-get -q {wait} update && DEBIAN_FRONTEND=noninteractive"
        f" apt-get -q -y {wait} install --no-install-recommends {PYTHON_PACKAGE}; }}"
        " >/var/log/stellwerk-packages.log 2>&1"
        " || { tail -n 3 /var/log/stellwerk-packages.log >&2; exit 1; }"
    )
    yield StringCommand(tools.install_command(), _stdin=tools.archive())
    _changed()
    refresh()


@operation()
def install_packages(
    packages: Iterable[str], masked: Iterable[str], lock_timeout_seconds: int
) -> Commands:
    """Install the missing packages in one go; `masked` units never run with Debian's defaults."""
    wanted = set(packages)
    missing = wanted - here().facts["packages"].keys()
    if not missing:
        host.noop("all packages are installed")
        return
    document = {
        "packages": sorted(wanted),
        "masked": sorted(masked),
        "lock_timeout_seconds": lock_timeout_seconds,
    }
    yield _tool("packages", document, f"installing {len(missing)} packages")
    _changed()
    refresh()


@operation()
def install_configs(configs: Iterable[ConfigSet]) -> Commands:
    """Make each configuration the active one, in order; the first that fails ends it."""
    for config in configs:
        reason = why_install(config, here().facts)
        if not reason:
            host.noop(f"{config.name} is active")
            continue
        yield _tool("install", config.document(), f"{config.name}: {reason}")
        _changed()


@operation()
def converge_redis(plan: Callable[[Facts], Iterable[RedisCommands]]) -> Commands:
    """Set on running Redis servers and Sentinels what differs from the settings (C3)."""
    for commands in plan(_fresh("redis", "sentinel")):
        names = ", ".join(str(command[-2]) for command in commands.commands)
        yield _tool("redis", commands.document(), f"port {commands.port}: {names}")
        _changed()


@operation()
def converge_postgresql(plan: Callable[[Facts], Iterable[Statement]], what: str) -> Commands:
    """Run the statements that bring roles and databases to the settings (C4)."""
    statements = list(plan(_fresh("postgresql")["postgresql"]))
    if not statements:
        host.noop(f"{what} are as wanted")
        return
    summaries = "; ".join(one.summary for one in statements)
    yield _tool("postgresql", {"script": psql_script(statements)}, f"{what}: {summaries}")
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
def converge_instances(
    wanted: Iterable[Instance], absent: Callable[[Facts], Iterable[str]]
) -> Commands:
    """Start, restart and stop service instances; nothing more after one failed anywhere (C6)."""
    run = current_run()
    if run.failed:
        host.noop("an instance on another host failed, so this one is left as it is")
        return
    facts = _fresh("instances")["instances"]
    differing = [
        one
        for one in wanted
        if facts.get(one.name, {}).get("generation") != one.generation
        or facts[one.name].get("ActiveState") != "active"
    ]
    gone = sorted(absent(facts))
    if not differing and not gone:
        host.noop("all instances run")
        return
    document = {"instances": [one.document() for one in differing], "absent": gone}
    run.failed = True  # until the host says otherwise: pyinfra would go on to the next one
    yield _tool("instances", document, f"instances: {len(differing)} to start, {len(gone)} to stop")
    run.failed = False
    _changed()


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
    yield FunctionCommand(lambda: False, (), {})
