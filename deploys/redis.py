"""The hosts in `caches`: Redis servers, configured while they run."""

from functools import partial

from deploys.components import redis
from deploys.engine.operations import converge_redis, install_configs, restart_redis
from deploys.engine.run import here, redis_master

host = here()
cluster, declared = host.run.cluster, host.declared
concerned = "caches" in host.groups

install_configs(
    configs=(
        *redis.certificates(host.certificate),
        *redis.configs(cluster, declared, redis_master()),
    )
    if concerned
    else (),
    name="Redis",
)
converge_redis(
    plan=partial(redis.live_commands, cluster, declared) if concerned else None,
    name="Redis settings",
)
restart_redis(
    plan=partial(redis.restarts, cluster, declared, role="slave") if concerned else None,
    name="Redis replicas that need a restart",
    _serial=True,
)
restart_redis(
    plan=partial(redis.restarts, cluster, declared, role="master") if concerned else None,
    name="Redis master, if it needs a restart",
    _serial=True,
)
