"""Redis is left as it is where Sentinels disagree, and where it does not take its settings."""

from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path

import pytest

from tests.lab.platform import Outcome
from tests.lab.redis_cluster import CACHES, NAME, SETTLE_SECONDS, RedisCluster
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

SENTINEL_UNIT = "redis-sentinel@26379.service"


@pytest.fixture
def refused(caches: RedisCluster, tmp_path: Path) -> Iterator[Callable[..., Outcome]]:
    """Runs that must fail, with traffic that notices nothing; the next good run goes through."""
    before = configuration(caches)

    def run(*data: str) -> Outcome:
        words = [word for one in data for word in ("--data", one)]
        outcome = caches.platform.run("-y", *words)
        assert outcome.code != 0, outcome.output
        assert "Traceback" not in outcome.output
        return outcome

    with caches.traffic(tmp_path) as traffic:
        yield run
        notes = traffic.finish()
    assert notes.failed == 0, notes.errors
    assert configuration(caches) == before
    caches.platform.deploy()


def configuration(caches: RedisCluster) -> dict[str, str]:
    """What every Redis runs with, by host and key."""
    found: dict[str, str] = {}
    for node in CACHES:
        lines = caches.redis(node.name, "CONFIG GET '*'").split("\n")
        # A last value that is empty is no line.
        pairs = zip_longest(lines[::2], lines[1::2], fillvalue="")
        found |= {f"{node.name} {key}": value for key, value in pairs}
    return found


def test_a_value_that_redis_refuses_leaves_all_values_of_the_run_as_they_were(
    refused: Callable[..., Outcome],
) -> None:
    outcome = refused("redis.maxmemory=640MB", 'redis.parameters={"hz": "often"}')
    assert "runs on as before, as it refuses its settings" in outcome.output
    assert "argument couldn't be parsed into an integer" in outcome.output


@pytest.mark.thorough
def test_a_directive_that_redis_does_not_know_is_named(refused: Callable[..., Outcome]) -> None:
    outcome = refused('redis.parameters={"maxmemori": "1gb"}')
    assert "Unknown option" in outcome.output
    assert "maxmemori" in outcome.output


def test_a_value_that_redis_takes_but_is_not_well_with_is_taken_back(
    refused: Callable[..., Outcome],
) -> None:
    outcome = refused('redis.parameters={"maxclients": "1"}')
    assert "was not healthy with maxclients" in outcome.output
    assert "max number of clients" in outcome.output


@pytest.mark.thorough
def test_a_value_that_redis_would_not_start_with_restarts_nothing(
    caches: RedisCluster, refused: Callable[..., Outcome]
) -> None:
    before = caches.platform.invocations()
    outcome = refused('redis.parameters={"databases": "none"}')
    assert "would not start with databases none" in outcome.output
    assert "Invalid number of databases" in outcome.output or "FATAL CONFIG" in outcome.output
    assert caches.platform.invocations() == before


def test_a_value_that_only_a_replica_in_use_does_not_start_with_is_taken_back(
    caches: RedisCluster, refused: Callable[..., Outcome]
) -> None:
    before = caches.master()
    outcome = refused('redis.parameters={"cluster-enabled": "yes"}')
    assert "was started with the values of before" in outcome.output
    assert "replicaof directive not allowed in cluster mode" in outcome.output
    assert caches.master() == before


@pytest.mark.thorough
def test_a_lone_sentinel_is_no_majority(
    caches: RedisCluster, refused: Callable[..., Outcome]
) -> None:
    address = next(node.address for node in CACHES if node.name == caches.master())
    for host in ("cache-2", "cache-3"):
        caches.platform.shell(host, f"systemctl stop {SENTINEL_UNIT}")
    outcome = refused()
    for host in ("cache-2", "cache-3"):
        caches.platform.shell(host, f"systemctl start {SENTINEL_UNIT}")
    assert f"cache-1 says {address}:6379" in outcome.output
    assert "cache-2 says cannot connect" in outcome.output
    assert "a majority of the 3 Sentinels must agree" in outcome.output


def test_sentinels_that_disagree_stop_the_run_and_are_set_up_anew(
    caches: RedisCluster, refused: Callable[..., Outcome]
) -> None:
    """Two are told of other masters and have no password, and no Sentinel knows another one."""
    wrong = {"cache-2": "198.18.0.98", "cache-3": "198.18.0.99"}
    for host in wrong:
        caches.sentinel(host, f"REMOVE {NAME}")
    caches.sentinel("cache-1", f"RESET {NAME}")
    for host, address in wrong.items():
        caches.sentinel(host, f"MONITOR {NAME} {address} 6379 2")
    outcome = refused()
    for host, address in wrong.items():
        assert f"{host} says {address}:6379" in outcome.output
        caches.platform.shell(
            host, f"systemctl stop {SENTINEL_UNIT} && rm /etc/redis/sentinel-26379.conf"
        )
    caches.platform.deploy()
    agreed = wait_until(
        lambda: len({caches.master(node.name) for node in CACHES}) == 1, SETTLE_SECONDS
    )
    assert agreed


def test_after_all_that_a_run_changes_nothing(caches: RedisCluster) -> None:
    assert caches.platform.deploy().totals["success"] == 0
