"""The monitor of every host: its unit, credentials, and what it is told of the settings."""

from collections.abc import Iterable, Mapping
from typing import Any

from deploys.components import credentials, tls
from deploys.components.base import HEADER, MONITOR, yaml_document
from deploys.engine.render import render
from deploys.engine.resources import Activation, Check, ConfigSet, File
from stellwerk.metrics.monitor.certificate import CERTIFICATE, KEY
from stellwerk.settings import Settings
from stellwerk.settings.cluster import Cluster, ClusterHost
from stellwerk.settings.files import host_document

UNIT = "stellwerk-monitor.service"
PATH = "/etc/stellwerk/monitor.yaml"
START_SECONDS = 30.0  # of which it needs 2, and 2 more where a source is frozen
# What reading nginx's access log takes.
_GROUPS = {"balancers": ("adm",)}
# All that it reads of the settings, so that it is restarted for nothing else. `*` is any name; of
# services also what no service can be without.
TOLD = (
    "baselines",
    "caching.alerts",
    "monitoring",
    "postgresql.database",
    "postgresql.port",
    "postgresql.roles.monitor",
    "redis.memory_use_percent",
    "redis.port",
    "redis.replica_port",
    "scaling.export",
    "sentinel.master_name",
    "sentinel.port",
    "services.*.backend_name",
    "services.*.health_path",
    "services.*.max_instances",
    "services.*.memory",
    "services.*.port_base",
    "tls.enabled",
)
TOLD_OF_GROUPS = {
    "apps": ("caching.invalidation.admin.port",),
    "balancers": ("nginx.locations", "nginx.status_port"),
    "databases": ("database.event_store_schema", "database.views.*.refresh_interval_seconds"),
}


def configs(
    cluster: Cluster,
    declared: ClusterHost,
    runtime: str,
    certificate: tls.HostCertificate | None,
) -> tuple[ConfigSet, ...]:
    """`runtime` is the name of the runtime's release.

    The monitor is restarted for a new release, setting of its own, password or certificate.
    """
    return (_monitor(cluster, declared, runtime, certificate),)


def checks(settings: Settings) -> tuple[Check, ...]:
    """The monitor runs and collects."""
    url = f"http://127.0.0.1:{settings.monitoring.port}/health"
    return ({"kind": "unit", "unit": UNIT}, {"kind": "http", "url": url, "unit": UNIT})


def document(cluster: Cluster, declared: ClusterHost) -> dict[str, Any]:
    """What the monitor of a host is told, in the form of the host's settings file."""
    whole = host_document(cluster, declared)
    keys = [*TOLD, *(key for group in declared.groups for key in TOLD_OF_GROUPS.get(group, ()))]
    told = picked(whole["settings"], [key.split(".") for key in keys])
    told["monitoring"].pop("prometheus", None)  # another program's
    members = {one.name: whole["members"][one.name] for one in _members(cluster, declared)}
    return {**whole, "members": members, "settings": told}


def picked(values: Mapping[str, Any], paths: Iterable[list[str]]) -> dict[str, Any]:
    """The values at these paths, in a tree of the same form. `*` is any key."""
    below: dict[str, list[list[str]]] = {}
    for first, *rest in paths:
        for key in values if first == "*" else (first,):
            below.setdefault(key, []).append(rest)
    return {
        key: values[key] if [] in rests else picked(values[key], rests)
        for key, rests in below.items()
        if key in values
    }


def _members(cluster: Cluster, declared: ClusterHost) -> Iterable[ClusterHost]:
    """Whom it knows of: on `monitors` all, which are seen from there; else its own host and, as a
    cache that is alone has a second Redis, one that this is not alone with.
    """
    if "monitors" in declared.groups:
        return cluster.hosts.values()
    others = [one for one in cluster.group("caches") if one.name != declared.name]
    return (declared, *(others[:1] if "caches" in declared.groups else ()))


def _credentials(declared: ClusterHost) -> dict[str, str]:
    """Which file holds each secret that the monitor is handed, by the key of the settings."""
    found = {
        "monitoring.token": "monitoring.token",
        "monitoring.receivers.slack.webhook_url": "monitoring.receivers.slack.webhook_url",
        "monitoring.receivers.email.smtp_password": "monitoring.receivers.email.smtp_password",
    }
    if "databases" in declared.groups:
        found["postgresql.passwords.monitor"] = "postgresql.monitor"
    if "caches" in declared.groups:
        found["redis.passwords.monitor"] = "redis.monitor"
    if "sentinels" in declared.groups:
        found["sentinel.password"] = "sentinel.password"
    wanted = credentials.wanted(declared)
    return {key: name for key, name in found.items() if name in wanted}


def _monitor(
    cluster: Cluster,
    declared: ClusterHost,
    runtime: str,
    certificate: tls.HostCertificate | None,
) -> ConfigSet:
    settings = declared.settings
    secrets = credentials.wanted(declared)
    handed = _credentials(declared)
    held = {key: credentials.path(name) for key, name in handed.items()}
    # Here as well, as the monitor reads them at its start.
    files = [File(credentials.path(name), secrets[name], mode=0o600) for name in handed.values()]
    if certificate is not None:
        held |= {CERTIFICATE: tls.HOST.certificate, KEY: tls.HOST.key}
        files += tls.files(tls.HOST, certificate)
    unit = render(
        "monitor/monitor.service.j2",
        header=HEADER,
        command=f"{settings.runtime.prefix}/releases/{runtime}/bin/stellwerk monitor",
        credentials=held,
        user=MONITOR,
        groups=[group for role, names in _GROUPS.items() if role in declared.groups
                for group in names],
        state=MONITOR,
        limits=settings.runtime.daemons.monitor,
    )  # fmt: skip
    told = f"{HEADER}\n{yaml_document(document(cluster, declared))}"
    return ConfigSet(
        "monitor",
        files=(File(PATH, told), File(f"/etc/systemd/system/{UNIT}", unit), *files),
        activation=Activation(unit=UNIT, how="restart", daemon_reload=True),
        health=checks(settings),
        health_seconds=START_SECONDS,
        lasting=(credentials.FOLDER, tls.FOLDER),
    )
