"""How decisions are cut to what all services together may have."""

from stellwerk.scaling.decide import decide
from stellwerk.scaling.limits import Size, within_limits
from stellwerk.scaling.model import Decision, Hold, State
from stellwerk.settings.scaling import Limits
from stellwerk.settings.scaling_policy import Target
from stellwerk.settings.types import Bytes
from tests.unit.scaling.services import NOW, observed, policy

MEGABYTE = 1024**2


def asking(current: int, desired: int, *, error_rate: float = 0) -> Decision:
    aimed = policy(0, 50, cpu_percent=None, targets={"work": Target(value=1, measure="count")})
    seen = observed(None, current, service={"work": desired, "error_rate": error_rate})
    return decide(aimed, seen, State(), NOW)


def cut(decisions: dict[str, Decision], **limits: object) -> dict[str, Decision]:
    given = Limits.model_validate({"instances": 1000, "cpu_cores": 1000, **limits})
    sizes = {name: Size(100, 512 * MEGABYTE) for name in decisions}
    return within_limits(decisions, sizes, given)


def test_what_fits_is_left_as_it_is() -> None:
    decisions = {"a": asking(2, 3), "b": asking(2, 4)}
    assert cut(decisions, instances=7) == decisions


def test_instances_over_all_are_shared_by_need() -> None:
    done = cut({"a": asking(2, 4), "b": asking(2, 8)}, instances=8)
    assert (done["a"].desired, done["b"].desired) == (3, 5)
    assert done["b"].held_by(Hold.LIMIT)
    assert "the limit of 8 instances over all services allows 5" in done["b"].sentence


def test_cores_and_memory_are_limits_too() -> None:
    by_cores = cut({"a": asking(2, 9)}, cpu_cores=4)
    by_memory = cut({"a": asking(2, 9)}, memory=Bytes.parse("1536MB"))
    assert (by_cores["a"].desired, by_memory["a"].desired) == (4, 3)


def test_an_emergency_is_served_first() -> None:
    decisions = {"a": asking(2, 9), "b": asking(3, 3, error_rate=50)}
    done = cut(decisions, instances=8)
    assert (done["a"].desired, done["b"].desired) == (2, 6)


def test_a_limit_takes_nothing_away() -> None:
    done = cut({"a": asking(6, 6), "b": asking(4, 6)}, instances=5)
    assert (done["a"].desired, done["b"].desired) == (6, 4)


def test_what_was_cut_is_remembered_as_what_was_granted() -> None:
    done = cut({"a": asking(2, 9)}, instances=4)["a"]
    assert [(change.before, change.after) for change in done.state.changes] == [(2, 4)]
    assert cut({"a": asking(2, 9)}, instances=2)["a"].state.changes == ()
