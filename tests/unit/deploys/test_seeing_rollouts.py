"""Why a service would be rolled is told from what lies on the hosts: release, unit, environment,
credentials.
"""

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deploys.components import credentials, generations
from deploys.engine.resources import File
from deploys.seeing.rollouts import Roll, rolls
from stellwerk.instances.model import (
    Instance,
    InstanceKey,
    Rollout,
    RolloutState,
    Service,
    Snapshot,
    State,
)
from stellwerk.settings.cluster import Cluster, load_cluster

from .conftest import REPOSITORY, Load

CORE = "aktienanalyse-core"
RELEASE = "1.0-abc"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def facts_of(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """The app hosts after a run with these settings."""
    found = {}
    wanted = generations.wanted(cluster, RELEASE)
    for app in cluster.group("apps"):
        (config,) = generations.config(cluster, app, wanted, RELEASE)
        passwords = [
            File(credentials.path(name), value, 0o600)
            for name, value in credentials.wanted(app).items()
        ]
        files = {file.path: file.as_fact() for file in (*config.files, *passwords)}
        found[app.name] = {"files": files, "release": {"releases": ["0.9-old", RELEASE]}}
    return found


def ledger_of(cluster: Cluster, state: RolloutState = RolloutState.DONE) -> Snapshot:
    """What the ledger says after it: two instances of the core on app-1."""
    wanted = generations.wanted(cluster, RELEASE)
    rows = [
        Instance(InstanceKey(CORE, port), "app-1", "", wanted[CORE].digest, 1, State.READY, NOW)
        for port in (8101, 8102)
    ]
    services, rollouts = {}, {}
    for number, (name, one) in enumerate(wanted.items(), start=1):
        services[name] = Service(name, one.digest, one.digest, number)
        rollouts[number] = Rollout(number, name, one.digest, "", state, NOW, NOW, "deploy")
    return Snapshot(
        at=NOW, services=services, rollouts=rollouts, instances={one.key: one for one in rows}
    )


def rolls_to(load: Load, overrides: Mapping[str, Any], release: str = RELEASE) -> tuple[Roll, ...]:
    """What other settings would roll after a run with the shipped ones."""
    before, after = load(), load(overrides)
    wanted = generations.wanted(after, release)
    return rolls(after, ledger_of(before), wanted, facts_of(before))


def test_the_same_settings_roll_nothing(load: Load) -> None:
    assert rolls_to(load, {}) == ()


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        ({f"services.{CORE}.environment.MODE": "fast"}, ("environment",)),
        ({f"services.{CORE}.memory": "600MB"}, ("unit",)),
        (
            {f"services.{CORE}.memory": "600MB", f"services.{CORE}.environment.A": "b"},
            ("unit", "environment"),
        ),
    ],
)
def test_a_service_is_rolled_for_what_differs(
    load: Load, overrides: Mapping[str, str], why: tuple[str, ...]
) -> None:
    (roll,) = rolls_to(load, overrides)
    assert (roll.service, roll.why, roll.instances) == (CORE, why, {"app-1": 2})


def test_another_release_rolls_what_runs_it_for_that_alone(load: Load) -> None:
    found = rolls_to(load, {}, "2.0-def")
    assert len(found) == len(load().group("apps")[0].settings.services)
    assert {roll.why for roll in found} == {("release",)}


def test_other_passwords_roll_all_services_for_that_alone(load: Load, tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "inventory", tmp_path / "inventory")  # beside it others are generated
    after = load_cluster(tmp_path / "inventory", [REPOSITORY / "group_data"])
    before = load()
    wanted = generations.wanted(after, RELEASE)
    found = rolls(after, ledger_of(before), wanted, facts_of(before))
    assert len(found) == len(wanted)
    assert {roll.why for roll in found} == {("credentials",)}


def test_a_service_that_the_ledger_does_not_know_is_new(load: Load) -> None:
    cluster = load()
    found = rolls(cluster, Snapshot(at=NOW), generations.wanted(cluster, RELEASE), {})
    assert {roll.why for roll in found} == {("new",)}


def test_a_roll_out_that_failed_would_be_tried_again(load: Load) -> None:
    cluster = load()
    ledger = ledger_of(cluster, RolloutState.FAILED)
    found = rolls(cluster, ledger, generations.wanted(cluster, RELEASE), facts_of(cluster))
    assert {roll.why for roll in found} == {("the last one failed",)}
