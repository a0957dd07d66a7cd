"""Invalidations that Redis could not be told yet. No I/O here."""

from typing import Final

from stellwerk.caching.layers import Layers
from stellwerk.caching.planning import layer_plan, merged, without_looking
from stellwerk.caching.storage import Place, Plan

OWED_MAX: Final = 10_000
"""Names that are remembered; beyond, all layers are invalidated instead."""


class Owed:
    """What is owed, nothing twice. Adding is as quick for the last as for the first."""

    def __init__(self, layers: Layers) -> None:
        self._everything = merged(map(layer_plan, layers.all)).stamps
        self._is_everything = False
        self._stamps: dict[str, None] = {}
        self._places: dict[Place, None] = {}
        self._tags: dict[str, None] = {}

    def __bool__(self) -> bool:
        """Whether anything is."""
        return bool(self._is_everything or self._stamps or self._places or self._tags)

    def add(self, plan: Plan) -> None:
        """Owe this as well."""
        plan = without_looking(plan)
        self._tags |= dict.fromkeys(plan.tags)
        if self._is_everything:
            return
        self._stamps |= dict.fromkeys(plan.stamps)
        self._places |= dict.fromkeys(plan.places)
        if len(self._stamps) + len(self._places) + len(self._tags) > OWED_MAX:
            self._is_everything = True
            self._stamps, self._places = {}, {}

    def take(self) -> Plan:
        """All of it, which is owed no more."""
        taken = Plan(
            stamps=self._everything if self._is_everything else tuple(self._stamps),
            places=tuple(self._places),
            tags=tuple(self._tags),
        )
        self._is_everything = False
        self._stamps, self._places, self._tags = {}, {}, {}
        return taken
