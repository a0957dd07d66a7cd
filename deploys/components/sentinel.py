"""Sentinels: the file each starts with, and what is set while it runs (C3)."""

from deploys.components import tls
from deploys.components.master import Endpoint
from deploys.components.redis import all_servers, quoted
from deploys.engine import tools
from deploys.engine.render import render
from deploys.engine.resources import (
    Activation,
    Check,
    ConfigSet,
    Facts,
    File,
    RedisCommands,
    Secret,
)
from stellwerk.settings import Settings
from stellwerk.settings.cluster import Cluster, ClusterHost

PACKAGES = ("redis-sentinel", "redis-tools")
MASKED = ("redis-sentinel.service",)
TLS = tls.Copy("/etc/redis/sentinel-tls", "redis")


def unit(settings: Settings) -> str:
    return f"redis-sentinel@{settings.sentinel.port}.service"


def options(cluster: Cluster, settings: Settings) -> dict[str, str]:
    """What Sentinel keeps for its master, as SENTINEL MASTER shows it."""
    sentinel = settings.sentinel
    return {
        "quorum": str(sentinel.quorum_of(len(cluster.group("sentinels")))),
        "down-after-milliseconds": str(sentinel.down_after_milliseconds),
        "failover-timeout": str(sentinel.failover_timeout_milliseconds),
        "parallel-syncs": str(sentinel.parallel_syncs),
    }


def certificates(
    settings: Settings, certificate: tls.HostCertificate | None
) -> tuple[ConfigSet, ...]:
    """Sentinel's copy of the host's certificate; one that runs is restarted for a renewed one.

    It has no CONFIG SET for it. Its restart takes no connection from Redis' clients.
    """
    restart = Activation(commands=(("systemctl", "try-restart", unit(settings)),))
    return tls.install("sentinel-tls", TLS, certificate, restart)


def configs(cluster: Cluster, declared: ClusterHost, master: Endpoint) -> tuple[ConfigSet, ...]:
    settings = declared.settings
    port = settings.sentinel.port
    configuration = f"/etc/redis/sentinel-{port}.conf"
    content = render(
        "sentinel/sentinel.conf.j2",
        address=declared.address,
        port=port,
        name=settings.sentinel.master_name,
        master=master,
        options=options(cluster, settings),
        password=quoted(settings.sentinel.password),
        redis_password=quoted(settings.redis.passwords.sentinel),
        tls=TLS if settings.tls.enabled else None,
    )
    seed = ConfigSet(
        "sentinel",
        files=(File(configuration, content, 0o640, "redis", "redis", seed=True),),
        activation=Activation(unit=unit(settings), how="start"),
        health=({"kind": "unit", "unit": unit(settings)},),
    )
    # Sentinel shows no password, so a changed one is told by this file's stamp.
    password = ConfigSet(
        "sentinel-redis-password",
        files=(
            File(
                "/etc/stellwerk/credentials/redis.sentinel",
                settings.redis.passwords.sentinel.get_secret_value(),
                mode=0o600,
            ),
        ),
        activation=Activation(
            commands=(
                (*tools.RUN.split(), "tell-sentinel", str(port), settings.sentinel.master_name),
            )
        ),
    )
    return (seed, password)


def live_commands(
    cluster: Cluster, declared: ClusterHost, facts: Facts
) -> tuple[RedisCommands, ...]:
    """What differs between the settings and the running Sentinel."""
    settings = declared.settings
    port, name = settings.sentinel.port, settings.sentinel.master_name
    present = facts.get("sentinel", {}).get(str(port), {}).get("masters", {}).get(name)
    if present is None:
        return ()
    commands: list[tuple[str | Secret, ...]] = [
        ("SENTINEL", "SET", name, option, value)
        for option, value in options(cluster, settings).items()
        if present[option] != value
    ]
    if not commands:
        return ()
    return (RedisCommands(port, (*commands, ("SENTINEL", "FLUSHCONFIG")), sentinel=True),)


def health(cluster: Cluster, declared: ClusterHost) -> Check:
    settings = declared.settings
    return {
        "kind": "sentinel",
        "unit": unit(settings),
        "port": settings.sentinel.port,
        "master": settings.sentinel.master_name,
        "others": len(cluster.group("sentinels")) - 1,
        "replicas": len(all_servers(cluster)) - 1,
    }
