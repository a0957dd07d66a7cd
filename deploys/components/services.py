"""What runs as a service: its release, unit and environment; and the sample's data.

How these become a generation that instances are pinned to is in `generations`.
"""

import re
from dataclasses import dataclass

from deploys.components import cache, credentials, tls
from deploys.components.base import HEADER
from deploys.engine import invocation, programs
from deploys.engine.render import render
from deploys.engine.resources import Activation, ConfigSet, File, lines
from stellwerk.settings import Settings
from stellwerk.settings.cluster import Cluster, ClusterHost
from stellwerk.settings.program import is_inside
from stellwerk.settings.services import Service

SLICE = "stellwerk-services.slice"
UNITS = "/etc/systemd/system"
SEED_UNIT = "stellwerk-sample-seed.service"


@dataclass(frozen=True)
class ServiceRelease:
    """The release a service runs: its name and folder, both empty for a program of the host's."""

    name: str = ""
    path: str = ""


def is_sample(service: Service) -> bool:
    """Whether the service runs the bundled sample."""
    return service.command is None


def release_of(settings: Settings, name: str, runtime: str) -> ServiceRelease:
    """What the service runs; `runtime` is the name of the runtime's release."""
    service, prefix = settings.services[name], settings.runtime.prefix
    if is_sample(service):
        return ServiceRelease(runtime, f"{prefix}/releases/{runtime}")
    if service.program is not None:
        release = invocation.source_of(service.program).release
        return ServiceRelease(release, f"{programs.prefix_of(prefix, name)}/releases/{release}")
    return ServiceRelease()


def command(service: Service, release: ServiceRelease) -> str:
    """The unit's ExecStart. It names the release, so that an old generation keeps its code."""
    if service.command is None:
        return f"{release.path}/bin/stellwerk sample serve"
    program, *arguments = service.command
    if service.program is not None and is_inside(program):
        program = f"{release.path}/{program}"
    return " ".join(_argument(word) for word in (program, *arguments))


def shared_credentials() -> dict[str, str]:
    """The secrets every service is handed, as credential and the file it is in."""
    return {
        "postgresql.password": credentials.path("postgresql.app"),
        "redis.password": credentials.path("redis.app"),
        "sentinel.password": credentials.path("sentinel.password"),
        "caching.encryption.key": credentials.path("caching.encryption_key"),
    }


def own_credentials(declared: ClusterHost) -> tuple[File, ...]:
    """The secrets that services were given in the settings."""
    return tuple(
        File(credentials.path(f"{name}.{key}"), secret.get_secret_value(), mode=0o600)
        for name, service in sorted(declared.settings.services.items())
        for key, secret in sorted(service.credentials.items())
    )


def slice_file() -> File:
    """The slice that all instances are in."""
    return File(
        f"{UNITS}/{SLICE}",
        lines(HEADER, "[Unit]", "Description=Services run by Stellwerk"),
    )


def unit(
    settings: Settings, name: str, service: Service, release: ServiceRelease, folder: str
) -> str:
    """The template unit of a generation whose files are in `folder`."""
    own = {key: credentials.path(f"{name}.{key}") for key in sorted(service.credentials)}
    return render(
        "services/service.j2",
        header=HEADER,
        name=name,
        service=service,
        command=command(service, release),
        release=release,
        folder=folder,
        credentials={**shared_credentials(), **own},
        login=credentials.login_path("postgresql.app"),
        slice=SLICE,
        nofile_limit=settings.base.nofile_limit,
    )


def environment(cluster: Cluster, declared: ClusterHost, name: str, address: str) -> str:
    """What the instances at an address are told: where database and cache are, no secrets.

    The login is told with its password: the two change together.
    """
    settings = declared.settings
    service = settings.services[name]
    databases = cluster.group("databases")
    values = {
        "SERVICE_NAME": name,
        "BIND_ADDRESS": ",".join(dict.fromkeys(("127.0.0.1", address))),
        "SHUTDOWN_TIMEOUT": str(max(1, service.stop_timeout_seconds - 5)),
        "REDIS_SENTINELS": ",".join(
            f"{one.address}:{one.settings.sentinel.port}" for one in cluster.group("sentinels")
        ),
        "REDIS_MASTER": settings.sentinel.master_name,
        "REDIS_USER": "app",
    }
    if cluster.group("caches"):
        values["CACHE_SETTINGS"] = cache.SERVICES_PATH
    if databases:
        values |= {
            "DATABASE_HOST": databases[0].address,
            "DATABASE_PORT": str(databases[0].settings.postgresql.port),
            "DATABASE_NAME": databases[0].settings.postgresql.database,
        }
        if (schema := databases[0].settings.database.event_store_schema) != "public":
            values["DATABASE_EVENT_SCHEMA"] = schema
    if settings.tls.enabled:
        # Read again at each connect, so that a renewed authority takes no restart.
        values |= {"DATABASE_TLS_CA": tls.AUTHORITY, "REDIS_TLS_CA": tls.AUTHORITY}
    values |= service.environment
    return lines(HEADER, [f"{key}={_value(value)}" for key, value in sorted(values.items())])


def data(declared: ClusterHost) -> tuple[ConfigSet, ...]:
    """The sample's data where a service runs it, put into the database by a unit of its own."""
    settings = declared.settings
    if "databases" not in declared.groups or not any(map(is_sample, settings.services.values())):
        return ()
    postgresql = settings.postgresql
    text = render(
        "services/sample-seed.j2",
        header=HEADER,
        settings=settings,
        postgresql=postgresql,
        credential=credentials.path("postgresql.owner"),
        login=credentials.login_path("postgresql.owner"),
    )
    seed = ConfigSet(
        "sample-seed",
        files=(File(f"{UNITS}/{SEED_UNIT}", text),),
        activation=Activation(
            daemon_reload=True, commands=(("systemctl", "start", "--wait", SEED_UNIT),)
        ),
    )
    return (seed,)


def _argument(word: str) -> str:
    """A word of ExecStart, where systemd expands % and $."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _value(value: str) -> str:
    """A value in an environment file, which systemd reads as a shell reads double quotes."""
    return '"' + re.sub(r'([\\"`$])', r"\\\1", value) + '"'
