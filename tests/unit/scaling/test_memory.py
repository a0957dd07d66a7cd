"""What is remembered of a service survives the ledger, and that of another release is none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.scaling.burst import BurstState
from stellwerk.scaling.memory import memory_document, parse_memory
from stellwerk.scaling.model import Change, EmergencyState, State
from stellwerk.scaling.records import Memory

times = st.floats(0, 4e9)
counts = st.integers(0, 1000)
names = st.text(max_size=5)
states = st.builds(
    State,
    recommendations=st.lists(st.tuples(times, counts), max_size=3).map(tuple),
    changes=st.lists(st.builds(Change, times, counts, counts, st.booleans()), max_size=3).map(
        tuple
    ),
    regrets=st.lists(times, max_size=3).map(tuple),
    emergency=st.none() | st.builds(EmergencyState, times, times, st.none() | times, st.booleans()),
    raised_maximum=st.none() | counts,
    bursts=st.lists(st.tuples(names, st.builds(BurstState, times, counts)), max_size=2).map(tuple),
    windows=st.frozensets(names, max_size=2),
    failures=counts,
)
memories = st.builds(Memory, states, st.frozensets(names, max_size=2))


@given(memories)
def test_a_memory_is_read_back_as_it_was(memory: Memory) -> None:
    assert parse_memory(json.loads(json.dumps(memory_document(memory)))) == memory


@pytest.mark.parametrize("document", [{}, {"recommendations": 3}, {"changes": [{"new": 1}]}])
def test_a_memory_of_another_release_is_none(document: dict[str, object]) -> None:
    assert parse_memory(document) == Memory()


@given(memories, st.floats(-1e6, 1e6))
def test_when_the_clock_is_set_everything_stays_as_long_ago(memory: Memory, by: float) -> None:
    moved, before = memory.shifted(by).state, memory.state
    for one, other in zip(moved.changes, before.changes, strict=True):
        assert one.at == pytest.approx(other.at + by)
    assert [count for _, count in moved.recommendations] == [
        count for _, count in before.recommendations
    ]
