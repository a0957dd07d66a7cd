"""The Debian packages a host needs, over all its groups, so that apt runs once."""

from deploys.components import (
    agent,
    base,
    haproxy,
    nginx,
    postgresql,
    prometheus,
    redis,
    sentinel,
)
from deploys.engine.resources import Facts
from stellwerk.settings.cluster import ClusterHost


def wanted(declared: ClusterHost, facts: Facts) -> tuple[str, ...]:
    """Names of all packages for the host's groups."""
    by_group = {
        "apps": agent.PACKAGES,
        "balancers": (*haproxy.PACKAGES, *nginx.PACKAGES, *agent.PACKAGES),
        "caches": redis.PACKAGES,
        "sentinels": sentinel.PACKAGES,
        "databases": postgresql.packages(facts),
    }
    found = set(base.packages(declared.settings))
    for group, packages in by_group.items():
        if group in declared.groups:
            found.update(packages)
    if prometheus.is_wanted(declared):
        found.update(prometheus.PACKAGES)
    return tuple(sorted(found))


def masked(declared: ClusterHost, facts: Facts) -> tuple[str, ...]:
    """Debian's units that must not start with their own settings when a package is installed."""
    by_group = {"caches": redis.MASKED, "sentinels": sentinel.MASKED}
    found = [
        unit for group, units in by_group.items() if group in declared.groups for unit in units
    ]
    # These run under their own names later, and then are not to be masked again.
    is_new = not {*prometheus.PACKAGES} <= facts["packages"].keys()
    if prometheus.is_wanted(declared) and is_new:
        found += prometheus.UNITS
    return tuple(found)
