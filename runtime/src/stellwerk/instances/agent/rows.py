"""Writes a decided step into the ledger, in the transaction it was decided in: the row, what a
roll-out has to know of it, and an event for people.
"""

from collections.abc import Mapping
from typing import Protocol

from stellwerk.instances import rollouts
from stellwerk.instances.life_cycle import Advance, Insert, LedgerStep, Put, Remove
from stellwerk.instances.model import Instance, InstanceKey, RolloutState, Snapshot


class Transaction(Protocol):
    """What a step needs of the store's ServiceTransaction."""

    @property
    def snapshot(self) -> Snapshot: ...

    async def claim(self, instance: Instance) -> bool: ...

    async def put(self, instance: Instance) -> None: ...

    async def remove(self, key: InstanceKey) -> None: ...

    async def update_rollout(self, id: int, **columns: object) -> None: ...  # noqa: A002

    async def finish_rollout(
        self,
        id: int,  # noqa: A002
        state: RolloutState,
        *,
        reason: str = "",
        failed_instance: str = "",
        journal: str = "",
    ) -> None: ...

    async def set_stable(self, service: str, generation: str) -> None: ...

    async def record(self, kind: str, key: InstanceKey | None, detail: str) -> None: ...


async def write(
    step: LedgerStep, transaction: Transaction, journals: Mapping[InstanceKey, str]
) -> None:
    """Write one step; `journals` are those of instances that a roll-out failed of."""
    match step:
        case Insert(instance=instance):
            if not await transaction.claim(instance):
                return
            await transaction.record(step.event, instance.key, "")
        case Put(instance=instance):
            await transaction.put(instance)
            if step.event is not None:
                await transaction.record(step.event, instance.key, step.detail or instance.reason)
        case Remove(key=key):
            await transaction.remove(key)
            await transaction.record("removed", key, "")
        case Advance():
            await _advance(step, transaction, journals)
            return
    await _note_progress(step, transaction)


async def _note_progress(step: Insert | Put | Remove, transaction: Transaction) -> None:
    """Say in a running roll-out that something moved, and which instance its canary is."""
    key = step.key if isinstance(step, Remove) else step.instance.key
    rollout = rollouts.running(transaction.snapshot, key.service)
    if rollout is None or (isinstance(step, Put) and step.event is None):
        return
    columns: dict[str, object] = {"progressed_at": transaction.snapshot.at}
    if not isinstance(step, Remove) and step.canary_of == rollout.id:
        columns |= {"canary": key.port, "canary_since": None}
    if isinstance(step, Put) and step.watch_again:
        columns |= {"canary_since": None}
    await transaction.update_rollout(rollout.id, **columns)


async def _advance(
    step: Advance, transaction: Transaction, journals: Mapping[InstanceKey, str]
) -> None:
    rollout, at = step.rollout, transaction.snapshot.at
    match step.progress:
        case rollouts.Watch():
            await transaction.update_rollout(rollout.id, canary_since=at, progressed_at=at)
        case rollouts.Passed():
            await transaction.update_rollout(rollout.id, canary_passed=True, progressed_at=at)
            await transaction.record("canary passed", _canary(rollout.service, rollout.canary), "")
        case rollouts.Rechosen():
            await transaction.update_rollout(rollout.id, canary=None, canary_since=None)
        case rollouts.Finished():
            await transaction.finish_rollout(rollout.id, RolloutState.DONE)
            await transaction.set_stable(rollout.service, rollout.generation)
            await transaction.record("rollout done", None, rollout.generation)
        case rollouts.Failed(key=key, reason=reason):
            await transaction.finish_rollout(
                rollout.id,
                RolloutState.FAILED,
                reason=reason,
                failed_instance=str(key),
                journal=journals.get(key, ""),
            )
            await transaction.record("rollout failed", key, reason)


def _canary(service: str, port: int | None) -> InstanceKey | None:
    return None if port is None else InstanceKey(service, port)
