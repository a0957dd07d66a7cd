"""Sentinels: the file each starts with, what is set while it runs, and which leave (C3)."""

from collections.abc import Collection, Sequence

from deploys.components import credentials, tls
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
    RedisRequest,
    Secret,
    secret_digest,
)
from stellwerk.settings import Settings
from stellwerk.settings.cluster import Cluster, ClusterHost

PACKAGES = ("redis-sentinel", "redis-tools")
MASKED = ("redis-sentinel.service",)
TLS = tls.Copy("/etc/redis/sentinel-tls", "redis")

Words = tuple[str | dict[str, str], ...]


def unit(settings: Settings) -> str:
    return f"redis-sentinel@{settings.sentinel.port}.service"


def component(port: int) -> str:
    """What a plan and the record of runs call a Sentinel."""
    return f"sentinel {port}"


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
    """What a Sentinel starts with for the first time; from then on it rewrites its file."""
    settings = declared.settings
    port = settings.sentinel.port
    configuration = _configuration(port)
    content = render(
        "sentinel/sentinel.conf.j2",
        address=declared.address,
        port=port,
        name=settings.sentinel.master_name,
        master=master,
        options=options(cluster, settings),
        password=quoted(settings.sentinel.password),
        password_digest=secret_digest(settings.sentinel.password),
        redis_password=quoted(settings.redis.passwords.sentinel),
        tls=TLS if settings.tls.enabled else None,
    )
    seed = ConfigSet(
        "sentinel",
        files=(File(configuration, content, 0o640, "redis", "redis", seed=True),),
        activation=Activation(unit=unit(settings), how="start"),
        health=({"kind": "unit", "unit": unit(settings)},),
    )
    return (seed,)


def first_passwords(declared: ClusterHost, facts: Facts) -> tuple[ConfigSet, ...]:
    """The password to ask Sentinels with, on a host that has none.

    It comes before the Sentinel: a run that ends in between would leave one that nobody can ask.
    """
    present = facts.get("files", {}).get(credentials.path("sentinel.password"))
    if "sentinels" not in declared.groups or present is not None:
        return ()
    return credentials.passwords(declared, credentials.SENTINEL)


def passwords(declared: ClusterHost) -> tuple[ConfigSet, ...]:
    """Sentinel's password for Redis. It shows none: the file's stamp tells of a change."""
    settings = declared.settings
    if "sentinels" not in declared.groups:
        return ()
    tell = (*tools.RUN.split(), "tell-sentinel", str(settings.sentinel.port))
    return (
        ConfigSet(
            "sentinel-redis-password",
            files=(
                File(
                    credentials.path("redis.sentinel"),
                    settings.redis.passwords.sentinel.get_secret_value(),
                    mode=0o600,
                ),
            ),
            activation=Activation(commands=((*tell, settings.sentinel.master_name),)),
        ),
    )


def live_commands(
    cluster: Cluster, declared: ClusterHost, facts: Facts
) -> tuple[RedisRequest, ...]:
    """What differs between the settings and the running Sentinel; a new password comes beside."""
    settings = declared.settings
    found = _running(declared, facts)
    if found is None:
        return ()
    name = settings.sentinel.master_name
    differing = {
        option: value
        for option, value in options(cluster, settings).items()
        if found["masters"][name][option] != value
    }
    commands: list[Words] = [
        ("SENTINEL", "SET", name, option, value) for option, value in differing.items()
    ]
    changed = list(differing)
    digest = secret_digest(settings.sentinel.password)
    if digest not in found["accepts"]:
        commands.append(("ACL", "SETUSER", "default", f"#{digest}"))
        changed.append("a further password")
    return _kept(settings, commands, f"setting {', '.join(changed)}")


def peer_commands(declared: ClusterHost, facts: Facts) -> tuple[RedisRequest, ...]:
    """The password by which a Sentinel logs in to the others, once all of them take it."""
    settings = declared.settings
    found = _running(declared, facts)
    if found is None or found["tells"] == secret_digest(settings.sentinel.password):
        return ()
    told: Words = (
        "SENTINEL",
        "CONFIG",
        "SET",
        "sentinel-pass",
        Secret("sentinel.password").document(),
    )
    return _kept(settings, [told], "setting the password for the others")


def withdrawals(
    declared: ClusterHost, facts: Facts, digests: Collection[str]
) -> tuple[RedisRequest, ...]:
    """Take passwords of before, given by their digests, from the running Sentinel."""
    found = _running(declared, facts)
    wanted = sorted(set(digests) & set(found["accepts"])) if found else []
    commands: list[Words] = [("ACL", "SETUSER", "default", f"!{digest}") for digest in wanted]
    return _kept(declared.settings, commands, "withdrawing the password of before")


def removals(declared: ClusterHost, facts: Facts) -> tuple[RedisRequest, ...]:
    """The Sentinels that this host no longer should have, as requests to it."""
    own = [declared.settings.sentinel.port] if "sentinels" in declared.groups else []
    passwords = [] if own else [credentials.path("redis.sentinel")]
    found = []
    for port in facts.get("sentinel", {}):
        if int(port) not in own:
            document = {
                "port": int(port),
                "unit": f"redis-sentinel@{port}.service",
                "files": [_configuration(int(port)), *passwords],
                "stamps": [] if own else ["sentinel", "sentinel-redis-password"],
            }
            reason = "is declared no more and goes"
            found.append(RedisRequest("remove-redis", component(int(port)), reason, document))
    return tuple(found)


def health(cluster: Cluster, declared: ClusterHost, reachable: Collection[str]) -> Check:
    """The others it must know are those of hosts that can be reached."""
    settings = declared.settings
    return {
        "kind": "sentinel",
        "unit": unit(settings),
        "port": settings.sentinel.port,
        "master": settings.sentinel.master_name,
        "others": sum(one.name in reachable for one in cluster.group("sentinels")) - 1,
        "replicas": max(0, len(all_servers(cluster, reachable)) - 1),
    }


def _running(declared: ClusterHost, facts: Facts) -> Facts | None:
    """What is known of this host's Sentinel; None where none watches the master."""
    settings = declared.settings.sentinel
    found: Facts = facts.get("sentinel", {}).get(str(settings.port), {})
    return found if settings.master_name in found.get("masters", {}) else None


def _kept(settings: Settings, commands: Sequence[Words], reason: str) -> tuple[RedisRequest, ...]:
    if not commands:
        return ()
    port = settings.sentinel.port
    kept = [*map(list, commands), ["SENTINEL", "FLUSHCONFIG"]]
    document = {"port": port, "sentinel": True, "commands": kept}
    return (RedisRequest("redis", component(port), reason, document),)


def _configuration(port: int) -> str:
    return f"/etc/redis/sentinel-{port}.conf"
