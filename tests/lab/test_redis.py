"""Redis in operation on Debian 13: what takes a restart loses no write."""

from pathlib import Path

import pytest

from tests.lab.platform import Platform
from tests.lab.redis_cluster import RedisCluster

pytestmark = pytest.mark.lab

HOSTS = ("cache-1", "cache-2")


def config(cluster: RedisCluster, directive: str) -> set[str]:
    return {cluster.redis(host, f"CONFIG GET {directive} | tail -n 1") for host in HOSTS}


def test_settings_are_changed_while_redis_and_sentinel_run(six: Platform) -> None:
    before = six.invocations()
    cluster = RedisCluster(six)
    edited = ("--data", "redis.maxmemory=768MB", "--data", "sentinel.down_after_milliseconds=4000")
    six.deploy(*edited)
    assert config(cluster, "maxmemory") == {str(768 * 1024**2)}
    assert six.deploy(*edited).totals["success"] == 0
    six.deploy()
    assert six.deploy().totals["success"] == 0
    assert six.invocations() == before


def test_a_setting_that_takes_a_restart_loses_no_write(six: Platform, tmp_path: Path) -> None:
    cluster = RedisCluster(six)
    before = cluster.master()
    with cluster.traffic(tmp_path) as traffic:
        six.deploy("--data", "redis.tcp_backlog=600")
        cluster.wait_for_writes(traffic)
        acknowledged = traffic.finish().acknowledged
    assert config(cluster, "tcp-backlog") == {"600"}
    assert cluster.master() != before
    stored = cluster.stored()
    assert acknowledged <= stored, sorted(acknowledged - stored)
    assert six.deploy("--data", "redis.tcp_backlog=600").totals["success"] == 0
    six.deploy()
    assert six.deploy().totals["success"] == 0
