"""Passwords of Redis and Sentinel change in two steps, so that no client is ever refused. Pure.

The servers first take the new password beside the one of before, then everybody is given the new
one, and the one of before is withdrawn once nobody uses it: no file on a host, no unit that was
started with it, no server. Who uses what is told by digests, which is also how Redis keeps them.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from deploys.components.redis_users import digests
from deploys.engine.resources import ConfigSet, Facts, secret_digest
from stellwerk.settings import Settings
from stellwerk.settings.cluster import Cluster

Digests = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Use:
    """Who still uses a password of before: a unit or a file of a host."""

    host: str
    holder: str

    def __str__(self) -> str:
        return f"{self.holder} on {self.host}"


def redis_before(settings: Settings, facts: Iterable[Facts]) -> Digests:
    """Per user of Redis the passwords of before that some server still takes."""
    found: dict[str, set[str]] = {}
    for known in facts:
        for user, accepted in known.get("passwords", {}).get("accepted", {}).items():
            found.setdefault(user, set()).update(accepted)
    present = digests(settings)
    return {
        user: frozenset(found[user] - {present[user]})
        for user in present
        if found.get(user, set()) - {present[user]}
    }


def sentinel_before(settings: Settings, facts: Iterable[Facts]) -> frozenset[str]:
    """The Sentinels' passwords of before that some of them still takes."""
    accepted = {
        digest
        for known in facts
        for sentinel in known.get("sentinel", {}).values()
        for digest in sentinel.get("accepts", ())
    }
    return frozenset(accepted - {secret_digest(settings.sentinel.password)})


def uses(facts: Mapping[str, Facts], digest: str) -> tuple[Use, ...]:
    """Who uses a password, of all hosts' facts by name."""
    found: list[Use] = []
    for host, known in facts.items():
        holders = known.get("passwords", {}).get("used", {}).get(digest, ())
        found += [Use(host, holder) for holder in holders]
        for port, server in known.get("redis", {}).items():
            if server.get("config", {}).get("masterauth") == digest:
                found.append(Use(host, f"the Redis on port {port}"))
        for port, sentinel in known.get("sentinel", {}).items():
            if sentinel.get("tells") == digest:
                found.append(Use(host, f"the Sentinel on port {port}"))
    return tuple(found)


def refusing_redis(
    cluster: Cluster, users: Collection[str], prepared: Collection[str], facts: Mapping[str, Facts]
) -> tuple[str, ...]:
    """Hosts whose Redis would refuse the present password of one of the users.

    + prepared: hosts whose servers take it before anybody is given it
    + facts: of all hosts with Redis or Sentinel that can be reached, by name
    """
    return tuple(
        host.name
        for host in cluster.group("caches")
        if host.name not in prepared
        and (accepted := facts.get(host.name, {}).get("passwords", {}).get("accepted"))
        and any(digests(host.settings)[user] not in accepted.get(user, ()) for user in users)
    )


def refusing_sentinels(
    cluster: Cluster, prepared: Collection[str], facts: Mapping[str, Facts]
) -> tuple[str, ...]:
    """The same of Sentinels and their own password."""
    return tuple(
        host.name
        for host in cluster.group("sentinels")
        if host.name not in prepared
        and any(
            secret_digest(host.settings.sentinel.password) not in sentinel["accepts"]
            for sentinel in facts.get(host.name, {}).get("sentinel", {}).values()
            if "accepts" in sentinel
        )
    )


def is_new(configs: Iterable[ConfigSet], facts: Facts) -> bool:
    """Whether a password on a host is to be replaced by another."""
    present = facts.get("files", {})
    return any(
        present.get(file.path) not in (None, file.as_fact())
        for config in configs
        for file in config.files
    )
