"""How long rolling restarts take under load, and what the agents cost with 64 instances at rest."""

import tempfile
import time
from pathlib import Path

from tests.bench.deploys import DEBIAN_12
from tests.bench.table import Figure, show
from tests.lab.platform import Platform
from tests.lab.test_instances import (
    BALANCER,
    CORE,
    FRONTEND,
    all_in_rotation,
    await_settled,
    explain,
    instances,
    restart,
    stellwerk,
)
from tests.lab.traffic import Traffic, allow_slow_requests, doors
from tests.lab.waiting import wait_until

ROUNDS = 2
RATE = 100  # requests per second through each of the two balancers
AWAY_SECONDS = 120
MANY = 64
REST_SECONDS = 120
CONVERGE_SECONDS = 600.0


def main() -> None:
    """Measure on six Debian 12 hosts in a lab of their own, which is taken down again."""
    with tempfile.TemporaryDirectory() as folder:
        platform = Platform("bench-roll", DEBIAN_12, Path(folder))
        try:
            platform.lab.up()
            platform.lab.reset("bare")
            allow_slow_requests(platform)
            platform.deploy()
            _rounds(platform, Path(folder))
            _ledger_away(platform, Path(folder))
            _many_instances(platform)
        finally:
            platform.lab.down()


def _clients(platform: Platform, folder: Path) -> Traffic:
    return Traffic(platform, folder, doors(str(platform.lab.addresses[BALANCER])), RATE)


def _rounds(platform: Platform, folder: Path) -> None:
    seconds = []
    with _clients(platform, folder) as clients:
        for _ in range(ROUNDS):
            start = time.perf_counter()
            restart(platform, CORE, FRONTEND)
            seconds.append(time.perf_counter() - start)
    count = len(instances(platform, CORE)) + len(instances(platform, FRONTEND))
    show(
        f"rolling restart of {count} instances of two services",
        [
            Figure("seconds per round", ", ".join(f"{one:.0f}" for one in seconds), "-"),
            Figure("requests", str(clients.requests), "-"),
            Figure("failed", str(sum(clients.failures.values())), "0"),
        ],
    )


def _ledger_away(platform: Platform, folder: Path) -> None:
    unit = platform.shell(
        "db-1", "systemctl list-units 'postgresql@*' --no-legend --plain | cut -d' ' -f1"
    )
    with _clients(platform, folder) as clients:
        stellwerk(platform, f"rollout restart {CORE} {FRONTEND} --no-wait")
        platform.shell("db-1", f"systemctl stop {unit}")
        time.sleep(AWAY_SECONDS)
        platform.shell("db-1", f"systemctl start {unit}")
        start = time.perf_counter()
        await_settled(platform, CORE, FRONTEND)
        seconds = time.perf_counter() - start
    show(
        f"PostgreSQL stopped for {AWAY_SECONDS} s in the middle of a roll",
        [
            Figure("requests", str(clients.requests), "-"),
            Figure("failed", str(sum(clients.failures.values())), "0"),
            Figure("settled after its return", f"{seconds:.0f} s", "by itself"),
        ],
    )


def _many_instances(platform: Platform) -> None:
    """Small services beside the shipped ones, 64 instances in all."""
    each = [14, 14, 14, 15]
    services = {
        f"small-{number}": {
            "port_base": 20000 + 100 * number,
            "min_instances": count,
            "max_instances": count,
            "memory": "128MB",
            "balancer": "haproxy",
            "listen_port": 9600 + number,
            "backend_name": f"small_{number}_backend",
        }
        for number, count in enumerate(each)
    }
    (platform.folder / "group_data" / "all.py").write_text(f"services = {services!r}\n")
    start = time.perf_counter()
    platform.deploy()

    def converged() -> bool:
        return len(instances(platform, "")) == MANY and all_in_rotation(platform, "")

    assert wait_until(converged, CONVERGE_SECONDS), explain(platform)
    seconds = time.perf_counter() - start
    figures = [Figure(f"{MANY} instances over two hosts in rotation", f"{seconds:.0f} s", "-")]
    for host in ("app-1", "app-2", BALANCER):
        before = _cpu_seconds(platform, host)
        time.sleep(REST_SECONDS)
        percent = 100 * (_cpu_seconds(platform, host) - before) / REST_SECONDS
        figures += [
            Figure(f"agent on {host}: CPU at rest", f"{percent:.2f} % of a core", "at most 0.5 %"),
            Figure(f"agent on {host}: RSS", f"{_rss(platform, host):.1f} MB", "at most 40 MB"),
        ]
    show(f"{MANY} instances", figures)


def _cpu_seconds(platform: Platform, host: str) -> float:
    shown = platform.shell(host, "systemctl show -P CPUUsageNSec stellwerk-agent")
    return int(shown) / 1e9


def _rss(platform: Platform, host: str) -> float:
    shown = platform.shell(
        host,
        "awk '/^VmRSS/ {print $2}' /proc/$(systemctl show -P MainPID stellwerk-agent)/status",
    )
    return int(shown) / 1024
