"""Hosts with Redis and Sentinel come, go and are replaced, and what was written stays."""

from pathlib import Path

import pytest

from tests.lab.redis_cluster import CACHES, NAME, SETTLE_SECONDS, RedisCluster, cache
from tests.lab.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.thorough]

THREE = tuple(node.name for node in CACHES)
FOURTH = cache(4)
WITHOUT_GROUPS = cache(4, "resting")


def addresses(*numbers: int) -> list[str]:
    return [cache(number).address for number in numbers]


def fail_over_to(caches: RedisCluster, host: str) -> None:
    """Have the Sentinels promote a host, whichever they would choose."""

    def asked() -> bool:
        return "OK" in caches.sentinel("cache-1", f"FAILOVER {NAME}", check=False)

    def all_follow() -> bool:
        roles = [caches.redis(node.name, "ROLE").split() for node in caches.nodes]
        return caches.settled_on() == host and all(
            role[0] == "master" or "connected" in role for role in roles
        )

    for node in caches.nodes:
        caches.redis(node.name, f"CONFIG SET replica-priority {1 if node.name == host else 100}")
    # A Sentinel hears of it when it next asks, and refuses while it knows no good replica.
    assert wait_until(lambda: caches.priority_of(host) == 1, SETTLE_SECONDS)
    assert wait_until(asked, SETTLE_SECONDS)
    assert wait_until(all_follow, SETTLE_SECONDS), caches.platform.journals()
    for node in caches.nodes:
        caches.redis(node.name, "CONFIG SET replica-priority 100")


def assert_they_know_each_other(caches: RedisCluster) -> None:
    """Every Sentinel knows all others once and all replicas, and nobody else."""
    names = {node.name: node.address for node in caches.nodes}
    master = names[caches.master()]
    for name, address in names.items():
        others = sorted(set(names.values()) - {address})
        assert caches.known(name, "SENTINELS") == others, name
        assert caches.known(name, "REPLICAS") == sorted(set(names.values()) - {master}), name
        listed = caches.sentinel(name, f"MASTER {NAME} | grep -A 1 -x quorum | tail -n 1")
        assert int(listed) == len(names) // 2 + 1


def test_a_fourth_host_joins_as_a_replica_with_a_sentinel(
    caches: RedisCluster, tmp_path: Path
) -> None:
    platform = caches.platform
    before = platform.invocations(*THREE)
    platform.declare([*CACHES, FOURTH])
    platform.lab.reset("bare", [FOURTH.name])
    with caches.traffic(tmp_path) as traffic:
        platform.deploy()
        notes = traffic.finish()
    assert notes.failed == 0, notes.errors
    assert caches.redis(FOURTH.name, "ROLE | head -n 1") == "slave"
    # Redis and Sentinel rewrite their files there.
    assert platform.shell(FOURTH.name, "stat -c '%a %U %G' /etc/redis") == "2770 redis redis"
    assert_they_know_each_other(caches)
    assert notes.acknowledged <= caches.stored()
    assert platform.deploy().totals["success"] == 0
    assert platform.invocations(*THREE) == before


def test_a_master_whose_host_leaves_its_groups_hands_over_and_is_forgotten(
    caches: RedisCluster, tmp_path: Path
) -> None:
    platform = caches.platform
    fail_over_to(caches, FOURTH.name)
    before = platform.invocations(*THREE)
    with caches.traffic(tmp_path) as traffic:
        platform.declare([*CACHES, WITHOUT_GROUPS])
        platform.deploy()
        caches.wait_for_writes(traffic)
        notes = traffic.finish()
    assert notes.acknowledged <= caches.stored()
    assert platform.shell(FOURTH.name, "ls /etc/redis/*-*.conf", check=False) == ""
    assert platform.shell(FOURTH.name, "ls /etc/redis/users.acl", check=False) == ""
    assert platform.shell(FOURTH.name, "ls /etc/stellwerk/credentials") == "monitoring.token"
    listed = platform.shell(FOURTH.name, "systemctl list-units --all 'redis-*@*' --no-legend")
    assert listed == ""
    assert_they_know_each_other(caches)
    assert platform.deploy().totals["success"] == 0
    assert platform.invocations(*THREE) == before


def test_a_host_that_was_taken_out_is_forgotten_only_when_it_is_off(caches: RedisCluster) -> None:
    platform = caches.platform
    platform.declare([*CACHES, FOURTH])
    lab = platform.lab
    lab.up()
    platform.deploy()
    platform.declare(CACHES)
    told = platform.deploy()
    assert f"{FOURTH.address}:6379 still takes part in {NAME}" in told.output
    assert caches.known("cache-1", "SENTINELS") == addresses(2, 3, 4)
    lab.power_off(FOURTH.name)

    def seen_as_down() -> bool:
        views = [
            caches.sentinel(node.name, f"{kind} {NAME}")
            for node in CACHES
            for kind in ("SENTINELS", "REPLICAS")
        ]
        return all("s_down" in view for view in views)

    assert wait_until(seen_as_down, SETTLE_SECONDS)
    platform.deploy()
    assert_they_know_each_other(caches)
    assert platform.deploy().totals["success"] == 0


def test_the_dead_master_is_replaced_by_an_empty_machine_that_follows_the_new_one(
    caches: RedisCluster, tmp_path: Path
) -> None:
    platform = caches.platform
    with caches.traffic(tmp_path / "before") as traffic:
        written = traffic.finish().acknowledged
    dead = caches.master()
    others = [node.name for node in CACHES if node.name != dead]
    platform.lab.power_off(dead)
    assert wait_until(lambda: caches.master(others[0]) != dead, SETTLE_SECONDS)

    limit = [word for name in others for word in ("--limit", name)]
    before = platform.invocations(*others)
    assert wait_until(lambda: platform.run("-y", *limit).code == 0, SETTLE_SECONDS)
    assert platform.deploy(*limit).totals["success"] == 0

    platform.lab.reset("bare", [dead])
    with caches.traffic(tmp_path / "meanwhile") as traffic:
        platform.deploy()
        notes = traffic.finish()
    assert notes.failed == 0, notes.errors
    assert caches.redis(dead, "ROLE | head -n 1") == "slave"
    assert written | notes.acknowledged <= caches.stored()
    assert_they_know_each_other(caches)
    assert platform.deploy().totals["success"] == 0
    assert platform.invocations(*others) == before
