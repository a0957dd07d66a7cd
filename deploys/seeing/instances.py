"""What the ledger and the pins say about instances that is not as declared. Pure."""

from collections.abc import Iterator, Mapping

from deploys.components import declaration, progress
from deploys.engine.resources import Facts
from deploys.seeing.model import Remark
from stellwerk.instances.model import Snapshot
from stellwerk.settings.cluster import Cluster


def findings(
    cluster: Cluster, snapshot: Snapshot, facts: Mapping[str, Facts]
) -> tuple[Remark, ...]:
    """Services that are not at rest, and instances whose pin is not what the ledger says."""
    return (*_at_work(cluster, snapshot), *_pins(cluster, snapshot, facts))


def snapshot_of(cluster: Cluster, facts: Mapping[str, Facts]) -> Snapshot | None:
    """What the ledger says; None where it is not known."""
    for one in cluster.group("databases"):
        if one.name in facts:
            return declaration.snapshot_of(facts[one.name]["postgresql"])
    return None


def _at_work(cluster: Cluster, snapshot: Snapshot) -> Iterator[Remark]:
    for one in progress.of_services(cluster, snapshot):
        if one.failed or not one.over:
            yield Remark(one.service, one.sentence)


def _pins(cluster: Cluster, snapshot: Snapshot, facts: Mapping[str, Facts]) -> Iterator[Remark]:
    for app in cluster.group("apps"):
        if app.name not in facts:
            continue
        pinned = facts[app.name]["pins"]
        listed = {
            f"{key.service}@{key.port}": one.generation
            for key, one in sorted(snapshot.instances.items())
            if one.host == app.name and not one.leaves_for_good
        }
        for name, generation in listed.items():
            if pinned.get(name) != generation:
                is_now = f"pinned to {pinned[name]}" if name in pinned else "not pinned"
                yield Remark(name, f"is {is_now} on {app.name}; the ledger says {generation}")
        for name in sorted(pinned.keys() - listed.keys()):
            yield Remark(name, f"is pinned on {app.name}, and the ledger does not know it")
