"""A planted secret appears in no output of pyinfra, however much it is asked to say (C9)."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from .conftest import MARKER, Outcome, Site

VERBOSITIES = (
    ("-y", "-v"),
    ("-y", "-vv"),
    ("-y", "-vvv"),
    ("-y", "--debug"),
    ("-y", "--json"),
    ("--diff", "--dry"),
    ("--dry", "-vvv", "--debug"),
    ("--debug-operations",),
    ("--debug-facts",),
)


@pytest.fixture(scope="module")
def outcomes(bare_site: Site) -> dict[tuple[str, ...], Outcome]:
    """A run for each verbosity, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda options: bare_site.run(*options), VERBOSITIES)
        return dict(zip(VERBOSITIES, done, strict=True))


@pytest.mark.parametrize("options", VERBOSITIES, ids=" ".join)
def test_a_planted_secret_is_not_shown(
    outcomes: dict[tuple[str, ...], Outcome], options: tuple[str, ...]
) -> None:
    outcome = outcomes[options]
    assert outcome.code == 0, outcome.errors
    assert len(outcome.said) > 1000
    shown = [line for line in outcome.said.splitlines() if MARKER in line]
    assert shown == []


def test_a_planted_secret_is_not_shown_by_an_ordinary_run(first_run: Outcome) -> None:
    assert MARKER not in first_run.said


def test_a_planted_secret_is_in_no_command(outcomes: dict[tuple[str, ...], Outcome]) -> None:
    for outcome in outcomes.values():
        assert not [one.command for one in outcome.sent if MARKER in one.command]


def test_a_dry_run_changes_nothing(outcomes: dict[tuple[str, ...], Outcome]) -> None:
    assert outcomes["--diff", "--dry"].changes == ()
