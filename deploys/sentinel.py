"""The hosts in `sentinels`: Sentinels that watch the Redis servers."""

from functools import partial

from deploys.components import sentinel
from deploys.engine.operations import converge_redis, install_configs
from deploys.engine.run import here, redis_master

host = here()
cluster, declared = host.run.cluster, host.declared
concerned = "sentinels" in host.groups

install_configs(
    configs=(
        *sentinel.certificates(host.settings, host.certificate),
        *sentinel.configs(cluster, declared, redis_master()),
    )
    if concerned
    else (),
    name="Sentinel",
)
converge_redis(
    plan=partial(sentinel.live_commands, cluster, declared) if concerned else None,
    name="Sentinel settings",
)
