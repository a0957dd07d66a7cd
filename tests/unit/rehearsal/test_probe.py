"""What the notes of a rehearsal's clients say."""

from tests.rehearsal.probe import Tried, tried

DOORS = {"lb:nginx": "http://lb/", "lb:core": "http://lb:9100/health"}


def notes(door: str, *outcomes: str) -> str:
    return "".join(
        f"{door} {outcome} {at}.000 {'-' if outcome == 'answered' else 'answers 503'}\n"
        for at, outcome in enumerate(outcomes)
    )


def test_a_door_that_always_answers_was_never_away() -> None:
    found = tried(notes("lb:nginx", *["answered"] * 5), DOORS)
    assert found["lb:nginx"] == Tried(5, 0, 0.0, frozenset())
    assert found["lb:core"] == Tried(0, 0, 0.0, frozenset())


def test_it_is_away_from_the_answer_before_a_failure_to_the_answer_after_it() -> None:
    outcomes = ["answered", "answered", "failed", "failed", "answered", "failed", "answered"]
    found = tried(notes("lb:core", *outcomes), DOORS)["lb:core"]
    assert found == Tried(7, 3, 3.0, frozenset({"answers 503"}))


def test_a_door_that_stays_away_counts_to_its_last_failure() -> None:
    found = tried(notes("lb:core", "answered", "failed", "failed", "failed"), DOORS)["lb:core"]
    assert found.away_seconds == 3.0
