"""What a run does about changed passwords of Redis and Sentinel: the rules are `rotation`'s."""

from collections.abc import Collection, Mapping

from deploys.components import credentials, redis_users, rotation, sentinel
from deploys.engine.invocation import Refused
from deploys.engine.run import (
    current_run,
    facts_of,
    here,
    hosts_of_run,
    leave_until_unused,
    redis_facts,
)
from stellwerk.settings import Settings


def redis_before() -> Mapping[str, Collection[str]]:
    """Per user of Redis the passwords of before that the servers go on taking in this run.

    Raises:
        Refused: the present host would be given a password that some server refuses.
    """
    run = current_run()
    run.prepares_redis = True
    if rotation.is_new(credentials.passwords(here().declared, credentials.REDIS), here().facts):
        users = redis_users.digests(_settings())
        _refuse(rotation.refusing_redis(run.cluster, users, hosts_of_run(), redis_facts()))
    return rotation.redis_before(_settings(), run.facts.values())


def check_sentinels() -> None:
    """See that nobody refuses the passwords of Sentinel and for it that this run hands out.

    Raises:
        Refused: the present host would be given a password that some server refuses.
    """
    run, declared = current_run(), here().declared
    if rotation.is_new(credentials.passwords(declared, credentials.SENTINEL), here().facts):
        _refuse(rotation.refusing_sentinels(run.cluster, hosts_of_run(), redis_facts()))
    if rotation.is_new(sentinel.passwords(declared), here().facts):
        prepared = hosts_of_run() if run.prepares_redis else ()
        _refuse(rotation.refusing_redis(run.cluster, ["sentinel"], prepared, redis_facts()))


def pending() -> bool:
    """Whether some server takes a password of before."""
    facts = current_run().facts.values()
    settings = _settings()
    return bool(rotation.redis_before(settings, facts) or rotation.sentinel_before(settings, facts))


def redis_in_use() -> Mapping[str, Collection[str]]:
    """The passwords of before that the users of Redis still need; says who needs them."""
    before = rotation.redis_before(_settings(), current_run().facts.values())
    found = {
        user: {digest for digest in digests if _is_used(f"Redis' user {user}", digest)}
        for user, digests in before.items()
    }
    return {user: digests for user, digests in found.items() if digests}


def sentinel_unused() -> Collection[str]:
    """The Sentinels' passwords of before that nobody needs any more; says who needs the others."""
    before = rotation.sentinel_before(_settings(), current_run().facts.values())
    return {digest for digest in before if not _is_used("Sentinel", digest)}


def _is_used(what: str, digest: str) -> bool:
    run = current_run()
    hosts = run.cluster.hosts.values()
    facts = facts_of(hosts)
    silent = [f"{host.name}, which cannot be asked" for host in hosts if host.name not in facts]
    users = [*map(str, rotation.uses(facts, digest)), *silent]
    if users:
        leave_until_unused("passwords", f"the password of before of {what}", ", ".join(users))
    return bool(users)


def _refuse(hosts: Collection[str]) -> None:
    if hosts:
        raise Refused(
            "nothing was changed: a password of Redis or Sentinel is new, and this run leaves out"
            f" {', '.join(hosts)}, which would refuse it; run deploys/all.py with all of caches and"
            " sentinels"
        )


def _settings() -> Settings:
    # Secrets are the same for all hosts, as are the roles that have them.
    return next(iter(current_run().cluster.hosts.values())).settings
