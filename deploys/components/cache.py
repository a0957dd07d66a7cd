"""The cache on app hosts: the daemon with its user, unit and credentials, and what it and the
services are told.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from deploys.components import credentials, tls
from deploys.components.base import HEADER
from deploys.engine.render import render
from deploys.engine.resources import Activation, Check, ConfigSet, File, lines
from stellwerk.database.logins import login_of
from stellwerk.settings import Settings
from stellwerk.settings.cluster import Cluster, ClusterHost
from stellwerk.settings.files import settings_document

USER = "stellwerk-cache"
UNIT = "stellwerk-cache.service"
PATH = "/etc/stellwerk/cache.json"
SERVICES_PATH = "/etc/stellwerk/services-cache.json"
AUDIT = f"/var/log/{USER}/requests.jsonl"
REDIS_USER = "app"  # it invalidates and loads what services keep, and may do no more than they
STAMPS = ("cache", "cache-services", "cache-user")
"""The names of the configurations below."""
TOLD = ("caches", "client", "compression", "encryption", "invalidation", "metrics", "warming")
"""The parts of the settings of the cache that the daemon reads."""
TOLD_SERVICES = (
    *("caches", "client", "compression", "encryption", "invalidation", "metrics"),
    *("rate_limits", "write_behind"),
)
"""Those that services read."""
_CREDENTIALS = {
    "redis.passwords.app": "redis.app",
    "sentinel.password": "sentinel.password",
    "postgresql.passwords.app": "postgresql.app",
    "caching.encryption.key": "caching.encryption_key",
    "caching.invalidation.admin.token": "caching.token",
    "caching.invalidation.admin.token_for_all": "caching.token_for_all",
}
"""Which file holds each secret that it is handed, by the key of the settings."""


def is_wanted(declared: ClusterHost) -> bool:
    """Whether a host has it."""
    return "apps" in declared.groups


def configs(
    cluster: Cluster,
    declared: ClusterHost,
    runtime: str,
    certificate: tls.HostCertificate | None,
) -> tuple[ConfigSet, ...]:
    """In order; `runtime` is the name of the runtime's release.

    The daemon is restarted for a new release, setting of its own, password or authority, and for
    nothing else. Services go on meanwhile: they use the cache without it, and read what they are
    told when they start.
    """
    if not is_wanted(declared) or not cluster.group("caches"):
        return ()
    return (
        _user(),
        _services(cluster, declared),
        _daemon(cluster, declared, runtime, certificate),
    )


def checks(cluster: Cluster, declared: ClusterHost) -> tuple[Check, ...]:
    """The daemon runs and answers."""
    if not is_wanted(declared) or not cluster.group("caches"):
        return ()
    return _health(declared.settings)


def document(cluster: Cluster, declared: ClusterHost) -> dict[str, Any]:
    """What the daemon of a host is told; its passwords and tokens are credentials."""
    settings = declared.settings
    found = _document(cluster, settings, TOLD) | {"audit": AUDIT}
    if cluster.group("databases"):
        found["database"] = _dsn(cluster, settings)
    return found


def services_document(cluster: Cluster, declared: ClusterHost) -> dict[str, Any]:
    """What the services of a host are told; secrets are credentials of theirs."""
    return _document(cluster, declared.settings, TOLD_SERVICES)


def _document(cluster: Cluster, settings: Settings, told: Iterable[str]) -> dict[str, Any]:
    caching = settings_document(settings)["caching"]
    return {
        "caching": {name: caching[name] for name in told},
        "redis": _redis(cluster, settings),
    }


def _redis(cluster: Cluster, settings: Settings) -> dict[str, Any]:
    about: dict[str, Any] = {"user": REDIS_USER}
    if settings.tls.enabled:
        about["tls_ca"] = tls.AUTHORITY
    if sentinels := cluster.group("sentinels"):
        return about | {
            "master": settings.sentinel.master_name,
            "sentinels": [_listener(one, one.settings.sentinel.port) for one in sentinels],
        }
    server, *_ = cluster.group("caches")
    return about | {"server": _listener(server, server.settings.redis.port)}


def _listener(host: ClusterHost, port: int) -> dict[str, Any]:
    return {"host": host.address, "port": port}


def _dsn(cluster: Cluster, settings: Settings) -> str:
    """The connection string; the login is told with its password, as the two change together."""
    (database,) = cluster.group("databases")
    postgresql = database.settings.postgresql
    password = settings.postgresql.passwords.app.get_secret_value()
    values: dict[str, str | int] = {
        "host": database.address,
        "port": postgresql.port,
        "dbname": postgresql.database,
        "user": login_of(postgresql.roles.app, password),
        "sslmode": "verify-full" if settings.tls.enabled else "disable",
    }
    if settings.tls.enabled:
        values["sslrootcert"] = tls.AUTHORITY
    return " ".join(f"{name}={value}" for name, value in values.items())


def _user() -> ConfigSet:
    return ConfigSet(
        "cache-user",
        files=(
            File(
                f"/etc/sysusers.d/{USER}.conf",
                lines(HEADER, f'u {USER} - "Stellwerk cache" / /usr/sbin/nologin'),
            ),
        ),
        activation=Activation(commands=(("systemd-sysusers", f"{USER}.conf"),)),
    )


def _services(cluster: Cluster, declared: ClusterHost) -> ConfigSet:
    told = _text(services_document(cluster, declared))
    return ConfigSet("cache-services", files=(File(SERVICES_PATH, told),))


def _daemon(
    cluster: Cluster,
    declared: ClusterHost,
    runtime: str,
    certificate: tls.HostCertificate | None,
) -> ConfigSet:
    settings = declared.settings
    unit = render(
        "cache/cache.service.j2",
        header=HEADER,
        command=f"{settings.runtime.prefix}/releases/{runtime}/bin/stellwerk cache serve",
        credentials={key: credentials.path(name) for key, name in _CREDENTIALS.items()},
        user=USER,
        limits=settings.runtime.daemons.cache,
    )
    return ConfigSet(
        "cache",
        files=(
            File(PATH, _text(document(cluster, declared))),
            File(f"/etc/systemd/system/{UNIT}", unit),
            # Here as well, as the daemon reads them at its start.
            *_secrets(credentials.wanted(declared)),
            *([File(tls.AUTHORITY, certificate.authority)] if certificate is not None else []),
        ),
        activation=Activation(unit=UNIT, how="restart", daemon_reload=True),
        health=_health(settings),
        lasting=(credentials.FOLDER, tls.FOLDER),
    )


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _secrets(given: Mapping[str, str]) -> Iterable[File]:
    for name in _CREDENTIALS.values():
        yield File(credentials.path(name), given[name], mode=0o600)


def _health(settings: Settings) -> tuple[Check, ...]:
    url = f"http://127.0.0.1:{settings.caching.invalidation.admin.port}/health"
    return ({"kind": "unit", "unit": UNIT}, {"kind": "http", "url": url, "unit": UNIT})
