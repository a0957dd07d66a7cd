"""Who is to be in rotation, from the ledger and from who is."""

from hypothesis import given
from hypothesis import strategies as st

from stellwerk.instances.agent.rotation import Addresses, Rotation
from stellwerk.instances.model import Snapshot, State

from .ledgers import instance, ledger, ready

NAME = "core"
PRESENT = {1: "192.0.2.1", 2: "192.0.2.2"}
PATIENCE = 30


class Clock:
    """Time that stands still unless moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def wanted(snapshot: Snapshot, present: Addresses = PRESENT) -> Addresses:
    return Rotation(PATIENCE).wanted(snapshot, NAME, present)


def row(port: int, state: State = State.READY, held: bool = False) -> Snapshot:
    return ledger(instance(NAME, port, state, f"192.0.2.{port}", held=held))


def test_ready_instances_are_in_rotation_and_held_ones_are_not() -> None:
    found = wanted(
        ledger(
            instance(NAME, 1, address="192.0.2.1"),
            instance(NAME, 2, address="192.0.2.2", held=True),
            instance(NAME, 3, State.STARTING, "192.0.2.3"),
            instance(NAME, 4, State.FAILED, "192.0.2.4"),
            instance(NAME, 5, State.DRAINING, "192.0.2.5"),
            instance("another", 6, address="192.0.2.6"),
        ),
        {port: f"192.0.2.{port}" for port in range(1, 6)},
    )
    assert found == {1: "192.0.2.1"}


def test_an_empty_ledger_takes_nothing_out_of_rotation_however_long() -> None:
    clock = Clock()
    rotation = Rotation(PATIENCE, clock)
    for clock.now in (0.0, 1.0, 1000.0):
        assert rotation.wanted(ledger(), NAME, PRESENT) == PRESENT


def test_a_server_without_a_row_leaves_after_a_while_where_others_serve() -> None:
    clock = Clock()
    rotation = Rotation(PATIENCE, clock)
    assert rotation.wanted(row(1), NAME, PRESENT) == PRESENT
    clock.now = PATIENCE + 1
    assert rotation.wanted(row(1), NAME, PRESENT) == {1: "192.0.2.1"}


def test_a_row_that_came_back_and_went_again_is_given_its_time_again() -> None:
    clock = Clock()
    rotation = Rotation(PATIENCE, clock)
    rotation.wanted(row(1), NAME, PRESENT)
    clock.now = PATIENCE
    rotation.wanted(ready(NAME, range(1, 3)), NAME, PRESENT)
    clock.now = PATIENCE + 1
    rotation.wanted(row(1), NAME, PRESENT)
    clock.now = 2 * PATIENCE
    assert rotation.wanted(row(1), NAME, PRESENT) == PRESENT


def test_instances_that_start_stay_in_rotation_as_long_as_none_is_ready() -> None:
    starting = row(1, State.STARTING)
    assert wanted(starting) == PRESENT
    assert wanted(starting, {}) == {}


def test_one_that_starts_leaves_where_another_is_ready() -> None:
    both = ledger(instance(NAME, 1, address="192.0.2.1"), instance(NAME, 2, State.STARTING))
    assert wanted(both) == {1: "192.0.2.1"}


def test_instances_known_to_leave_may_empty_a_backend() -> None:
    for state, held in ((State.DRAINING, False), (State.FAILED, False), (State.READY, True)):
        assert wanted(row(1, state, held), {1: "192.0.2.1"}) == {}


def test_what_is_no_address_is_nobodys() -> None:
    for address in ("", "host", "1.2.3.4;x", "192.0.2.1 port 1", "::1]", "192.0.2.1\n"):
        assert wanted(ledger(instance(NAME, 1, address=address)), {}) == {}


STATES = st.dictionaries(st.integers(1, 4), st.sampled_from(State))


@given(STATES, st.sets(st.integers(1, 4)))
def test_nothing_enters_that_is_not_ready_and_nothing_ready_is_left_out(
    states: dict[int, State], present: set[int]
) -> None:
    found = wanted(ready(NAME, states), dict.fromkeys(present, "127.0.0.1")).keys()
    in_order = {port for port, state in states.items() if state is State.READY}
    assert found >= in_order
    assert found - present <= in_order


@given(STATES, st.sets(st.integers(1, 4), min_size=1))
def test_a_backend_is_emptied_only_when_each_server_in_it_is_known_to_leave(
    states: dict[int, State], present: set[int]
) -> None:
    if not wanted(ready(NAME, states), dict.fromkeys(present, "127.0.0.1")):
        leaving = (State.DRAINING, State.FAILED)
        assert all(states.get(port) in leaving for port in present)
