"""PostgreSQL: settings for its host, who may log in from where, roles and database (C4)."""

import json
from collections.abc import Iterable, Mapping

from deploys.components import tls
from deploys.engine import tools
from deploys.engine.preflight import committed_memory
from deploys.engine.resources import Activation, Check, ConfigSet, Facts, File, Restart
from stellwerk.database.configuration import render
from stellwerk.database.convergence import Obstacle, differences, pending_restart
from stellwerk.database.databases import Database, database_statements
from stellwerk.database.hba import render_hba
from stellwerk.database.logins import former_logins, with_logins
from stellwerk.database.roles import Role, removal_statements, role_statements
from stellwerk.database.setting import ParameterValue, given
from stellwerk.database.state import parse_state
from stellwerk.database.statement import Statement
from stellwerk.database.tuning import Tuning, tune
from stellwerk.database.wishes import host_resources, tuning_inputs
from stellwerk.instances.grants import LedgerRoles, grant_statements
from stellwerk.instances.migrations import migration_statements
from stellwerk.settings import Settings
from stellwerk.settings.cluster import Cluster, ClusterHost

TLS = tls.Copy("/etc/postgresql/tls", "postgres")
VERSIONS = {"12": 15, "13": 17}  # Debian's release and its PostgreSQL
# A statement of the services that takes this long is stuck, and one that waits this long for a
# lock had better be tried again.
APP_TIMEOUTS = {
    "statement_timeout": "30s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
}
# Agents hold locks for milliseconds; one that is frozen must not keep the others from theirs.
LEDGER_TIMEOUTS = {
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "10s",
}
# Its bound for a source; who waits in a transaction would keep rows from being vacuumed.
MONITOR_TIMEOUTS = {
    "statement_timeout": "2s",
    "lock_timeout": "1s",
    "idle_in_transaction_session_timeout": "10s",
}
# Migrations and what operators do by hand; index builds and refreshes set bounds of their own.
OWNER_TIMEOUTS = {
    "statement_timeout": "1h",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
}


def version(facts: Facts) -> int:
    return VERSIONS[facts["system"]["version"]]


def packages(facts: Facts) -> tuple[str, ...]:
    return (f"postgresql-{version(facts)}",)


def unit(facts: Facts) -> str:
    """The cluster's own unit; `postgresql.service` is always active, whatever its clusters do."""
    return f"postgresql@{version(facts)}-main.service"


def drop_in(facts: Facts) -> str:
    return f"/etc/postgresql/{version(facts)}/main/conf.d/90-stellwerk.conf"


def tuning(cluster: Cluster, declared: ClusterHost, facts: Facts) -> Tuning:
    """What this host's memory, CPUs and settings come to, with a reason for each setting."""
    system = facts["system"]
    return tune(
        host_resources(declared.settings, system["memory_bytes"], system["cpus"]),
        tuning_inputs(
            declared.settings,
            version=version(facts),
            other_memory_bytes=sum(committed_memory(cluster, declared).values()),
        ),
    )


def certificates(facts: Facts, certificate: tls.HostCertificate | None) -> tuple[ConfigSet, ...]:
    """The server's copy of the host's certificate; a reload makes it use a renewed one."""
    return tls.install("postgresql-tls", TLS, certificate, Activation(unit=unit(facts)))


def config(cluster: Cluster, declared: ClusterHost, facts: Facts) -> ConfigSet:
    """The drop-in and pg_hba.conf; a restart only where it is allowed or on a first install."""
    settings = declared.settings.postgresql
    name = "postgresql"
    first = name not in facts.get("stamps", {})
    may_restart = settings.allow_restart or (settings.allow_restart is None and first)
    chosen = tuning(cluster, declared, facts)
    parameters: dict[str, ParameterValue] = {
        "listen_addresses": f"localhost, {declared.address}",
        "port": settings.port,
    }
    if declared.settings.tls.enabled:
        parameters |= {"ssl": True, "ssl_cert_file": TLS.certificate, "ssl_key_file": TLS.key}
    further = {key: value for key, value in parameters.items() if key not in chosen.names}
    folder = f"/etc/postgresql/{version(facts)}/main"
    file = File(drop_in(facts), render(chosen, further), 0o644, "postgres", "postgres")
    desired = {one.name: one.value for one in chosen.settings}
    desired |= {key: given(key, value).value for key, value in further.items()}
    needed_for, perhaps_for = _restarts(file, desired, facts)
    return ConfigSet(
        name,
        files=(
            file,
            File(
                f"{folder}/pg_hba.conf",
                hba(cluster, declared),
                0o640,
                "postgres",
                "postgres",
                shown=True,
            ),
        ),
        activation=Activation(
            unit=unit(facts),
            how="start",
            commands=(
                (
                    *tools.RUN.split(),
                    "activate-postgresql",
                    unit(facts),
                    "may-restart" if may_restart else "reload-only",
                ),
            ),
            reloads=(unit(facts),),
            restart=Restart(unit(facts), needed_for, perhaps_for, may_restart),
        ),
        health=checks(facts),
    )


def _restarts(
    file: File, desired: Mapping[str, str], facts: Facts
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of what changes in the drop-in: what takes a restart, and what perhaps does.

    The server's facts show a parameter only when it is set somewhere.
    """
    answer = facts.get("postgresql", {})
    if not answer or "error" in answer or facts.get("files", {}).get(file.path) == file.as_fact():
        return (), ()
    state = parse_state(json.dumps(answer))
    changing = [
        one
        for one in differences(desired, state, file.path)
        if one.obstacle is not Obstacle.SHADOWED
    ]
    present = state.settings
    known = (one.name for one in changing if one.name in present)
    return (
        tuple(name for name in known if present[name].context == "postmaster"),
        tuple(one.name for one in changing if one.name not in present),
    )


def hba(cluster: Cluster, declared: ClusterHost) -> str:
    """Who may log in from where: each role from the hosts that need it, and from nowhere else."""
    settings = declared.settings.postgresql
    roles = settings.roles
    wanted = {
        roles.app: ("apps",),
        roles.agent: ("apps", "balancers"),
        roles.ledger: ("monitors", "databases"),
    }
    entries = {
        (role, one.address)
        for role, groups in wanted.items()
        for group in groups
        for one in cluster.group(group)
    }
    rendered = render_hba(settings.database, sorted(entries), tls=declared.settings.tls.enabled)
    return rendered + "".join(f"{line}\n" for line in settings.hba_extra)


def roles(settings: Settings) -> tuple[Role, ...]:
    """The roles as such; what logs in as them is a login for each password."""
    names, passwords = settings.postgresql.roles, settings.postgresql.passwords
    return (
        Role(names.owner, passwords.owner.get_secret_value(), settings=OWNER_TIMEOUTS),
        Role(names.app, passwords.app.get_secret_value(), settings=APP_TIMEOUTS),
        Role(
            names.monitor,
            passwords.monitor.get_secret_value(),
            connection_limit=5,
            settings=MONITOR_TIMEOUTS,
            memberships=frozenset({"pg_monitor"}),
        ),
        Role(names.ledger, passwords.ledger.get_secret_value(), settings=LEDGER_TIMEOUTS),
        Role(names.agent, passwords.agent.get_secret_value(), settings=LEDGER_TIMEOUTS),
    )


def statements(settings: Settings, answer: Facts) -> Iterable[Statement]:
    """What brings roles, database and ledger to the settings and this release; nothing where they
    are. Raises NewerLedgerError for a ledger of a newer release.
    """
    if not answer or "error" in answer:
        return ()
    state = parse_state(json.dumps(answer))
    names = settings.postgresql.roles
    database = Database(
        settings.postgresql.database,
        owner=names.owner,
        writers=frozenset({names.app}),
        connect=frozenset({names.monitor, names.ledger, names.agent}),
        schemas={"stellwerk": "postgres"},
    )
    ledger = state.ledger_of(database.name)
    others = frozenset({names.owner, names.app, names.monitor})
    return (
        *role_statements(_with_logins(settings), state.roles),
        *database_statements(
            database, state.databases.get(database.name), state.contents_of(database.name)
        ),
        *migration_statements(ledger.version, database.name),
        *grant_statements(
            LedgerRoles(names.agent, names.ledger, others), ledger.privileges, database.name
        ),
        *removal_statements(
            settings.postgresql.remove_roles, state.roles, database.name, names.owner
        ),
    )


def new_logins(settings: Settings, answer: Facts) -> Iterable[Statement]:
    """What lets passwords in that are new, on a server that knows those of before.

    To be run before any host is given them: whatever starts there can log in at any moment.
    """
    if not answer or "error" in answer:
        return ()
    present = parse_state(json.dumps(answer)).roles
    rotated = [role for role in roles(settings) if role.name in present]
    logins = tuple(login for role in rotated for login in with_logins(role)[1:])
    return role_statements(logins, present)


def former(settings: Settings, answer: Facts) -> Mapping[str, int]:
    """The logins that passwords of before still let in, each with the number of its sessions."""
    if not answer or "error" in answer:
        return {}
    present = parse_state(json.dumps(answer)).roles
    found = (former_logins(role, present).items() for role in roles(settings))
    return {name: state.sessions for logins in found for name, state in logins}


def _with_logins(settings: Settings) -> tuple[Role, ...]:
    return tuple(one for role in roles(settings) for one in with_logins(role))


def pending(answer: Facts) -> tuple[str, ...]:
    """The settings that wait for a restart, as the server says."""
    if not answer or "error" in answer:
        return ()
    return pending_restart(parse_state(json.dumps(answer)))


def checks(facts: Facts) -> tuple[Check, ...]:
    return (
        {"kind": "unit", "unit": unit(facts)},
        {"kind": "postgresql", "unit": unit(facts), "file": drop_in(facts)},
    )
