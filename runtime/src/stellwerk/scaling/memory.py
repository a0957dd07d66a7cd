"""What is remembered of a service as a JSON document. Pure.

What operators want is no memory: it is kept as their orders.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from stellwerk.scaling.burst import BurstState
from stellwerk.scaling.model import Change, EmergencyState, State
from stellwerk.scaling.records import Memory


def memory_document(memory: Memory) -> dict[str, Any]:
    """The memory as `parse_memory` reads it back."""
    state = memory.state
    return {
        "recommendations": state.recommendations,
        "changes": [asdict(one) for one in state.changes],
        "regrets": state.regrets,
        "emergency": asdict(state.emergency) if state.emergency else None,
        "raised_maximum": state.raised_maximum,
        "bursts": [[metric, asdict(one)] for metric, one in state.bursts],
        "windows": sorted(state.windows),
        "failures": state.failures,
        "standing": sorted(memory.standing),
    }


def parse_memory(document: Mapping[str, Any]) -> Memory:
    """Read a memory; that of another release is none, as after a first start."""
    try:
        return _memory(document)
    except (KeyError, TypeError, ValueError):
        return Memory()


def _memory(document: Mapping[str, Any]) -> Memory:
    emergency = document["emergency"]
    state = State(
        recommendations=tuple((float(at), int(n)) for at, n in document["recommendations"]),
        changes=tuple(Change(**one) for one in document["changes"]),
        regrets=tuple(map(float, document["regrets"])),
        emergency=EmergencyState(**emergency) if emergency else None,
        raised_maximum=document["raised_maximum"],
        bursts=tuple((metric, BurstState(**one)) for metric, one in document["bursts"]),
        windows=frozenset(document["windows"]),
        failures=int(document["failures"]),
    )
    return Memory(state, frozenset(document["standing"]))
