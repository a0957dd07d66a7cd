"""A cluster with services that quick rules scale, and what tests ask its scalers and tell them."""

import json
from pathlib import Path
from typing import Any

from tests.lab.platform import Node, Platform
from tests.lab.traffic import Traffic, allow_slow_requests, doors
from tests.lab.waiting import wait_until

CORE, FRONTEND = "aktienanalyse-core", "aktienanalyse-frontend"
MONITORS = ("db-1", "cache-1")
APPS = ("app-1", "app-2")
CHECK_SECONDS = 5
MOVE_SECONDS = 180.0
LOOK_SECONDS = 0.5  # between two looks at the whole cluster
# Per instance, as each measures over a minute: 80 to 105 requests a second are right for four.
QUICK = {
    "cpu_percent": None,
    "memory_percent": None,
    "rules": {"requests_per_second": {"up_above": 30, "down_below": 15}},
    "evaluation_period_seconds": 10,
    "stale_after_seconds": 10,
    "cooldown_up_seconds": 5,
    "cooldown_down_seconds": 10,
    "stabilization_down_seconds": 15,
    "regret_seconds": 0,
}
SCALING = {"check_interval_seconds": CHECK_SECONDS, "services": {CORE: QUICK, FRONTEND: QUICK}}
# An instance that does not become ready is given up after 35 s.
SOON = {
    "start_timeout_seconds": 20,
    "health_check": {"first_after_seconds": 3, "timeout_seconds": 3, "tries": 3},
}
SETTINGS = f"""
services = {{name: service | {SOON!r} for name, service in services.items()}}
scaling = {SCALING!r}
monitoring = {{"interval_seconds": 2}}
agent = {{"heartbeat_seconds": 3, "lost_after_seconds": 12}}
"""


def with_two_monitors(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """The same hosts; one of the caches is a monitor as well."""
    return tuple(
        Node(node.name, node.address, (*node.groups, "monitors"), node.release)
        if node.name == "cache-1"
        else node
        for node in nodes
    )


def declare_quick_rules(platform: Platform) -> None:
    """Have two services judged every few seconds by the requests that each instance answers."""
    platform.is_scaled = True
    allow_slow_requests(platform, canary_seconds=1)
    with (platform.folder / "group_data" / "all.py").open("a") as file:
        file.write(SETTINGS)


def clients(platform: Platform, folder: Path, rate: int, seconds: int = 900) -> Traffic:
    """So many requests a second through each of the two balancers, for so long at most."""
    folder.mkdir()
    return Traffic(platform, folder, doors(str(platform.lab.addresses["lb-1"])), rate, seconds)


def scaling(platform: Platform, command: str) -> str:
    return platform.shell("db-1", f"sudo stellwerk scaling {command}")


def status(platform: Platform) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(scaling(platform, "status --json"))
    return found


def services(platform: Platform) -> dict[str, dict[str, Any]]:
    """How scaling stands of the two services, by name."""
    every = {one["name"]: one for one in status(platform)["services"]}
    return {name: every[name] for name in (CORE, FRONTEND)}


def has(platform: Platform, count: int, seconds: float = MOVE_SECONDS) -> None:
    """Wait until both services have so many instances that serve."""

    def settled() -> bool:
        found = services(platform).values()
        return all(one["desired"] == one["serving"] == count for one in found)

    assert wait_until(settled, seconds, LOOK_SECONDS), explain(platform)


def order(platform: Platform, count: int, *names: str) -> None:
    """Have so many instances of these services, or of both, until scaling is resumed."""
    for name in names or (CORE, FRONTEND):
        scaling(platform, f"set {name} {count} --for 2h")


def ask(platform: Platform, question: str) -> str:
    """What the ledger answers to a query of one value."""
    return platform.shell(
        "db-1", f'cd / && sudo -u postgres psql -qXAtd aktienanalyse -c "{question}"'
    )


def judged(platform: Platform, times: int) -> None:
    """Wait until both services have been judged so many times more."""
    number = ask(platform, "SELECT coalesce(max(id), 0) FROM stellwerk.scaling_decisions")
    count = (
        "SELECT min(times) FROM (SELECT count(id) AS times FROM stellwerk.services"
        f" LEFT JOIN stellwerk.scaling_decisions ON service = name AND id > {number}"
        f" WHERE name IN ('{CORE}', '{FRONTEND}') GROUP BY name) AS counted"
    )
    seconds = MOVE_SECONDS + times * 2 * CHECK_SECONDS
    assert wait_until(lambda: int(ask(platform, count)) >= times, seconds, LOOK_SECONDS), explain(
        platform
    )


def explain(platform: Platform) -> str:
    return "\n".join(
        [
            scaling(platform, "status"),
            scaling(platform, "history --all --lines 40"),
            *(
                f"--- scaler on {host}\n"
                + platform.shell(
                    host, "sudo journalctl -u stellwerk-scaler -n 40 -o cat", check=False
                )
                for host in MONITORS
            ),
            platform.journals(),
        ]
    )


def leader(platform: Platform) -> str | None:
    """The host whose scaler leads."""
    found: str | None = status(platform)["leader"]
    return found


def said(platform: Platform, host: str) -> str:
    """What the scaler of a host tells systemd."""
    return platform.shell(host, "systemctl show -P StatusText stellwerk-scaler")


def instances_running(platform: Platform) -> set[str]:
    """The instances of both services, by host and unit, that run with the processes they have."""
    return {
        f"{unit} {invocation}"
        for unit, invocation in platform.invocations(*APPS).items()
        if CORE in unit or FRONTEND in unit
    }


def placed(platform: Platform) -> dict[str, dict[str, int]]:
    """The wanted numbers by service and host, as of the last decisions."""
    return {
        name: {host: count for host, count in one["decision"]["hosts"].items() if count}
        for name, one in services(platform).items()
    }
