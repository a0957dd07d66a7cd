"""Puts together what operations decided and what was seen into one plan."""

from collections.abc import Iterator

from deploys.engine.changes import Change, Later, Left
from deploys.engine.run import Run
from deploys.seeing import instances
from deploys.seeing.differences import file_differences
from deploys.seeing.masking import Masking, masking_of
from deploys.seeing.model import HostPlan, Item, Plan, Remark
from deploys.seeing.rollouts import Roll, rolls
from deploys.seeing.sight import Sight, seen


def assembled(run: Run) -> Plan:
    """The plan of a run whose operations were prepared."""
    masking = masking_of(run.cluster)
    names = [one.name for one in run.cluster.hosts.values() if one.name in seen]
    hosts = [_host(run, name, seen[name], masking) for name in names]
    return Plan(hosts, _rolls(run), tuple(_findings(run)))


def _host(run: Run, name: str, sight: Sight, masking: Masking) -> HostPlan:
    noted = run.noted[name]
    items = tuple(
        Item(
            one.component,
            masking.sentence(one.reason),
            one.effects,
            tuple(masking.sentence(line) for line in one.details),
            file_differences(one, run.facts[name], sight.contents, masking),
        )
        for one in noted
        if isinstance(one, Change)
    )
    mended = {effect.unit for item in items for effect in item.effects}
    failures = (
        Remark(failure["unit"] or "checks", masking.sentence(failure["problem"]))
        for failure in sight.failures
        if failure["unit"] not in mended
    )
    left = (_remark(one, masking) for one in noted if isinstance(one, Left))
    later = (_remark(one, masking) for one in noted if isinstance(one, Later))
    return HostPlan(name, items, tuple(later), (*left, *failures))


def _remark(one: Later | Left, masking: Masking) -> Remark:
    return Remark(one.component, masking.sentence(one.sentence))


def _rolls(run: Run) -> tuple[Roll, ...]:
    """What the database host's part of the run would start; nothing where it has none."""
    databases = {one.name for one in run.cluster.group("databases")}
    snapshot = instances.snapshot_of(run.cluster, run.facts)
    if run.generations is None or snapshot is None or not databases.intersection(seen):
        return ()
    return rolls(run.cluster, snapshot, run.generations, run.facts)


def _findings(run: Run) -> Iterator[Remark]:
    snapshot = instances.snapshot_of(run.cluster, run.facts)
    if snapshot is not None and snapshot.services:
        yield from instances.findings(run.cluster, snapshot, run.facts)
