"""Passwords on a host: one root-only file each, handed to units as systemd credentials (C9)."""

from collections.abc import Mapping

from deploys.engine.resources import ConfigSet, Directory, File
from stellwerk.settings.cluster import ClusterHost

FOLDER = "/etc/stellwerk/credentials"


def path(name: str) -> str:
    return f"{FOLDER}/{name}"


def wanted(declared: ClusterHost) -> Mapping[str, str]:
    """The credentials that this host's groups need, by file name."""
    settings, groups = declared.settings, set(declared.groups)
    redis, database = settings.redis.passwords, settings.postgresql.passwords
    found = {}
    if "caches" in groups:
        found["redis.admin"] = redis.admin
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
    return {name: secret.get_secret_value() for name, secret in found.items()}


def config(declared: ClusterHost) -> ConfigSet:
    return ConfigSet(
        "credentials",
        directories=(Directory(FOLDER, mode=0o700),),
        files=tuple(
            File(path(name), value, mode=0o600) for name, value in wanted(declared).items()
        ),
    )
