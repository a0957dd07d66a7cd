"""The number of instances follows the load and no request is lost."""

from pathlib import Path

import pytest

from tests.lab.platform import Platform
from tests.lab.scaled import (
    CORE,
    FRONTEND,
    LOOK_SECONDS,
    MOVE_SECONDS,
    clients,
    explain,
    has,
    scaling,
    services,
)
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

LIGHT, HEAVY = 10, 90  # requests per second through each balancer
TAKEN = 4  # instances, by the rules, for both together


def serving(platform: Platform) -> int:
    """How many instances serve, of the service that has fewer."""
    return min(int(one["serving"]) for one in services(platform).values())


def test_no_request_fails_while_load_brings_instances_a_run_is_made_and_calm_takes_them(
    scaled: Platform, tmp_path: Path
) -> None:
    with clients(scaled, tmp_path / "light", LIGHT) as light:
        with clients(scaled, tmp_path / "heavy", HEAVY) as heavy:
            assert wait_until(lambda: serving(scaled) >= TAKEN, MOVE_SECONDS, LOOK_SECONDS), (
                explain(scaled)
            )
            assert scaled.deploy().totals["success"] == 0
            assert serving(scaled) >= TAKEN, explain(scaled)
        has(scaled, 2)
    assert light.failures == {}, explain(scaled)
    assert heavy.failures == {}, explain(scaled)
    assert light.requests > 0


def test_an_operators_number_is_had_and_a_run_leaves_it_alone(scaled: Platform) -> None:
    for name in (CORE, FRONTEND):
        scaling(scaled, f"set {name} 5 --for 1h")
    has(scaled, 5)
    assert scaled.deploy().totals["success"] == 0
    has(scaled, 5)
    scaling(scaled, "resume")
    has(scaled, 2)
