"""Passwords on a host: one root-only file each, handed to units as systemd credentials (C9).

A file with a password of Redis or Sentinel is replaced only when the servers take it, so these come
in configurations of their own. The login that goes with a password of PostgreSQL is in a file
beside it: they change together.
"""

from collections.abc import Iterator, Mapping

from deploys.engine.resources import ConfigSet, Directory, File
from stellwerk.database.logins import login_of
from stellwerk.settings.cluster import ClusterHost
from stellwerk.settings.types import Secret

FOLDER = "/etc/stellwerk/credentials"
LASTING = (FOLDER,)  # until what uses them has left the host
REDIS, SENTINEL = "redis.", "sentinel."
STAMPS = ("credentials", *(f"{prefix}passwords" for prefix in (REDIS, SENTINEL)))
"""The names of the configurations below."""


def path(name: str) -> str:
    return f"{FOLDER}/{name}"


def login_path(name: str) -> str:
    """The environment file with the login of a password of PostgreSQL, as DATABASE_USER."""
    return f"{path(name)}.environment"


def wanted(declared: ClusterHost) -> Mapping[str, str]:
    """The credentials that this host's groups need, by file name."""
    settings, groups = declared.settings, set(declared.groups)
    redis, database = settings.redis.passwords, settings.postgresql.passwords
    found = {"monitoring.token": settings.monitoring.token, **_receivers(declared)}
    if "caches" in groups:
        found["redis.admin"] = redis.admin
        found["redis.monitor"] = redis.monitor
        found["redis.replication"] = redis.replication
    if groups & {"sentinels", "caches", "apps"}:
        found["sentinel.password"] = settings.sentinel.password
    if "apps" in groups:
        found["redis.app"] = redis.app
        found["postgresql.app"] = database.app
    if groups & {"apps", "balancers"}:
        found["postgresql.agent"] = database.agent
    if groups & {"monitors", "databases"}:
        found["postgresql.ledger"] = database.ledger
    if "databases" in groups:
        found["postgresql.owner"] = database.owner
        found["postgresql.monitor"] = database.monitor
    return {name: secret.get_secret_value() for name, secret in found.items()}


def configs(declared: ClusterHost) -> tuple[ConfigSet, ...]:
    """All of the below, which are installed at different times."""
    servers = (found for prefix in (REDIS, SENTINEL) for found in passwords(declared, prefix))
    return (config(declared), *servers)


def config(declared: ClusterHost) -> ConfigSet:
    """The folder, and the credentials that are no password of Redis or Sentinel."""
    servers = (path(REDIS), path(SENTINEL))
    files = (file for file in _files(declared) if not file.path.startswith(servers))
    return ConfigSet(
        "credentials",
        directories=(Directory(FOLDER, mode=0o700),),
        files=(*files, *_logins(declared)),
        lasting=LASTING,
    )


def passwords(declared: ClusterHost, prefix: str) -> tuple[ConfigSet, ...]:
    """The passwords of Redis (`REDIS`) or Sentinel (`SENTINEL`) that this host's groups need."""
    files = tuple(file for file in _files(declared) if file.path.startswith(path(prefix)))
    config = ConfigSet(f"{prefix}passwords", files=files, lasting=LASTING)
    return (config,) if files else ()


def _receivers(declared: ClusterHost) -> Mapping[str, Secret]:
    """What receivers of alerts were given, by the keys of the settings."""
    receivers = declared.settings.monitoring.receivers
    given = {
        "monitoring.receivers.slack.webhook_url": receivers.slack.webhook_url,
        "monitoring.receivers.email.smtp_password": receivers.email.smtp_password,
    }
    return {key: secret for key, secret in given.items() if secret is not None}


def _files(declared: ClusterHost) -> tuple[File, ...]:
    return tuple(File(path(name), value, mode=0o600) for name, value in wanted(declared).items())


def _logins(declared: ClusterHost) -> Iterator[File]:
    roles, found = declared.settings.postgresql.roles, wanted(declared)
    for name, role in (("postgresql.app", roles.app), ("postgresql.owner", roles.owner)):
        if name in found:
            login = login_of(role, found[name])
            yield File(login_path(name), f"DATABASE_USER={login}\n", mode=0o600)
