"""The operations of all deploys: each compares facts with what is wanted, sends what differs.

One operation handles one component of a host, so that a run that changes nothing stays short.
"""

import json
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pyinfra import logger
from pyinfra.api.command import FunctionCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host, state

from deploys.components.declaration import Wanted
from deploys.components.passwords import Use, longest
from deploys.components.programs import ServiceProgram, is_on
from deploys.components.progress import Progress, is_over, services_that_leave
from deploys.components.removal import Removal
from deploys.engine import bootstrap, tools
from deploys.engine.changes import (
    Change,
    Effect,
    Later,
    Verb,
    config_change,
    redis_change,
)
from deploys.engine.invocation import Refused
from deploys.engine.resources import (
    Check,
    ConfigSet,
    Facts,
    RedisRequest,
    why_install,
)
from deploys.engine.run import (
    SECTIONS,
    ask,
    begin_changes,
    current_run,
    here,
    leave,
    leave_until_unused,
    note,
    refresh,
)
from deploys.engine.tree import Release
from deploys.engine.waiting import Effects, follow
from stellwerk.database.logins import withdrawal
from stellwerk.database.statement import Statement, psql_script

Commands = Generator[StringCommand | FunctionCommand, None, None]
WAIT_SECONDS = 1.0  # between two looks at the ledger
SHOWN_STATEMENTS = 3  # the others are details
LEAVE_SECONDS = 600.0  # without any movement; what the settings said of the service is gone
ANSWER_SECONDS = 5  # a process that systemd starts anew answers again within this
VERIFY_SECONDS = 60  # a replica's first sync and a balancer's health checks end well within this


@dataclass(frozen=True)
class Step:
    """One request to the host's tools, and what it changes there."""

    tool: str
    document: Mapping[str, Any]
    changes: tuple[Change, ...]
    said: str


def _perform(decide: Callable[[], Sequence[Step]], nothing: str) -> Commands:
    """Carry out what is decided on the host's facts; say `nothing` where that is nothing.

    While operations are prepared it is only noted: pyinfra takes no more than the first command.
    """
    steps, readings = decide(), current_run().readings
    if steps:
        try:
            begin_changes()
        except Refused as refused:
            yield from _give_up(refused)
            return
        if current_run().readings != readings:
            steps = decide()
    if not steps:
        host.noop(nothing)
        return
    if not state.is_executing:
        note(*(change for step in steps for change in step.changes))
    for step in steps:
        yield _command(step)
        _changed()


def _command(step: Step) -> StringCommand:
    """What the request carries goes through standard input, unseen."""
    logger.info(f"{host.print_prefix}{step.said}")
    document = {**step.document, **_about(step.changes)}
    return StringCommand(f"{tools.RUN} {step.tool}", _stdin=json.dumps(document))


def _about(changes: Iterable[Change]) -> dict[str, Any]:
    """What the host writes down, and for which run it is to be done."""
    (name, *_) = state.get_op_meta(str(host.current_op_hash)).names
    step = {
        "operation": name.rpartition(" | ")[2],
        "changes": [change.record() for change in changes],
    }
    return {"run": current_run().lock.run, "step": step}


def _give_up(refused: Refused) -> Commands:
    logger.error(f"{host.print_prefix}{refused}")
    yield _failure()


def _changed() -> None:
    """The present host is not what it was: facts of it that matter are to be read again."""
    run = current_run()
    run.stale[host.name] = set(SECTIONS)
    run.changed.add(host.name)


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
    if not here().facts["tools"] and not state.is_executing:
        note(*_missing(wanted))
    bare = here().facts["bare"]
    if bare:
        logger.info(f"{host.print_prefix}installing {len(wanted)} packages and what they need")
        yield StringCommand(bootstrap.install_command(wanted, sorted(masked), lock_timeout_seconds))
        _changed()
        refresh()
    if not here().facts["tools"]:
        try:
            begin_changes()
        except Refused as refused:
            yield from _give_up(refused)
            return
        first = [Change("packages", f"installing {', '.join(wanted)}")] if bare else []
        record = json.dumps(_about([*first, _TOOLS]))
        yield StringCommand(tools.install_command(record), _stdin=tools.archive())
        _changed()
        refresh()

    def decide() -> Sequence[Step]:
        changes = [one for one in _missing(wanted) if one is not _TOOLS]
        document = {
            "packages": wanted,
            "masked": sorted(masked),
            "lock_timeout_seconds": lock_timeout_seconds,
        }
        return [Step("packages", document, (one,), one.reason) for one in changes]

    yield from _perform(decide, "tools and packages are there")
    if "packages" in current_run().stale[host.name]:
        refresh()


_TOOLS = Change("tools", "those on the host are of another version")


def _missing(packages: Iterable[str]) -> Iterable[Change]:
    facts = here().facts
    missing = sorted(set(packages) - facts["packages"].keys())
    if not facts["tools"]:
        yield _TOOLS
    if missing:
        yield Change("packages", f"installing {', '.join(missing)}")


@operation()
def install_configs(
    configs: Iterable[ConfigSet] | Callable[[], Iterable[ConfigSet]],
) -> Commands:
    """Make each configuration the active one, in order; the first that fails ends it.

    A function is asked for them when it is their turn.
    """
    given = configs if callable(configs) else tuple(configs)

    def decide() -> Sequence[Step]:
        configs = given() if callable(given) else given
        if not configs:
            return []
        facts = _fresh("stamps", "files") if callable(given) else here().facts
        reasons = [(config, why_install(config, facts)) for config in configs]
        wanted = [(config, reason) for config, reason in reasons if reason]
        if not wanted:
            return []
        changes = tuple(config_change(config, reason, facts) for config, reason in wanted)
        what = "; ".join(f"{config.name}: {reason}" for config, reason in wanted)
        document = {"configs": [config.document() for config, _ in wanted]}
        return [Step("install", document, changes, what)]

    yield from _perform(decide, "all configurations are active")


RedisPlan = Callable[[Facts], Iterable[RedisRequest]]


@operation()
def converge_redis(plan: RedisPlan | None) -> Commands:
    """Bring running Redis servers and Sentinels to the settings, all hosts side by side (C3)."""
    if plan is not None:
        yield from _perform(partial(_redis_steps, plan), "all settings are in force")


@operation()
def redis_in_turn(plan: RedisPlan | None) -> Commands:
    """The same one at a time; the first failure ends it on every host (C3).

    To be run serially, replicas before the master: what is wrong is then found on a replica.
    """
    if plan is None:
        return
    run = current_run()
    if run.restart_failed:
        host.noop("left as it is, as it failed on another host")
        return
    for command in _perform(partial(_redis_steps, plan), "nothing is to be done in turn"):
        run.restart_failed = state.is_executing  # until the host says otherwise
        yield command
        run.restart_failed = False


def _redis_steps(plan: RedisPlan) -> Sequence[Step]:
    facts = _fresh("redis", "sentinel")
    changes = [(request, redis_change(request, facts)) for request in plan(facts)]
    return [
        Step(request.tool, request.document, (change,), change.sentence)
        for request, change in changes
    ]


@operation()
def read_again(sections: Iterable[str], changed_elsewhere: Callable[[], bool]) -> Commands:
    """Bring facts up to date for operations that look at all hosts at once. Changes nothing.

    Where this run has changed the host, or `changed_elsewhere` says that somebody else may have.
    """
    if state.is_executing:
        if changed_elsewhere():
            refresh(*sections)
        _fresh(*sections)
    host.noop("facts are up to date")
    yield from ()


@operation()
def converge_postgresql(
    plan: Callable[[Facts], Iterable[Statement]] | None, what: str, at_first: bool = True
) -> Commands:
    """Run the statements that bring roles and databases to the settings (C4).

    `at_first`: a server that is yet to be installed needs some, too.
    """
    if plan is None:
        return

    def decide() -> Sequence[Step]:
        present = _fresh("postgresql")["postgresql"]
        if not state.is_executing and ("error" in present or (at_first and not present)):
            note(Later(what, present.get("error", "decided when PostgreSQL runs there")))
        return _statement_steps(what, list(plan(present)))

    yield from _perform(decide, f"{what} are as wanted")


def _statement_steps(what: str, statements: Sequence[Statement]) -> Sequence[Step]:
    if not statements:
        return []
    summaries = tuple(one.summary for one in statements)
    details = summaries if len(summaries) > SHOWN_STATEMENTS else ()
    change = Change(what, _in_short(summaries), details=details)
    return [Step("postgresql", {"script": psql_script(statements)}, (change,), change.sentence)]


@operation()
def withdraw_logins(uses: Callable[[Facts], Mapping[str, Sequence[Use]]] | None) -> Commands:
    """End the logins of passwords of before that nobody uses any more; name who uses the others.

    `uses` says by login who does; what ends by itself is waited for.
    """
    if uses is None:
        return

    def decide() -> Sequence[Step]:
        found = _once_ended(uses)
        for login, users in found.items():
            if users:
                names = ", ".join(one.by for one in users)
                leave_until_unused("PostgreSQL", f"the password of before of {login}", names)
        statements = [withdrawal(login) for login, users in found.items() if not users]
        return _statement_steps("passwords", statements)

    yield from _perform(decide, "no password of before is left unused")


def _once_ended(
    uses: Callable[[Facts], Mapping[str, Sequence[Use]]],
) -> Mapping[str, Sequence[Use]]:
    """Who uses which login, when those that end by themselves had the time for it."""
    start = time.monotonic()
    found = uses(_fresh("postgresql")["postgresql"])
    while state.is_executing and time.monotonic() - start < longest(found):
        time.sleep(WAIT_SECONDS)
        refresh("postgresql")
        found = uses(here().facts["postgresql"])
    return found


@operation()
def restart_postgresql(
    pending: Callable[[Facts], Iterable[str]] | None, unit: str, allowed: bool
) -> Commands:
    """Name the settings that wait for a restart, and restart where that is allowed (C4)."""
    if pending is None:
        return

    def decide() -> Sequence[Step]:
        names = ", ".join(pending(_fresh("postgresql")["postgresql"]))
        if not names:
            return []
        if not allowed:
            leave(
                "PostgreSQL",
                f"PostgreSQL waits for a restart to apply {names}; set postgresql.allow_restart to"
                " have it",
            )
            return []
        change = Change(
            "PostgreSQL", f"restarting it to apply {names}", (Effect(Verb.RESTART, unit),)
        )
        return [Step("restart-postgresql", {"unit": unit}, (change,), change.reason)]

    yield from _perform(decide, "PostgreSQL is not restarted")


@operation()
def install_release(release: Release, keep: int) -> Commands:
    """Put the runtime on the host and switch to it (C7)."""

    def decide() -> Sequence[Step]:
        present = here().facts["release"]
        if present and present["current"] == release.name:
            return []
        there = release.name in present.get("releases", ())
        document = {
            "name": release.name,
            "prefix": release.prefix,
            "keep": keep,
            "archive": "" if there or not state.is_executing else release.archive(),
        }
        before = present.get("current", "")
        change = Change(
            "runtime", f"release {release.name}{f', in the place of {before}' if before else ''}"
        )
        return [Step("release", document, (change,), change.reason)]

    yield from _perform(decide, f"release {release.name} is in use")


@operation()
def install_programs(programs: Iterable[ServiceProgram], keep: int) -> Commands:
    """Put the releases of services' programs on the host; the agents start instances of them."""
    given = list(programs)

    def decide() -> Sequence[Step]:
        missing = [one for one in given if not is_on(here().facts, one)]
        changes = [
            (one, Change(f"program of {one.service}", f"release {one.release.name}"))
            for one in missing
        ]
        return [
            Step("program", one.document(keep), (change,), f"{one.service}: {change.reason}")
            for one, change in changes
        ]

    yield from _perform(decide, "all programs' releases are there")


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
    declared = wanted()
    patience = {
        name: float(one.rollout.progress_timeout_seconds) for name, one in declared.services.items()
    }
    reasons = follow(_effects(lambda: progress(declared)), patience)
    refresh("postgresql")
    for line in reasons:
        logger.error(f"{host.print_prefix}{line}")
    if reasons:
        yield _failure()


@operation()
def wait_for_leaving(progress: Callable[[], Sequence[Progress]] | None) -> Commands:
    """Wait until services that are none any more have no instances, where that comes to pass.

    Those that are left are stopped as they are, by `remove_instances`. Changes nothing.
    """
    if progress is None or not state.is_executing:
        return
    leaving = services_that_leave(here().run.cluster, _fresh("postgresql")["postgresql"])
    if not leaving:
        host.noop("no service leaves")
        return
    patience = dict.fromkeys(leaving, LEAVE_SECONDS)
    for line in follow(_effects(progress), patience, then="it is stopped as it is"):
        logger.warning(f"{host.print_prefix}{line}")
    refresh("postgresql")
    yield from ()


def _effects(poll: Callable[[], Sequence[Progress]]) -> Effects:
    start = time.monotonic()
    return Effects(
        poll=poll,
        say=lambda line: logger.info(f"{host.print_prefix}{line}"),
        elapsed=lambda: time.monotonic() - start,
        pause=lambda: time.sleep(WAIT_SECONDS),
    )


@operation()
def remove_instances(
    names: Callable[[Facts], Sequence[str]], keep: int, kept: Sequence[str]
) -> Commands:
    """Stop instances whose service or port is not declared any more: no agent knows them.

    Their generations go with them but for the newest few and `kept` (`NAME:GENERATION`).
    """

    def decide() -> Sequence[Step]:
        gone = names(_fresh("pins"))
        changes = tuple(
            Change(
                "instances", f"{name} is declared no more", (Effect(Verb.STOP, f"{name}.service"),)
            )
            for name in gone
        )
        document = {"instances": list(gone), "keep": keep, "kept": list(kept)}
        said = f"stopping {', '.join(gone)}"
        return [Step("remove-instances", document, changes, said)] if gone else []

    yield from _perform(decide, "every instance is declared")


@operation()
def remove_parts(plan: Callable[[Facts], Removal]) -> Commands:
    """Take off the host what its groups do not need any more; data stays."""

    def decide() -> Sequence[Step]:
        removal = plan(_fresh("stamps", "pins", "programs", "units"))
        note(*removal.left)
        if not removal.changes:
            return []
        said = "; ".join(f"{one.component}: {one.reason}" for one in removal.changes)
        return [Step("remove", removal.document(), removal.changes, said)]

    yield from _perform(decide, "nothing is there that is declared no more")


def _in_short(summaries: Sequence[str]) -> str:
    if len(summaries) <= SHOWN_STATEMENTS:
        return "; ".join(summaries)
    return f"{'; '.join(summaries[:SHOWN_STATEMENTS])}; {len(summaries) - SHOWN_STATEMENTS} more"


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
