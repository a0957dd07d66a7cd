"""The number of instances follows the load and no request is lost."""

from pathlib import Path

import pytest

from tests.lab.platform import Platform
from tests.lab.scaled import CORE, FRONTEND, clients, explain, has, scaling

pytestmark = pytest.mark.lab

LIGHT, HEAVY = 10, 90  # requests per second through each balancer


def test_load_brings_instances_and_calm_takes_them_and_no_request_fails(
    scaled: Platform, tmp_path: Path
) -> None:
    with clients(scaled, tmp_path / "light", LIGHT) as light:
        with clients(scaled, tmp_path / "heavy", HEAVY) as heavy:
            has(scaled, 4)
        has(scaled, 2)
    assert light.failures == {}, explain(scaled)
    assert heavy.failures == {}, explain(scaled)
    assert light.requests > 0


def test_a_run_while_scaled_up_changes_nothing_and_an_operators_number_is_had(
    scaled: Platform,
) -> None:
    for name in (CORE, FRONTEND):
        scaling(scaled, f"set {name} 5 --for 1h")
    has(scaled, 5)
    assert scaled.deploy().totals["success"] == 0
    has(scaled, 5)
    scaling(scaled, "resume")
    has(scaled, 2)
