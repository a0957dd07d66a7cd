"""The scaler of the hosts in `monitors`: its user and unit, and whose numbers are its own (C5)."""

import json
from collections.abc import Collection

from deploys.components import credentials
from deploys.components.base import HEADER
from deploys.engine.render import render
from deploys.engine.resources import Activation, Check, ConfigSet, File, lines
from stellwerk.metrics.model import Source
from stellwerk.scaling.scaler.process import CREDENTIAL
from stellwerk.settings import Settings
from stellwerk.settings.cluster import Cluster, ClusterHost

USER = "stellwerk-scaler"
STATE = f"/var/lib/{USER}"
UNIT = "stellwerk-scaler.service"
DASHBOARD = "/etc/stellwerk/scaling-dashboard.json"
_UNITS = "/etc/systemd/system"


def runs_on(cluster: Cluster, declared: ClusterHost) -> bool:
    """Whether a host has a scaler: there has to be a ledger, and somebody to follow it."""
    return (
        "monitors" in declared.groups
        and bool(cluster.group("databases"))
        and bool(cluster.group("apps"))
    )


def scaled(cluster: Cluster) -> Collection[str]:
    """The services whose number a scaler owns: none where no host runs one."""
    for host in cluster.group("monitors"):
        services = host.settings.scaling.services
        return [name for name, policy in services.items() if policy.enabled]
    return ()


def configs(cluster: Cluster, declared: ClusterHost, runtime: str) -> tuple[ConfigSet, ...]:
    """In order; `runtime` is the name of the runtime's release.

    The scaler is restarted for a new release, limits or secrets; settings it reads again itself.
    """
    if not runs_on(cluster, declared):
        return ()
    dashboards = (_dashboard(declared.settings),) if has_dashboard(declared) else ()
    return (_user(), _scaler(declared, runtime), *dashboards)


def has_dashboard(declared: ClusterHost) -> bool:
    """Whether a host gets the dashboard of the scaler, to be imported into somebody's Grafana."""
    return "monitors" in declared.groups and declared.settings.scaling.export.grafana.enabled


def checks(cluster: Cluster, declared: ClusterHost) -> tuple[Check, ...]:
    """The scaler runs."""
    return ({"kind": "unit", "unit": UNIT},) if runs_on(cluster, declared) else ()


def _user() -> ConfigSet:
    row = f'u {USER} - "Stellwerk scaler" / /usr/sbin/nologin'
    return ConfigSet(
        "scaler-user",
        files=(File(f"/etc/sysusers.d/{USER}.conf", lines(HEADER, row)),),
        activation=Activation(commands=(("systemd-sysusers", f"{USER}.conf"),)),
    )


def _dashboard(settings: Settings) -> ConfigSet:
    # Loaded where it is needed only.
    from stellwerk.metrics.prometheus.dashboard import dashboard

    title = settings.scaling.export.grafana.dashboard
    document = dashboard(settings, title, [Source.AUTO_SCALING])
    return ConfigSet("scaling-dashboard", files=(File(DASHBOARD, f"{json.dumps(document)}\n"),))


def _scaler(declared: ClusterHost, runtime: str) -> ConfigSet:
    settings, secrets = declared.settings, credentials.wanted(declared)
    held = {name: credentials.path(name) for name in (CREDENTIAL, *credentials.receivers(declared))}
    unit = render(
        "scaler/scaler.service.j2",
        header=HEADER,
        command=f"{settings.runtime.prefix}/releases/{runtime}/bin/stellwerk scaler",
        credentials=held,
        user=USER,
        state=USER,
        limits=settings.runtime.daemons.scaler,
    )
    return ConfigSet(
        "scaler",
        files=(
            File(f"{_UNITS}/{UNIT}", unit),
            # Here as well, as the scaler reads them at its start.
            *(File(path, secrets[name], mode=0o600) for name, path in held.items()),
        ),
        activation=Activation(unit=UNIT, how="restart", daemon_reload=True),
        health=({"kind": "unit", "unit": UNIT},),
        lasting=credentials.LASTING,
    )
