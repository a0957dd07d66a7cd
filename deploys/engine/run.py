"""One run of pyinfra: its settings, the facts of its hosts, and what stands in its way.

Everything that can be refused is refused here, for all hosts at once, before any is changed.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import gevent
from gevent.lock import RLock
from paramiko import SSHException
from pyinfra import logger
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS, pop_global_arguments
from pyinfra.api.command import StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import StateStage
from pyinfra.context import host, state

from deploys.components.generations import Generation
from deploys.components.master import Endpoint, UnknownMasterError, confirm, find_master
from deploys.components.tls import HostCertificate
from deploys.engine import invocation, tools
from deploys.engine.changes import Change, Later, Left
from deploys.engine.invocation import Refused, alertmanager_of, certificate_of, cluster
from deploys.engine.preflight import PYTHONS, problems_of, warnings_of
from deploys.engine.resources import Facts
from deploys.engine.run_lock import RunLock, holder_sentence, new_run, patience
from stellwerk.database.state import state_script
from stellwerk.settings import Settings
from stellwerk.settings.cluster import Cluster, ClusterHost

SECTIONS = (
    "run",
    "system",
    "packages",
    "stamps",
    "files",
    "folders",
    "units",
    "redis",
    "sentinel",
    "passwords",
    "postgresql",
    "pins",
    "health_paths",
    "release",
    "programs",
)
REDIS_GROUPS = ("caches", "sentinels")


@dataclass
class Run:
    """What one pyinfra process knows. `commands` counts what was sent to each host.

    `changed` are the hosts that it has changed so far. `prepares_redis`: its Redis servers take new
    passwords before anybody is given them. `said` are the warnings that concern all hosts, which
    each would repeat. `noted` is what was decided while operations were prepared; `readings` counts
    how often all facts were read, as another run may change hosts between a decision and the lock
    for it.
    """

    cluster: Cluster
    lock: RunLock
    noted: dict[str, list[Change | Later | Left]] = field(default_factory=lambda: defaultdict(list))
    readings: int = 0
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    commands: Counter[str] = field(default_factory=Counter)
    master: Endpoint | None = None
    generations: Mapping[str, Generation] | None = None
    stale: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    said: set[str] = field(default_factory=set)
    given: set[str] = field(default_factory=set)  # hosts that get the wanted generations
    changed: set[str] = field(default_factory=set)
    prepares_redis: bool = False
    restart_failed: bool = False


@dataclass(frozen=True)
class Here:
    """The host that the present deploy code or operation is about."""

    run: Run
    declared: ClusterHost

    @property
    def settings(self) -> Settings:
        return self.declared.settings

    @property
    def facts(self) -> Facts:
        return self.run.facts[self.declared.name]

    @property
    def certificate(self) -> HostCertificate | None:
        """The host's certificate and key; None where TLS is off."""
        return certificate_of(self.declared.name)

    @property
    def alertmanager(self) -> str | None:
        """The user's own configuration for the host's Alertmanager; None where there is none."""
        return alertmanager_of(self.declared.name)

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(self.declared.groups)


_lock = RLock()
_changing = RLock()
_runs: dict[int, Run | Refused] = {}


def here() -> Here:
    """The present host, with the run's settings loaded and its facts gathered.

    Raises:
        Refused: settings are wrong, or a host is not fit for them; every problem is named.
    """
    run = current_run()
    return Here(run, run.cluster.hosts[host.name])


def current_run() -> Run:
    """The run of this process; the first call loads, gathers and checks everything."""
    with _lock:
        key = id(state.inventory)
        if key not in _runs:
            try:
                _runs[key] = _begin()
            except Refused as refusal:
                # Kept, as every other host's turn would only find the same.
                _runs[key] = refusal
        found = _runs[key]
        if isinstance(found, Refused):
            raise found
        return found


def _begin() -> Run:
    run = Run(cluster(), RunLock(new_run(), _say, patience()))
    _watch_connectors(run)
    _gather_all(run, state.inventory.get_active_hosts())
    return run


def note(*decided: Change | Later | Left) -> None:
    """Keep what was decided about the present host, for a plan."""
    current_run().noted[here().declared.name].extend(decided)


def leave(component: str, sentence: str) -> None:
    """Say once what is not as declared and stays so; a plan lists it."""
    said = current_run().said
    if sentence in said:
        return
    said.add(sentence)
    note(Left(component, sentence))
    if not invocation.is_dry():
        logger.warning(f"{host.print_prefix}{sentence}")


def leave_until_unused(component: str, what: str, users: str) -> None:
    """The same of a password of before, which `users` use.

    Who still does when this run has changed things is not known before.
    """
    noted = current_run().noted.values()
    if not state.is_executing and any(isinstance(one, Change) for some in noted for one in some):
        said = current_run().said
        if what not in said:
            said.add(what)
            note(Later(component, f"{what} counts until nobody uses it"))
        return
    leave(
        component,
        f"{what} still counts, as it is used by {users}; a run that finds it unused withdraws it",
    )


def begin_changes() -> None:
    """Lock all hosts of the run before the first change to any; does nothing where that is so.

    Nor while operations are prepared. Where another run has changed a host since its facts were
    read, all facts are read again.

    Raises:
        Refused: another run holds a host for too long, or facts show now what stands in the way.
    """
    run = current_run()
    if not state.is_executing:
        return
    with _changing:
        hosts = {_name(run, one): one for one in state.inventory.get_active_hosts()}
        # A bare host has nothing to hold a lock with before it has its first packages.
        free = [name for name in hosts if name not in run.lock.held and not run.facts[name]["bare"]]
        if not free:
            return
        last = run.lock.take([_Locked(name, hosts[name], run) for name in free])
        if any(last[name] != run.facts[name]["run"].get("last", "") for name in free):
            logger.info("--> Another run has changed hosts meanwhile")
            _gather_all(run, hosts.values())
            run.master = None


@dataclass(frozen=True)
class _Locked:
    """A host whose lock is asked for, by tools that are sent along where it has others."""

    name: str
    pyinfra_host: Host
    run: Run

    def hold(self, request: Mapping[str, Any]) -> None:
        with suppress(Refused):
            self._call("hold", request)

    def ask(self, command: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        return dict(json.loads(self._call(command, request) or "{}") or {})

    def _call(self, command: str, request: Mapping[str, Any]) -> str:
        return _call(self.pyinfra_host, self.run.facts[self.name], command, request)


def ask_tools(name: str, request: Mapping[str, Any]) -> Any:
    """The answer of the present host's tools to a question, also where it has others or none.

    Raises:
        Refused: it failed; its words are in the message.
    """
    return json.loads(_call(host, here().facts, name, request))


def _call(pyinfra_host: Host, facts: Facts, name: str, request: Mapping[str, Any]) -> str:
    if facts["tools"]:
        return _ask(pyinfra_host, f"{tools.RUN} {name}", json.dumps(request))
    borrowed = f"{tools.archive()}\n{json.dumps(request)}"
    return _ask(pyinfra_host, tools.borrowed_command(name), borrowed)


def refresh(*sections: str) -> None:
    """Read some facts of the present host again, after it was changed."""
    run = current_run()
    declared = run.cluster.hosts[host.name]
    gathered = _gather(host, declared.settings, sections or SECTIONS)
    run.facts[declared.name].update(gathered)
    run.stale[host.name].difference_update(sections or SECTIONS)


def facts_of(hosts: Iterable[ClusterHost]) -> dict[str, Facts]:
    """Facts of the named hosts, also of those outside --limit; unreachable ones are left out."""
    run = current_run()
    with _lock:
        missing = [one for one in hosts if one.name not in run.facts]
        by_name = {_name(run, pyinfra_host): pyinfra_host for pyinfra_host in state.inventory}
        for declared in missing:
            pyinfra_host = by_name[declared.name]
            if not pyinfra_host.connected:
                pyinfra_host.connect(show_errors=False)
            if pyinfra_host.connected:
                run.facts[declared.name] = _gather(pyinfra_host, declared.settings, SECTIONS)
    return {one.name: run.facts[one.name] for one in hosts if one.name in run.facts}


def ask(command: str, stdin: str) -> str:
    """Run a command on the present host that changes nothing there; what it printed.

    Raises:
        Refused: it failed; its words are in the message.
    """
    return _ask(host, command, stdin)


def redis_master() -> Endpoint:
    """The Redis master as the Sentinels agree on it.

    Raises:
        Refused: it is not known, so Redis is not touched.
    """
    run = current_run()
    if run.master is None:
        caches, sentinels = run.cluster.group("caches"), run.cluster.group("sentinels")
        settings = caches[0].settings
        name = settings.sentinel.master_name
        facts = redis_facts()
        try:
            run.master = find_master(
                name,
                Endpoint(caches[0].address, settings.redis.port),
                [one.name for one in sentinels],
                facts,
            )
            hosts = {one.address: one.name for one in run.cluster.hosts.values()}
            confirm(name, run.master, hosts, facts)
        except UnknownMasterError as error:
            raise Refused(str(error)) from error
    return run.master


def redis_facts() -> dict[str, Facts]:
    """Facts of this run's hosts and of all that have a Redis or a Sentinel and can be reached."""
    run = current_run()
    servers = {one.name: one for group in REDIS_GROUPS for one in run.cluster.group(group)}
    return {**run.facts, **facts_of(servers.values())}


def hosts_of_run() -> frozenset[str]:
    """The names of the hosts that this run changes: all, or those of --limit."""
    run = current_run()
    return frozenset(_name(run, one) for one in state.inventory.get_active_hosts())


def _name(run: Run, pyinfra_host: Host) -> str:
    return run.cluster.hosts[pyinfra_host.name].name


def _watch_connectors(run: Run) -> None:
    """Count every command that goes to a host, and end the run before its connections end."""
    for pyinfra_host in state.inventory:
        name = _name(run, pyinfra_host)
        connector = pyinfra_host.connector
        counted = _counted(connector.run_shell_command, run.commands, name)
        connector.run_shell_command = counted  # type: ignore[method-assign]
        connector.disconnect = partial(  # type: ignore[method-assign]
            _end_and_disconnect, run, connector.disconnect
        )


def _end_and_disconnect(run: Run, disconnect: Callable[[], None]) -> None:
    if run.lock.held:
        run.lock.release(_outcome())
    disconnect()


def _outcome() -> Mapping[str, str]:
    """How the run ends, as its hosts write it down."""
    if state.failed_hosts:
        names = ", ".join(sorted(one.name for one in state.failed_hosts))
        return {"outcome": "failed", "error": f"{names} failed, which ended the run"}
    done = state.current_stage == StateStage.Disconnect
    return {"outcome": "ok" if done else "interrupted"}


def _say(line: str) -> None:
    logger.warning(line)


def _counted(send: Callable[..., Any], counter: Counter[str], name: str) -> Callable[..., Any]:
    def counting(*arguments: Any, **keywords: Any) -> Any:
        counter[name] += 1
        return send(*arguments, **keywords)

    return counting


def _gather_all(run: Run, hosts: Collection[Host]) -> None:
    logger.info("--> Reading the state of all hosts...")
    problems = _gather_into(run, hosts)
    others = _other_runs(run, hosts)
    if others and invocation.is_dry():
        for name, about in sorted(others.items()):
            _say(f"{holder_sentence(name, about)}, so this may be out of date")
    elif others:
        run.lock.await_others(lambda: _look_at_others(run, hosts))
        problems = _gather_into(run, hosts)
    run.readings += 1
    for declared in run.cluster.hosts.values():
        if declared.name in run.facts:
            certificate = certificate_of(declared.name)
            problems += problems_of(run.cluster, declared, run.facts[declared.name], certificate)
    if problems:
        raise Refused("nothing was changed:\n" + "\n".join(f"    {one}" for one in problems))
    for warning in warnings_of(run.cluster, run.facts):
        logger.warning(f"    {warning}")


def _other_runs(run: Run, hosts: Iterable[Host]) -> Mapping[str, Mapping[str, str]]:
    """Who else works on the hosts, by their facts."""
    found = {}
    for one in hosts:
        about = run.facts.get(_name(run, one), {}).get("run", {})
        if about.get("run", run.lock.run) != run.lock.run:
            found[_name(run, one)] = about
    return found


def _look_at_others(run: Run, hosts: Iterable[Host]) -> Mapping[str, Mapping[str, str]]:
    """The same, as it is now."""
    for one in hosts:
        facts = run.facts.get(_name(run, one))
        if facts and "run" in facts.get("run", {}):
            request = {"run": run.lock.run, "starting": False}
            facts["run"] = json.loads(_call(one, facts, "lease", request))
    return _other_runs(run, hosts)


def _gather_into(run: Run, hosts: Iterable[Host]) -> list[str]:
    """Read the facts of hosts; what stands in the way of that, a line each."""
    jobs = {
        _name(run, one): gevent.spawn(_gather_or_say, one, run.cluster.hosts[one.name].settings)
        for one in hosts
    }
    gevent.joinall(list(jobs.values()))
    problems: list[str] = []
    for name, job in jobs.items():
        found = job.get()
        if isinstance(found, Refused):
            problems.append(str(found))
        else:
            run.facts[name] = found
    return problems


def _gather_or_say(pyinfra_host: Host, settings: Settings) -> dict[str, Any] | Refused:
    """All facts of a host, or why there are none: gevent prints what a greenlet raises."""
    try:
        return _gather(pyinfra_host, settings, SECTIONS)
    except Refused as refused:
        return refused


def _gather(pyinfra_host: Host, settings: Settings, sections: Iterable[str]) -> dict[str, Any]:
    request = json.dumps(
        {
            "sections": list(sections),
            "postgresql_script": state_script(settings.postgresql.database),
            "prefix": settings.runtime.prefix,
        }
    )
    answer = _ask(pyinfra_host, tools.facts_command(), request)
    words = answer.split()
    if answer.startswith("{"):
        return {**_empty(sections), **json.loads(answer), "tools": True, "bare": False}
    if words[:1] == ["no-tools"]:
        borrowed = f"{tools.archive()}\n{request}"
        answer = _ask(pyinfra_host, tools.borrowed_command("facts"), borrowed)
        return {**_empty(sections), **json.loads(answer), "tools": False, "bare": False}
    if words[:1] == ["bare"]:
        system = _bare_system(words[1:])
        return {**_empty(sections), "system": system, "tools": False, "bare": True}
    raise Refused(
        f"{pyinfra_host.name}: the SSH user is not root and uses no sudo;"
        ' add "_sudo": True to the host in the inventory, or run pyinfra with --sudo'
    )


def _empty(sections: Iterable[str]) -> dict[str, Any]:
    return {section: {} for section in sections}


def _bare_system(words: list[str]) -> dict[str, Any]:
    identity, version, codename, architecture, memory, cpus, disk = words
    return {
        "id": identity,
        "version": version,
        "codename": codename,
        "architecture": architecture,
        "python": PYTHONS.get(version, ""),
        "memory_bytes": int(float(memory)),
        "cpus": int(cpus),
        "disk_free_bytes": {"/": int(float(disk))},
        "apt_locked": False,
    }


def _ask(pyinfra_host: Host, command: str, stdin: str) -> str:
    arguments, _ = pop_global_arguments(state, pyinfra_host, {})
    connector_arguments = {
        key: value
        for key, value in cast(Mapping[str, Any], arguments).items()
        if key in CONNECTOR_ARGUMENT_KEYS
    }
    try:
        done, output = pyinfra_host.run_shell_command(
            StringCommand(command), **{**connector_arguments, "_stdin": stdin}
        )
    except EOFError as error:  # pyinfra asked for sudo's password, and nobody is there to answer
        raise Refused(_no_sudo(pyinfra_host)) from error
    except (OSError, SSHException) as error:
        raise Refused(
            f"{pyinfra_host.name}: the connection was lost ({error}); run again"
        ) from error
    if done:
        return str(output.stdout)
    said = str(output.stderr).strip().splitlines() or ["no answer"]
    if said[0].startswith("sudo:"):
        raise Refused(_no_sudo(pyinfra_host))
    raise Refused(f"{pyinfra_host.name}: the host does not answer as it should: {said[-1]}")


def _no_sudo(pyinfra_host: Host) -> str:
    return (
        f"{pyinfra_host.name}: the SSH user may not use sudo without a password; allow it in"
        " sudoers, or run pyinfra with --same-sudo-password"
    )
