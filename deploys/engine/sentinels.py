"""Whom the Sentinel of the present host is to forget; the rules are `sentinel_peers`'."""

from collections.abc import Iterable

from deploys.components import sentinel_peers
from deploys.engine.resources import Facts, RedisRequest
from deploys.engine.run import here, leave, redis_facts


def outdated_peers(_facts: Facts) -> Iterable[RedisRequest]:
    """A request to forget who is gone; warns of those that live but are not in the inventory."""
    one = here()
    found = sentinel_peers.peers(one.run.cluster, one.declared, redis_facts())
    for stranger in found.strangers:
        leave(
            "sentinel",
            f"{stranger} still takes part in {one.settings.sentinel.master_name}, but is not in the"
            " inventory; switch it off, or put its host back without groups, and run again",
        )
    return sentinel_peers.requests(one.declared, found)
