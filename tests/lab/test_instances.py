"""Instances live and roll under load: restarts, bad releases, faults in the middle of a roll."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.platform import Platform
from tests.lab.rows import rows
from tests.lab.test_deploy import answer
from tests.lab.traffic import Traffic, doors
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

CORE, FRONTEND = "aktienanalyse-core", "aktienanalyse-frontend"
RATE = 100  # requests per second through each of the two balancers
ROLL_SECONDS = 300.0
CORE_DATA = f"services.{CORE}"
BALANCER, DATABASE = "lb-1", "db-1"
MONITOR = (
    "python3 -c 'import urllib.request as u;"
    ' print(u.urlopen("http://127.0.0.1:8004/health").read().decode())\''
)


@pytest.fixture(scope="module")
def rolling(six: Platform) -> Iterator[Platform]:
    """The six hosts; whatever a test declared is taken back at the end."""
    yield six
    six.deploy()


@pytest.fixture
def traffic(rolling: Platform, tmp_path: Path) -> Traffic:
    """Clients through HAProxy and nginx; they start with the `with`."""
    address = str(rolling.lab.addresses[BALANCER])
    return Traffic(rolling, tmp_path, doors(address), RATE)


def stellwerk(platform: Platform, command: str, check: bool = True) -> str:
    """What a command of the operator prints on the database host."""
    return platform.shell(DATABASE, f"sudo stellwerk {command}", check=check)


def instances(platform: Platform, service: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(stellwerk(platform, f"instances {service} --json"))[
        "instances"
    ]
    return found


def rollout(platform: Platform, service: str) -> dict[str, Any]:
    """The service's newest roll-out."""
    said: list[dict[str, Any]] = json.loads(
        stellwerk(platform, f"rollout status {service} --json", check=False)
    )
    return said[0]


def generations(platform: Platform, service: str) -> set[str]:
    return {one["generation"] for one in instances(platform, service)}


def all_in_rotation(platform: Platform, service: str) -> bool:
    found = instances(platform, service)
    return bool(found) and all(
        one["state"] == "ready" and one["in_rotation"].get(BALANCER) == "up" for one in found
    )


def started(platform: Platform) -> dict[str, str]:
    """InvocationID of every service instance."""
    return {
        unit: invocation
        for unit, invocation in platform.invocations().items()
        if "aktienanalyse-" in unit
    }


def await_settled(platform: Platform, *services: str) -> None:
    """Until the roll-out is done and every instance of it is in rotation."""

    def settled() -> bool:
        return all(
            rollout(platform, service)["state"] == "done" and all_in_rotation(platform, service)
            for service in services
        )

    assert wait_until(settled, ROLL_SECONDS), explain(platform)


def explain(platform: Platform) -> str:
    return "\n".join(
        [
            stellwerk(platform, "instances", check=False),
            stellwerk(platform, "rollout status", check=False),
            *(
                f"--- agent on {host}\n"
                + platform.shell(
                    host, "sudo journalctl -u stellwerk-agent -n 60 --no-pager -o cat", check=False
                )
                for host in (BALANCER, "app-1", "app-2")
            ),
            platform.journals(),
        ]
    )


def restart(platform: Platform, *services: str) -> None:
    stellwerk(platform, f"rollout restart {' '.join(services)} --wait")


def test_two_rounds_of_rolling_restarts_fail_no_request(
    rolling: Platform, traffic: Traffic
) -> None:
    with traffic:
        for _ in range(2):
            before = started(rolling)
            restart(rolling, CORE, FRONTEND)
            after = started(rolling)
            rolled = {unit for unit in after if CORE in unit or FRONTEND in unit}
            assert all(before[unit] != after[unit] for unit in rolled), explain(rolling)
            others = after.keys() - rolled
            assert {unit: after[unit] for unit in others} == {unit: before[unit] for unit in others}
    assert traffic.requests > 0
    assert traffic.failures == {}, explain(rolling)


BAD = {
    "never becomes healthy": {
        "environment.SAMPLE_NEVER_READY": "1",
        "start_timeout_seconds": "5",
    },
    "crashes after 10 s": {"environment.SAMPLE_EXIT_AFTER_S": "10", "rollout.canary_seconds": "15"},
    "answers 500": {"environment.SAMPLE_ERROR_SHARE": "1", "rollout.canary_seconds": "15"},
}


@pytest.mark.parametrize("fault", rows(BAD, "never becomes healthy"))
def test_a_bad_release_stops_at_its_canary_and_undo_brings_all_back(
    rolling: Platform, traffic: Traffic, fault: str
) -> None:
    good = generations(rolling, CORE)
    data = [f"--data={CORE_DATA}.{key}={value}" for key, value in BAD[fault].items()]
    with traffic:
        outcome = rolling.run("-y", "--json", *data)
        assert outcome.code != 0
        assert CORE in outcome.output, outcome.output
        failed = rollout(rolling, CORE)
        assert failed["state"] == "failed", explain(rolling)
        kept = [one for one in instances(rolling, CORE) if one["generation"] in good]
        assert len(kept) == len(instances(rolling, CORE)) - 1, explain(rolling)
        assert all(one["state"] == "ready" for one in kept)
        assert failed["failed_instance"]
        assert failed["journal"]
        stellwerk(rolling, f"rollout undo {CORE} --wait")
        assert generations(rolling, CORE) == good
        await_settled(rolling, CORE)
    # Only what the canary itself was sent may have failed; the ledger says how much that was.
    if fault == "answers 500":
        assert set(traffic.failures) <= {"haproxy: HTTP 500"}, traffic.failures
    elif fault == "never becomes healthy":
        assert traffic.failures == {}, explain(rolling)
    else:
        assert all(name.startswith("haproxy:") for name in traffic.failures), traffic.failures
    assert rolling.deploy().totals["error"] == 0


def stop_postgresql(platform: Platform) -> None:
    unit = platform.shell(
        DATABASE, "systemctl list-units 'postgresql@*' --no-legend --plain | cut -d' ' -f1"
    )
    platform.shell(DATABASE, f"sudo systemctl stop {unit}")
    try:
        for host in ("app-1", "app-2", BALANCER):
            assert wait_until(
                lambda host=host: "away" in agent_status(platform, host),  # type: ignore[misc]
                60,
            ), explain(platform)
    finally:
        platform.shell(DATABASE, f"sudo systemctl start {unit}")


def agent_status(platform: Platform, host: str) -> str:
    return platform.shell(host, "systemctl show -P StatusText stellwerk-agent")


def kill_agents(platform: Platform) -> None:
    for host in ("app-1", "app-2", BALANCER):
        platform.shell(host, "sudo systemctl kill -s KILL stellwerk-agent")


def reload_balancers(platform: Platform) -> None:
    platform.shell(BALANCER, "sudo systemctl reload haproxy nginx")


FAULTS: dict[str, Callable[[Platform], None]] = {
    "postgresql stopped": stop_postgresql,
    "agents killed": kill_agents,
    "balancers reloaded": reload_balancers,
}


@pytest.mark.parametrize("fault", rows(FAULTS, "agents killed"))
def test_a_roll_ends_by_itself_after_a_fault_and_no_request_fails(
    rolling: Platform, traffic: Traffic, fault: str
) -> None:
    with traffic:
        begun = stellwerk(rolling, f"rollout restart {CORE} {FRONTEND} --no-wait")
        assert wait_until(lambda: in_the_middle(rolling), ROLL_SECONDS), begun + explain(rolling)
        FAULTS[fault](rolling)
        await_settled(rolling, CORE, FRONTEND)
    assert traffic.failures == {}, explain(rolling)


def in_the_middle(platform: Platform) -> bool:
    return any(one["state"] != "ready" for one in instances(platform, CORE))


def test_a_roll_ends_by_itself_after_the_balancers_restarted(
    rolling: Platform, traffic: Traffic
) -> None:
    """HAProxy hands over. Debian's nginx takes some seconds to stop; nobody listens meanwhile."""
    with traffic:
        stellwerk(rolling, f"rollout restart {CORE} {FRONTEND} --no-wait")
        assert wait_until(lambda: in_the_middle(rolling), ROLL_SECONDS), explain(rolling)
        rolling.shell(BALANCER, "sudo systemctl restart haproxy nginx")
        await_settled(rolling, CORE, FRONTEND)
    # What nginx held, and what came while it was not there: no service failed one.
    gone = ("no connection: connection refused", "the connection was closed before the answer")
    excused = {f"nginx: {reason}" for reason in gone}
    assert traffic.failures.keys() <= excused, explain(rolling)
    assert_served(rolling)


@pytest.mark.thorough
def test_a_restart_of_haproxy_that_fails_leaves_a_bridge_until_it_is_started(
    rolling: Platform, traffic: Traffic
) -> None:
    """No request fails from the edit that HAProxy refuses to the start after it was mended."""
    path = "/etc/haproxy/haproxy.cfg"
    bridges = "systemctl list-units --plain --no-legend 'haproxy-bridge@*.service'"
    rolling.shell(BALANCER, "sudo systemctl restart haproxy")  # it keeps what it serves with
    with traffic:
        rolling.shell(
            BALANCER, f"sudo cp -a {path} /run/kept.cfg; echo nonsense | sudo tee -a {path}"
        )
        try:
            rolling.shell(BALANCER, "sudo systemctl restart haproxy", check=False)
            assert "running" in rolling.shell(BALANCER, bridges)
            said = "sudo journalctl -u haproxy -o cat _TRANSPORT=stdout | grep 'serves on'"
            assert "haproxy-bridge@" in rolling.shell(BALANCER, said)
            told = "A bridge serves for haproxy.service"
            assert wait_until(lambda: told in rolling.shell(BALANCER, MONITOR), ROLL_SECONDS)
        finally:
            rolling.shell(
                BALANCER,
                f"sudo mv /run/kept.cfg {path}; sudo systemctl reset-failed haproxy;"
                " sudo systemctl start haproxy",
            )
        assert wait_until(lambda: rolling.shell(BALANCER, bridges) == "", ROLL_SECONDS)
        assert wait_until(lambda: all_in_rotation(rolling, CORE), ROLL_SECONDS)
    assert traffic.failures == {}, explain(rolling)


@pytest.mark.thorough
def test_a_roll_ends_by_itself_after_an_app_host_lost_its_power(
    rolling: Platform, traffic: Traffic, tmp_path: Path
) -> None:
    """How much fails meanwhile depends on the moment: with two instances, none is left for some
    seconds where the host dies while the other one restarts.
    """
    with traffic:
        stellwerk(rolling, f"rollout restart {CORE} {FRONTEND} --no-wait")
        assert wait_until(lambda: in_the_middle(rolling), ROLL_SECONDS), explain(rolling)
        rolling.lab.power_off("app-2")
        rolling.lab.power_on("app-2")
        await_settled(rolling, CORE, FRONTEND)
    assert traffic.requests > sum(traffic.failures.values())
    later = tmp_path / "later"
    later.mkdir()
    with Traffic(rolling, later, doors(str(rolling.lab.addresses[BALANCER])), RATE) as clients:
        restart(rolling, CORE)
    assert clients.failures == {}, explain(rolling)


def assert_served(platform: Platform) -> None:
    for door in doors(str(platform.lab.addresses[BALANCER])):
        answer(platform, door.url)


REFUSALS = ("Access denied", "Interactive authentication required")
NEAR_MISSES = (
    "aktienanalyse-core@8100.service",
    "aktienanalyse-core@81011.service",
    "aktienanalyse-core.service",
    "aktienanalyse-core@8101.service.service",
    "aktienanalyse-corex@8101.service",
    "xaktienanalyse-core@8101.service",
    "aktienanalyse-core@8101.socket",
    "ssh.service",
    "stellwerk-agent.service",
    "stellwerk-pin@aktienanalyse-core:22:0123456789abcdef.service",
    "stellwerk-pin@..:8101:0123456789abcdef.service",
)


def test_the_agents_user_may_start_and_stop_the_declared_units_only(rolling: Platform) -> None:
    own = next(one for one in instances(rolling, CORE) if one["host"] == "app-1")
    assert manage(rolling, "StartUnit", f"{own['name']}.service") == ""
    for unit in NEAR_MISSES:
        for verb in ("StartUnit", "StopUnit", "RestartUnit"):
            assert "Access denied" in manage(rolling, verb, unit), (verb, unit)
    for verb in ("Reload", "Reboot"):
        assert any(refusal in manage(rolling, verb) for refusal in REFUSALS), verb


def manage(platform: Platform, method: str, unit: str = "") -> str:
    """Ask app-1's systemd as the agent's user; what it answers when it refuses."""
    arguments = f"ss {unit} replace" if unit else ""
    return platform.shell(
        "app-1",
        "sudo setpriv --reuid=stellwerk-agent --regid=stellwerk-agent --init-groups"
        " busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1"
        f" org.freedesktop.systemd1.Manager {method} {arguments} 2>&1 >/dev/null || true",
    )


def test_an_operator_holds_an_instance_out_of_rotation_and_back(
    rolling: Platform, traffic: Traffic
) -> None:
    name = instances(rolling, CORE)[0]["name"]

    def seen() -> str:
        found = {one["name"]: one for one in instances(rolling, CORE)}
        return str(found[name]["in_rotation"][BALANCER])

    with traffic:
        stellwerk(rolling, f"instances drain {name}")
        assert seen() == "out"
        stellwerk(rolling, f"instances undrain {name}")
        assert seen() == "up"
    assert traffic.failures == {}, explain(rolling)


def test_a_crash_loop_is_failed_and_never_capacity(rolling: Platform) -> None:
    name = instances(rolling, CORE)[0]["name"]
    host = instances(rolling, CORE)[0]["host"]

    def state() -> str:
        found = {one["name"]: one for one in instances(rolling, CORE)}
        return str(found[name]["state"])

    # Killed faster than systemd's start limit allows, whatever its process is.
    rolling.shell(
        host,
        f"for i in $(seq 1 200); do systemctl is-failed -q {name} && break;"
        f" sudo systemctl kill -s KILL {name}; sleep 0.3; done",
    )
    assert wait_until(lambda: state() == "failed", 60), explain(rolling)
    assert wait_until(lambda: state() == "ready", 120), explain(rolling)
