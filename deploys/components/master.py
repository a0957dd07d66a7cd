"""Which Redis is the master: as the Sentinels say, never assumed of a cluster that lives. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
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
    name: str, bootstrap: Endpoint, sentinels: Collection[str], facts: Mapping[str, Facts]
) -> Endpoint:
    """The master that a majority of the declared Sentinels agrees on, or all that exist.

    `sentinels` names the hosts that should have one. The second case is that of an interrupted
    first run and of Sentinels added to a cluster: the others are known not to be set up yet.

    `bootstrap`, the inventory's first cache host, is taken only where no Sentinel was ever set up
    and no Redis has data or replicas. A first run that ended before the Sentinels were set up is
    told by its one Redis that the others follow, or that has data.

    Raises:
        UnknownMasterError: the Sentinels disagree or do not answer.
    """
    votes = _votes(name, facts)
    known = Counter(vote for vote in votes.values() if isinstance(vote, Endpoint))
    if known:
        choice, count = known.most_common(1)[0]
        voiceless = [host for host in sentinels if host not in facts]
        if count > len(sentinels) // 2 or count == len(votes) + len(voiceless):
            return choice
    if votes:
        said = ", ".join(f"{host} says {vote}" for host, vote in sorted(votes.items()))
        raise UnknownMasterError(
            f"the master of {name} is not known: {said}; a majority of the {len(sentinels)}"
            " Sentinels must agree; look at their logs in /var/log/redis and run again"
        )
    return _without_sentinels(name, bootstrap, facts)


def confirm(
    name: str, master: Endpoint, hosts: Mapping[str, str], facts: Mapping[str, Facts]
) -> None:
    """See that the master can stay the master, or hand over, without a loss of data.

    `hosts` are the names of all hosts of the inventory by their addresses.

    Raises:
        UnknownMasterError: it is not in the inventory, or an empty machine has taken its place.
    """
    host = hosts.get(master.address)
    if host is None:
        raise UnknownMasterError(
            f"the master of {name} is {master}, which is not in the inventory; put its host back,"
            " without groups if it is to leave, and run again"
        )
    if host not in facts or str(master.port) in facts[host].get("redis", {}):
        return
    others = sorted({str(one) for one in (*_replicas(facts), *_with_data(facts))})
    if others:
        raise UnknownMasterError(
            f"the Sentinels name {master} as the master of {name}, but there is no Redis on {host}"
            f" yet: it would start empty, and {', '.join(others)} would lose the data to it; wait"
            " until the Sentinels have promoted another, and run again"
        )


def _votes(name: str, facts: Mapping[str, Facts]) -> dict[str, "Endpoint | str"]:
    """What each Sentinel says, by host; one that an interrupted run never started has no vote."""
    votes: dict[str, Endpoint | str] = {}
    for host, known in facts.items():
        for sentinel in known.get("sentinel", {}).values():
            master = sentinel.get("masters", {}).get(name)
            if master:
                votes[host] = Endpoint(master["ip"], int(master["port"]))
            elif "error" not in sentinel:
                votes[host] = f"it does not watch {name}"
            elif "sentinel" in known.get("stamps", {}):
                votes[host] = sentinel["error"]
    return votes


def _without_sentinels(name: str, bootstrap: Endpoint, facts: Mapping[str, Facts]) -> Endpoint:
    silent = [
        f"{host} ({instance['error']})"
        for host, known in facts.items()
        for port, instance in known.get("redis", {}).items()
        if "error" in instance and f"redis-{port}" in known.get("stamps", {})
    ]
    masters = {*_followed(facts), *_with_data(facts)}
    if len(masters) > 1 or silent:
        seen = [*sorted(map(str, masters)), *silent]
        raise UnknownMasterError(
            f"the master of {name} is not known: no Sentinel is set up, and these were seen:"
            f" {', '.join(seen)}; stop all but the one whose data is to be kept and run again"
        )
    return masters.pop() if masters else bootstrap


def _with_data(facts: Mapping[str, Facts]) -> Iterable[Endpoint]:
    """Masters that hold keys, by the address they announce."""
    for known in facts.values():
        for port, instance in known.get("redis", {}).items():
            if instance.get("keys") and instance["replication"]["role"] == "master":
                yield Endpoint(instance["config"]["replica-announce-ip"], int(port))


def _replicas(facts: Mapping[str, Facts]) -> Iterable[Endpoint]:
    """Replicas, by the address they announce."""
    for known in facts.values():
        for port, instance in known.get("redis", {}).items():
            if instance.get("replication", {}).get("role") == "slave":
                yield Endpoint(instance["config"]["replica-announce-ip"], int(port))


def _followed(facts: Mapping[str, Facts]) -> Iterable[Endpoint]:
    for known in facts.values():
        for instance in known.get("redis", {}).values():
            replication = instance.get("replication", {})
            if replication.get("role") == "slave":
                yield Endpoint(replication["master_host"], int(replication["master_port"]))
