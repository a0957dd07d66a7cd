"""The number of instances follows the load and no request is lost, whatever happens meanwhile."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.conftest import SIX, lab_name, skip_without_lab
from tests.lab.platform import Node, Platform
from tests.lab.traffic import Traffic, allow_slow_requests, doors
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

CORE, FRONTEND = "aktienanalyse-core", "aktienanalyse-frontend"
LIGHT, HEAVY = 10, 90  # requests per second through each balancer
MOVE_SECONDS = 180.0
TWO_MONITORS = tuple(
    Node(node.name, node.address, (*node.groups, "monitors"), node.release)
    if node.name == "cache-1"
    else node
    for node in SIX
)
# Per instance: 90 + 10 requests a second take four of them, 10 take two.
QUICK = {
    "cpu_percent": None,
    "memory_percent": None,
    "rules": {"requests_per_second": {"up_above": 30, "down_below": 15}},
    "evaluation_period_seconds": 10,
    "cooldown_up_seconds": 5,
    "cooldown_down_seconds": 10,
    "stabilization_down_seconds": 15,
}
SCALING = {"check_interval_seconds": 5, "services": {CORE: QUICK, FRONTEND: QUICK}}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Six hosts, two of them monitors, with quick rules for two services."""
    skip_without_lab()
    platform = Platform(lab_name("scaled"), TWO_MONITORS, tmp_path_factory.mktemp("scaled"))
    platform.is_scaled = True
    allow_slow_requests(platform, canary_seconds=1)
    folder = platform.folder / "group_data"
    (folder / "scaling.py").write_text(f"scaling = {SCALING!r}\n")
    with (folder / "all.py").open("a") as file:
        file.write("monitoring = {'interval_seconds': 2}\n")
    platform.lab.up()
    platform.lab.reset("bare")
    platform.deploy()
    yield platform
    platform.lab.down()


def clients(platform: Platform, folder: Path, rate: int) -> Traffic:
    folder.mkdir()
    return Traffic(platform, folder, doors(str(platform.lab.addresses["lb-1"])), rate)


def scaling(platform: Platform, command: str) -> str:
    return platform.shell("db-1", f"sudo stellwerk scaling {command}")


def status(platform: Platform) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(scaling(platform, "status --json"))
    return found


def has(platform: Platform, count: int, seconds: float = MOVE_SECONDS) -> None:
    """Wait until both services have so many instances that serve."""

    def settled() -> bool:
        services = status(platform)["services"]
        return all(
            one["desired"] == one["serving"] == count
            for one in services
            if one["name"] in (CORE, FRONTEND)
        )

    assert wait_until(settled, seconds), explain(platform)


def explain(platform: Platform) -> str:
    return "\n".join(
        [
            scaling(platform, "status"),
            scaling(platform, "history --all --lines 40"),
            platform.shell("db-1", "sudo journalctl -u stellwerk-scaler -n 40 -o cat", check=False),
            platform.journals(),
        ]
    )


def test_load_brings_instances_and_calm_takes_them_and_no_request_fails(
    cluster: Platform, tmp_path: Path
) -> None:
    with clients(cluster, tmp_path / "light", LIGHT) as light:
        with clients(cluster, tmp_path / "heavy", HEAVY) as heavy:
            has(cluster, 4)
        has(cluster, 2)
    assert light.failures == {}, explain(cluster)
    assert heavy.failures == {}, explain(cluster)
    assert light.requests > 0


def test_a_run_while_scaled_up_changes_nothing_and_an_operators_number_is_had(
    cluster: Platform,
) -> None:
    for name in (CORE, FRONTEND):
        scaling(cluster, f"set {name} 5 --for 1h")
    has(cluster, 5)
    assert cluster.deploy().totals["success"] == 0
    has(cluster, 5)
    scaling(cluster, "resume")
    has(cluster, 2)


def leader(platform: Platform) -> str:
    return str(status(platform)["leader"])


@pytest.mark.parametrize("signal", ["KILL", "STOP"])
def test_another_scaler_leads_when_the_leader_dies_or_freezes(
    cluster: Platform, signal: str
) -> None:
    first = leader(cluster)
    cluster.shell(first, f"sudo systemctl kill -s {signal} stellwerk-scaler")
    began = time.monotonic()
    assert wait_until(lambda: leader(cluster) not in (first, "None"), 60), explain(cluster)
    print(f"{signal}: {leader(cluster)} leads {time.monotonic() - began:.1f} s later")
    cluster.shell(first, "sudo systemctl kill -s CONT stellwerk-scaler")


def test_while_postgresql_is_away_nothing_shrinks_and_no_request_fails(
    cluster: Platform, tmp_path: Path
) -> None:
    for name in (CORE, FRONTEND):
        scaling(cluster, f"set {name} 4 --for 1h")
    has(cluster, 4)
    unit = cluster.shell(
        "db-1", "systemctl list-units 'postgresql@*' --no-legend --plain | cut -d' ' -f1"
    )
    running = instances_running(cluster)
    with clients(cluster, tmp_path / "light", LIGHT) as light:
        cluster.shell("db-1", f"sudo systemctl stop {unit}")
        for host in ("db-1", "cache-1"):
            assert wait_until(lambda host=host: "Nothing moves" in said(cluster, host), 60)  # type: ignore[misc]
        assert instances_running(cluster) == running
        cluster.shell("db-1", f"sudo systemctl start {unit}")
        has(cluster, 4)
        assert instances_running(cluster) == running
        scaling(cluster, "resume")
        has(cluster, 2)
    assert light.failures == {}, explain(cluster)


def said(platform: Platform, host: str) -> str:
    return platform.shell(host, "systemctl show -P StatusText stellwerk-scaler")


def instances_running(platform: Platform) -> set[str]:
    """The instances of both services, by host and unit, that run with the processes they have."""
    return {
        f"{unit} {invocation}"
        for unit, invocation in platform.invocations("app-1", "app-2").items()
        if CORE in unit or FRONTEND in unit
    }


def test_an_app_host_without_power_is_made_up_for(cluster: Platform) -> None:
    has(cluster, 2)
    cluster.lab.power_off("app-2")
    try:
        assert wait_until(lambda: on_app_1(cluster) == {CORE: 2, FRONTEND: 2}, MOVE_SECONDS)
        has(cluster, 2)
    finally:
        cluster.lab.power_on("app-2")
    has(cluster, 2)


def on_app_1(platform: Platform) -> dict[str, int]:
    """The wanted numbers there, as of the last decisions."""
    return {
        one["name"]: one["decision"]["hosts"].get("app-1", 0)
        for one in status(platform)["services"]
        if one["name"] in (CORE, FRONTEND)
    }
