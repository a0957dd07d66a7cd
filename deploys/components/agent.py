"""The agent of app and balancer hosts: its user, unit, configuration, and what it may do (C10)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from deploys.components import credentials, tls
from deploys.components.base import HEADER
from deploys.engine import tools
from deploys.engine.render import render
from deploys.engine.resources import Activation, Check, ConfigSet, File, lines
from stellwerk.database.logins import login_of
from stellwerk.instances import configuration
from stellwerk.instances.agent.nginx import APPLY_UNIT
from stellwerk.instances.configuration import (
    AgentConfiguration,
    Balancer,
    LedgerAddress,
    ServiceFigures,
)
from stellwerk.settings import Settings
from stellwerk.settings.cluster import Cluster, ClusterHost

PACKAGES = ("polkitd",)
ROLES = ("apps", "balancers")
USER = "stellwerk-agent"
UNIT = "stellwerk-agent.service"
UNITS = "/etc/systemd/system"
RULES = "/etc/polkit-1/rules.d/90-stellwerk.rules"
# What reading instances' journals, HAProxy's socket and nginx's access log takes.
_GROUPS = {"apps": ("systemd-journal",), "balancers": ("haproxy", "adm")}


@dataclass(frozen=True)
class Permission:
    """Units by an anchored regular expression, as JavaScript and Python alike read it."""

    pattern: str
    verbs: tuple[str, ...]


def roles(declared: ClusterHost) -> tuple[str, ...]:
    """What the agent does on a host; on one without a role there is none."""
    return tuple(role for role in ROLES if role in declared.groups)


def configs(cluster: Cluster, declared: ClusterHost, runtime: str) -> tuple[ConfigSet, ...]:
    """In order; `runtime` is the name of the runtime's release.

    The agent is restarted for a new release, configuration or password, and for nothing else.
    """
    if not roles(declared):
        return ()
    return (_user(declared), _permissions(declared), _agent(cluster, declared, runtime))


def checks(declared: ClusterHost) -> tuple[Check, ...]:
    """The agent runs."""
    return ({"kind": "unit", "unit": UNIT},) if roles(declared) else ()


def permissions(declared: ClusterHost) -> Iterator[Permission]:
    """What polkit lets the agent do: with declared instances, their pins, and nginx."""
    settings = declared.settings
    if "apps" in declared.groups:
        for name in sorted(settings.services):
            ports = "|".join(map(str, settings.ports(name)))
            instance = f"{re.escape(name)}{{}}(?:{ports})"
            running = ("start", "stop", "restart", "reset-failed")
            yield Permission(f"^{instance.format('@')}\\.service$", running)
            yield Permission(
                f"^stellwerk-pin@{instance.format(':')}:[0-9a-f]{{16}}\\.service$", ("start",)
            )
            yield Permission(f"^stellwerk-unpin@{instance.format(':')}\\.service$", ("start",))
    if "balancers" in declared.groups:
        yield Permission(f"^{re.escape(APPLY_UNIT)}$", ("start",))


def document(cluster: Cluster, declared: ClusterHost, runtime: str) -> AgentConfiguration:
    """What the agent of a host is told."""
    settings = declared.settings
    return AgentConfiguration(
        host=declared.name,
        address=declared.address,
        roles=roles(declared),
        ledger=_ledger(cluster, settings),
        services={name: _figures(settings, name) for name in sorted(settings.services)},
        balancers=tuple(
            Balancer(one.name, one.address, one.settings.nginx.port)
            for one in cluster.group("balancers")
        ),
        release=runtime,
        heartbeat=settings.agent.heartbeat_seconds,
        lost_after=settings.agent.lost_after_seconds,
        nginx_reload_interval=settings.agent.nginx_reload_interval_seconds,
        sample_retention=settings.scaling.metrics_retention_seconds,
    )


def _ledger(cluster: Cluster, settings: Settings) -> LedgerAddress:
    (database,) = cluster.group("databases")
    postgresql = database.settings.postgresql
    return LedgerAddress(
        host=database.address,
        port=postgresql.port,
        database=postgresql.database,
        user=login_of(
            postgresql.roles.agent, settings.postgresql.passwords.agent.get_secret_value()
        ),
        tls_authority=tls.AUTHORITY if settings.tls.enabled else None,
    )


def _figures(settings: Settings, name: str) -> ServiceFigures:
    service, ports = settings.services[name], settings.ports(name)
    tried = service.health_check
    return ServiceFigures(
        name=name,
        first_port=ports[0],
        last_port=ports[-1],
        health_path=service.health_path,
        health_grace=tried.first_after_seconds,
        health_timeout=tried.timeout_seconds,
        health_tries=tried.tries,
        start_timeout=service.start_timeout_seconds,
        drain_timeout=service.drain_timeout_seconds,
        stop_timeout=service.stop_timeout_seconds,
        balancer=service.balancer,
        backend=service.backend_name,
        listen_port=service.listen_port,
    )


def _user(declared: ClusterHost) -> ConfigSet:
    groups = [group for role in roles(declared) for group in _GROUPS[role]]
    rows = [f"m {USER} {group}" for group in groups]
    return ConfigSet(
        "agent-user",
        files=(
            File(
                f"/etc/sysusers.d/{USER}.conf",
                lines(
                    HEADER,
                    f'u {USER} - "Stellwerk agent" {configuration.STATE} /usr/sbin/nologin',
                    rows,
                ),
            ),
        ),
        activation=Activation(commands=(("systemd-sysusers", f"{USER}.conf"),)),
    )


def _permissions(declared: ClusterHost) -> ConfigSet:
    rules = render("agent/polkit.rules.j2", user=USER, permissions=[*permissions(declared)])
    files = [File(RULES, rules)]
    if "apps" in declared.groups:
        for verb, what in (("pin", "Pins an instance:"), ("unpin", "Takes the pin off")):
            text = render(
                "agent/pin.service.j2",
                header=HEADER,
                description=what,
                command=f"{tools.RUN} {verb}",
                units=UNITS,
            )
            files.append(File(f"{UNITS}/stellwerk-{verb}@.service", text))
    return ConfigSet(
        "agent-permissions", files=tuple(files), activation=Activation(daemon_reload=True)
    )


def _agent(cluster: Cluster, declared: ClusterHost, runtime: str) -> ConfigSet:
    settings = declared.settings
    password = credentials.path("postgresql.agent")
    unit = render(
        "agent/agent.service.j2",
        header=HEADER,
        command=f"{settings.runtime.prefix}/releases/{runtime}/bin/stellwerk agent",
        credential=password,
        user=USER,
        state=configuration.STATE.name,
        limits=settings.runtime.daemons.agent,
    )
    return ConfigSet(
        "agent",
        files=(
            File(str(configuration.PATH), document(cluster, declared, runtime).document()),
            File(f"{UNITS}/{UNIT}", unit),
            # Here as well, as the agent reads it at its start.
            File(password, credentials.wanted(declared)["postgresql.agent"], mode=0o600),
        ),
        activation=Activation(unit=UNIT, how="restart", daemon_reload=True),
        health=checks(declared),
    )
