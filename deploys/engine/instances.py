"""Instances over the whole run: what the settings want, what the ledger says, what is left over."""

import json
from collections.abc import Iterable, Mapping, Sequence

from pyinfra import logger
from pyinfra.context import host, state

from deploys.components import agent, checks, declaration, generations, progress
from deploys.components.declaration import Wanted
from deploys.components.generations import Generation
from deploys.components.progress import Progress
from deploys.components.runtime import release
from deploys.engine import tools
from deploys.engine.changes import Left
from deploys.engine.invocation import Refused
from deploys.engine.resources import Check, ConfigSet, Facts, why_install
from deploys.engine.run import ask, current_run, facts_of, here, hosts_of_run, note
from stellwerk.database.statement import Statement, psql_script
from stellwerk.instances.documents import SNAPSHOT_QUERY, DocumentError, parse_snapshot
from stellwerk.instances.model import Snapshot
from stellwerk.settings.cluster import ClusterHost


def wanted_generations() -> Mapping[str, Generation]:
    """The generation of each service, by name."""
    run = current_run()
    if run.generations is None:
        present = here()
        runtime = release(present.settings, present.facts).name
        run.generations = generations.wanted(run.cluster, runtime)
    return run.generations


def wanted_instances() -> Wanted:
    """What the ledger is to say, as known by the time it is told.

    A generation is declared only when every app host has it: the others could not start it.
    """
    run = current_run()
    apps = run.cluster.group("apps")
    settings = apps[0].settings
    return Wanted(
        database=here().settings.postgresql.database,
        services=settings.services,
        generations=_on_every_host(apps),
        apps=[one.name for one in apps],
        balancers=[one.name for one in run.cluster.group("balancers")],
        generations_kept=settings.runtime.releases_kept,
        agent_role=here().settings.postgresql.roles.agent,
        addresses=[one.address for role in agent.ROLES for one in run.cluster.group(role)],
    )


def give_generations(configs: Iterable[ConfigSet]) -> None:
    """Note that the present host gets them; warn where this run does not declare them."""
    run = current_run()
    run.given.add(here().declared.name)
    databases = [one.name for one in run.cluster.group("databases")]
    if hosts_of_run().intersection(databases):
        return
    if any(why_install(config, here().facts) for config in configs):
        _warn_once(
            "instances keep what they run: the roll-out waits for a run that includes"
            f" {', '.join(databases)}"
        )


def ledger() -> Snapshot:
    """What the ledger said when the database host was last asked; nothing where there is none."""
    databases = current_run().cluster.group("databases")
    for facts in facts_of(databases).values():
        return declaration.snapshot_of(facts["postgresql"]) or declaration.EMPTY
    return declaration.EMPTY


def new_health_paths() -> Iterable[Check]:
    """What instances have to answer before their health is asked at another path."""
    present = here()
    return checks.new_health_paths(present.declared, present.facts, ledger())


def progress_of_services(wanted: Wanted) -> Sequence[Progress]:
    """Ask the ledger where every service stands, after forgetting what hosts that left ran.

    Raises Refused where the ledger does not answer.
    """
    tidying = [Statement("", sql, wanted.database) for sql in declaration.removals(wanted)]
    return progress.of_services(current_run().cluster, _snapshot(tidying, wanted.database))


def leave(answer: Facts) -> Iterable[Statement]:
    """What has the instances leave of services that are none any more."""
    present, snapshot = here(), declaration.snapshot_of(answer)
    services = present.run.cluster.group("apps")[0].settings.services
    if snapshot is None:
        return ()
    return declaration.leave(present.settings.postgresql.database, services.keys(), snapshot)


def progress_of_leaving() -> Sequence[Progress]:
    """Ask the ledger how far the instances are of services that are none any more.

    Raises Refused where the ledger does not answer.
    """
    database = here().settings.postgresql.database
    return progress.of_leaving(current_run().cluster, _snapshot([], database))


def _snapshot(before: Iterable[Statement], database: str) -> Snapshot:
    """What the ledger says when these statements are done."""
    query = Statement("", SNAPSHOT_QUERY, database)
    request = json.dumps({"script": psql_script([*before, query])})
    try:
        return parse_snapshot(ask(f"{tools.RUN} query", request))
    except DocumentError as error:
        raise Refused(f"{host.print_prefix}{error}") from error


def strays(declared: ClusterHost, facts: Facts) -> Sequence[str]:
    """Pinned instances on a host whose service, or port, is not in the settings any more.

    On a host that is in `apps` no more these are all. They are left alone by a run that does not
    tell the ledger and the balancers that they go.
    """
    settings = declared.settings
    found = []
    for name in sorted(facts["pins"]):
        service, _, port = name.partition("@")
        known = "apps" in declared.groups and service in settings.services
        if not known or int(port) not in settings.ports(service):
            found.append(name)
    if found and (missing := removal_waits_for()):
        stay = f"{', '.join(found)} should stop, but run on until a run includes {missing}"
        note(Left("instances", stay))
        _warn_once(stay)
        return ()
    return found


def kept_generations(declared: ClusterHost) -> Sequence[str]:
    """What a host is to keep as it is wanted there, as `NAME:GENERATION`."""
    if "apps" not in declared.groups:
        return ()
    known = declared.settings.services
    return [f"{name}:{one.digest}" for name, one in wanted_generations().items() if name in known]


def removal_waits_for() -> str:
    """Who is not in this run but has to know before anything goes: ledger and balancers."""
    run = current_run()
    needed = {one.name for group in ("databases", "balancers") for one in run.cluster.group(group)}
    return ", ".join(sorted(needed - hosts_of_run()))


def _on_every_host(apps: Sequence[ClusterHost]) -> Mapping[str, Generation]:
    found = dict(wanted_generations())
    if not state.is_executing:
        return found  # the other hosts' turns may be still to come
    # Hosts that were to get it have it: one that had failed to install it would have ended the run.
    elsewhere = [one for one in apps if one.name not in current_run().given]
    facts = facts_of(elsewhere)
    for name, generation in wanted_generations().items():
        lacking = [
            one.name
            for one in elsewhere
            if one.name not in facts or not generations.is_on(facts[one.name], generation)
        ]
        if lacking:
            del found[name]
            _warn_once(
                f"{name}: {', '.join(lacking)} may not have generation {generation.digest} yet, so"
                " nothing is rolled out; run again with all hosts in apps"
            )
    return found


def _warn_once(sentence: str) -> None:
    said = current_run().said
    if sentence not in said:
        said.add(sentence)
        logger.warning(f"{host.print_prefix}{sentence}")
