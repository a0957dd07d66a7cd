"""The hosts in `sentinels`: Sentinels that watch the Redis servers. Every host: their password."""

from functools import partial

from deploys.components import credentials, sentinel
from deploys.engine.operations import (
    converge_redis,
    install_configs,
    read_again,
    redis_in_turn,
)
from deploys.engine.redis_passwords import check_sentinels
from deploys.engine.run import here, redis_master
from deploys.engine.sentinels import outdated_peers

host = here()
cluster, declared = host.run.cluster, host.declared
concerned = "sentinels" in host.groups
check_sentinels()
first = sentinel.first_passwords(declared, host.facts)

install_configs(
    configs=first,
    name="Sentinel password of a new Sentinel",
)
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
redis_in_turn(
    plan=partial(sentinel.removals, declared),
    name="Sentinels that are not declared any more",
    _serial=True,
)
install_configs(
    configs=(
        *(() if first else credentials.passwords(declared, credentials.SENTINEL)),
        *sentinel.passwords(declared),
    ),
    name="Sentinel passwords",
)
converge_redis(
    plan=partial(sentinel.peer_commands, declared) if concerned else None,
    name="Sentinels among themselves",
)
read_again(
    sections=("redis", "sentinel"),
    # A server that was added, removed or promoted on one host is known to all Sentinels.
    changed_elsewhere=lambda: concerned and bool(host.run.changed),
    name="Sentinels' view",
)
redis_in_turn(
    plan=outdated_peers if concerned else None,
    name="Sentinels that know somebody who is gone",
    _serial=True,
)
