"""The hosts in `caches`: Redis servers, configured while they run. Every host: Redis' passwords."""

from functools import partial

from deploys.components import credentials, redis, redis_users
from deploys.engine.operations import install_configs, redis_in_turn
from deploys.engine.redis_passwords import redis_before
from deploys.engine.run import here, redis_master

host = here()
cluster, declared = host.run.cluster, host.declared
concerned = "caches" in host.groups
before = redis_before()

# The servers take a new password beside the one of before, then those who use it get the new one.
install_configs(
    configs=[redis_users.config(host.settings, before)] if concerned else [],
    name="Redis users",
)
install_configs(
    configs=credentials.passwords(declared, credentials.REDIS),
    name="Redis passwords",
)
install_configs(
    configs=(
        *redis.certificates(host.certificate),
        *redis.configs(cluster, declared, redis_master()),
    )
    if concerned
    else (),
    name="Redis",
)
redis_in_turn(
    plan=partial(redis.settings_requests, cluster, declared, role="slave") if concerned else None,
    name="Redis settings of the replicas",
    _serial=True,
)
redis_in_turn(
    plan=partial(redis.settings_requests, cluster, declared, role="master") if concerned else None,
    name="Redis settings of the master",
    _serial=True,
)
redis_in_turn(
    plan=partial(redis.restarts, cluster, declared, role="slave") if concerned else None,
    name="Redis replicas that need a restart",
    _serial=True,
)
redis_in_turn(
    plan=partial(redis.restarts, cluster, declared, role="master") if concerned else None,
    name="Redis master, if it needs a restart",
    _serial=True,
)
redis_in_turn(
    plan=partial(redis.removals, cluster, declared, role="slave"),
    name="Redis replicas that are not declared any more",
    _serial=True,
)
redis_in_turn(
    plan=partial(redis.removals, cluster, declared, role="master"),
    name="Redis master, if it is not declared any more",
    _serial=True,
)
