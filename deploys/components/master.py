"""Which Redis is the master: as the Sentinels say, never assumed of a cluster that lives. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deploys.engine.resources import Facts


@dataclass(frozen=True)
class Endpoint:
    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


class UnknownMasterError(Exception):
    """Nothing may be done to Redis, as its master is not known; says who said what."""


def find_master(
    name: str, bootstrap: Endpoint, sentinels: int, facts: Mapping[str, Facts]
) -> Endpoint:
    """The master that a majority of the declared Sentinels agrees on.

    `bootstrap`, the inventory's first cache host, is taken only where no Sentinel was ever set up
    and no Redis has data or replicas. A first run that ended before the Sentinels were set up is
    told by its one Redis that the others follow.

    Raises:
        UnknownMasterError: the Sentinels disagree or do not answer.
    """
    votes = _votes(name, facts)
    known = Counter(vote for vote in votes.values() if isinstance(vote, Endpoint))
    if known:
        choice, count = known.most_common(1)[0]
        if count > sentinels // 2:
            return choice
    if votes:
        said = ", ".join(f"{host} says {vote}" for host, vote in sorted(votes.items()))
        raise UnknownMasterError(
            f"the master of {name} is not known: {said}; a majority of the {sentinels} Sentinels"
            " must agree; look at their logs in /var/log/redis and run again"
        )
    return _without_sentinels(name, bootstrap, facts)


def _votes(name: str, facts: Mapping[str, Facts]) -> dict[str, "Endpoint | str"]:
    votes: dict[str, Endpoint | str] = {}
    for host, known in facts.items():
        for sentinel in known.get("sentinel", {}).values():
            master = sentinel.get("masters", {}).get(name)
            if master:
                votes[host] = Endpoint(master["ip"], int(master["port"]))
            else:
                votes[host] = sentinel.get("error", f"it does not watch {name}")
    return votes


def _without_sentinels(name: str, bootstrap: Endpoint, facts: Mapping[str, Facts]) -> Endpoint:
    followed = set(_followed(facts))
    if len(followed) == 1:
        return followed.pop()
    silent = [
        f"{host} ({instance['error']})"
        for host, known in facts.items()
        for instance in known.get("redis", {}).values()
        if "error" in instance
    ]
    with_data = [
        host
        for host, known in facts.items()
        for instance in known.get("redis", {}).values()
        if instance.get("keys") and instance["replication"]["role"] == "master"
    ]
    if len(followed) > 1 or silent or len(with_data) > 1:
        seen = [*map(str, followed), *silent, *with_data]
        raise UnknownMasterError(
            f"the master of {name} is not known: no Sentinel is set up, and these were seen:"
            f" {', '.join(seen)}; stop all but the one whose data is to be kept and run again"
        )
    return bootstrap


def _followed(facts: Mapping[str, Facts]) -> Iterable[Endpoint]:
    for known in facts.values():
        for instance in known.get("redis", {}).values():
            replication = instance.get("replication", {})
            if replication.get("role") == "slave":
                yield Endpoint(replication["master_host"], int(replication["master_port"]))
