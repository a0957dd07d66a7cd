"""The services' template units, their slice and environment, and what an instance runs."""

import re
from collections.abc import Sequence

from deploys.components import credentials, tls
from deploys.components.base import HEADER
from deploys.components.instances import Placed, on
from deploys.engine.render import render
from deploys.engine.resources import (
    Activation,
    Check,
    ConfigSet,
    File,
    Instance,
    digest_of,
    lines,
)
from stellwerk.settings import Settings
from stellwerk.settings.cluster import Cluster, ClusterHost
from stellwerk.settings.services import Service

SLICE = "stellwerk-services.slice"
UNITS = "/etc/systemd/system"
SEED_UNIT = "stellwerk-sample-seed.service"


def is_sample(service: Service) -> bool:
    """Whether the service runs the bundled sample."""
    return service.command is None


def command(settings: Settings, service: Service) -> str:
    """The unit's ExecStart."""
    if service.command is None:
        return f"{settings.runtime.prefix}/current/bin/stellwerk sample serve"
    return " ".join(_argument(word) for word in service.command)


def configs(cluster: Cluster, declared: ClusterHost) -> tuple[ConfigSet, ...]:
    """One template unit and environment file a service; instances are started separately."""
    if "apps" not in declared.groups:
        return ()
    settings = declared.settings
    files = [
        File(
            f"{UNITS}/{SLICE}",
            lines(HEADER, "[Unit]", "Description=Services run by Stellwerk"),
        )
    ]
    for name, service in sorted(settings.services.items()):
        files.append(File(f"{UNITS}/{name}@.service", unit(settings, name, service)))
        files.append(
            File(f"/etc/stellwerk/services/{name}.env", environment(cluster, declared, name))
        )
        files += [
            File(credentials.path(f"{name}.{key}"), secret.get_secret_value(), mode=0o600)
            for key, secret in sorted(service.credentials.items())
        ]
    activation = Activation(daemon_reload=True)
    return (ConfigSet("services", files=tuple(files), activation=activation),)


def unit(settings: Settings, name: str, service: Service) -> str:
    passed = {
        "postgresql.password": credentials.path("postgresql.app"),
        "redis.password": credentials.path("redis.app"),
        "sentinel.password": credentials.path("sentinel.password"),
    }
    own = {key: credentials.path(f"{name}.{key}") for key in sorted(service.credentials)}
    return render(
        "services/service.j2",
        header=HEADER,
        name=name,
        service=service,
        command=command(settings, service),
        credentials={**passed, **own},
        slice=SLICE,
        nofile_limit=settings.base.nofile_limit,
    )


def environment(cluster: Cluster, declared: ClusterHost, name: str) -> str:
    """What every instance of a service is told: where database and cache are, no secrets."""
    settings = declared.settings
    service = settings.services[name]
    databases = cluster.group("databases")
    values = {
        "SERVICE_NAME": name,
        "BIND_ADDRESS": ",".join(dict.fromkeys(("127.0.0.1", declared.address))),
        "SHUTDOWN_TIMEOUT": str(max(1, service.stop_timeout_seconds - 5)),
        "REDIS_SENTINELS": ",".join(
            f"{one.address}:{one.settings.sentinel.port}" for one in cluster.group("sentinels")
        ),
        "REDIS_MASTER": settings.sentinel.master_name,
        "REDIS_USER": "app",
    }
    if databases:
        values |= {
            "DATABASE_HOST": databases[0].address,
            "DATABASE_PORT": str(databases[0].settings.postgresql.port),
            "DATABASE_NAME": databases[0].settings.postgresql.database,
            "DATABASE_USER": databases[0].settings.postgresql.roles.app,
        }
    if settings.tls.enabled:
        # Read again at each connect, so that a renewed authority takes no restart.
        values |= {"DATABASE_TLS_CA": tls.AUTHORITY, "REDIS_TLS_CA": tls.AUTHORITY}
    values |= service.environment
    return lines(HEADER, [f"{key}={_value(value)}" for key, value in sorted(values.items())])


def instances(
    cluster: Cluster, declared: ClusterHost, placed: Sequence[Placed], release: str
) -> tuple[Instance, ...]:
    """The instances of a host with the generation each should run."""
    settings = declared.settings
    found = []
    for one in on(declared, placed):
        service = settings.services[one.service]
        generation = digest_of(
            unit(settings, one.service, service),
            environment(cluster, declared, one.service),
            sorted(credentials.wanted(declared).items()),
            {key: secret.get_secret_value() for key, secret in service.credentials.items()},
            release if is_sample(service) else "",
        )
        tried = service.health_check
        found.append(
            Instance(
                one.name,
                generation,
                health=health(one, service),
                health_seconds=tried.first_after_seconds + tried.timeout_seconds * tried.tries,
            )
        )
    return tuple(found)


def health(one: Placed, service: Service) -> Check:
    return {
        "kind": "http",
        "url": f"http://{one.endpoint}{service.health_path}",
        "unit": f"{one.name}.service",
    }


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
