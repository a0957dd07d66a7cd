"""All passwords of Redis and Sentinel are changed, and no client is refused in between."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.redis_cluster import CACHES, SENTINEL_CLIENT, RedisCluster

pytestmark = pytest.mark.lab

Logins = dict[str, str]

HOLDER, HOLDER_HOST = "holder.service", "cache-2"
HELD = {"redis.password": "app", "sentinel.password": SENTINEL_CLIENT}
POINTS = ("Redis passwords", "Redis settings of the master", "Sentinel passwords")


def logins(caches: RedisCluster) -> Logins:
    """Who may log in with what, as secrets.yaml has it now."""
    passwords = caches.passwords()
    return {**passwords["redis"], SENTINEL_CLIENT: passwords["sentinel"]["password"]}


def let_in(caches: RedisCluster, users: Logins) -> set[str]:
    """Those of the users that every host lets in."""
    return {
        user
        for user, password in users.items()
        if all(caches.takes(node.name, user, password) for node in CACHES)
    }


@contextmanager
def a_unit_started_with(caches: RedisCluster, users: Logins) -> Iterator[None]:
    """A unit that holds what a service is started with."""
    sources = {name: f"/run/{name}.held" for name in HELD}
    written = [f"printf %s '{users[HELD[name]]}' >{path}" for name, path in sources.items()]
    loaded = " ".join(f"-p LoadCredential={name}:{path}" for name, path in sources.items())
    start = f"systemd-run -q --service-type=exec -u {HOLDER} {loaded} sleep infinity"
    caches.platform.shell(
        HOLDER_HOST,
        f"umask 077; {'; '.join(written)}; {start} && rm {' '.join(sources.values())}",
    )
    try:
        yield
    finally:
        caches.platform.shell(HOLDER_HOST, f"systemctl stop {HOLDER}")


def all_but_monitors(caches: RedisCluster) -> dict[str, str]:
    """The units that run on while passwords change: of these only monitors log in by them."""
    running = caches.platform.invocations().items()
    return {unit: found for unit, found in running if "stellwerk-monitor" not in unit}


def kill_at(caches: RedisCluster, point: str) -> None:
    """Start a run and kill it when the operation of this name has begun."""
    process = caches.platform.start()
    assert process.stdout is not None
    reached = any(f"| {point}" in line for line in process.stdout)
    process.kill()
    process.wait()
    assert reached


def test_a_password_of_before_counts_until_nobody_uses_it(
    caches: RedisCluster, tmp_path: Path
) -> None:
    before, running = logins(caches), all_but_monitors(caches)
    with (
        caches.traffic(tmp_path, every_time=True) as traffic,
        a_unit_started_with(caches, before),
    ):
        caches.change_passwords()
        outcome = caches.platform.deploy()
        assert f"is used by {HOLDER} on {HOLDER_HOST}" in outcome.output
        assert let_in(caches, logins(caches)) == before.keys()
        assert let_in(caches, before) == set(HELD.values())
        notes = traffic.finish()
    assert notes.failed == 0, notes.errors
    caches.platform.deploy()
    assert let_in(caches, before) == set()
    assert let_in(caches, logins(caches)) == before.keys()
    assert caches.platform.deploy().totals["success"] == 0
    assert all_but_monitors(caches) == running


@pytest.mark.thorough
def test_a_change_of_passwords_that_was_killed_is_completed_by_the_next_run(
    caches: RedisCluster, tmp_path: Path
) -> None:
    before = logins(caches)
    with (
        caches.traffic(tmp_path, every_time=True) as traffic,
        a_unit_started_with(caches, before),
    ):
        for point in POINTS:
            caches.change_passwords()
            kill_at(caches, point)
        caches.platform.deploy()
        notes = traffic.finish()
    assert notes.failed == 0, notes.errors
    caches.platform.deploy()
    assert let_in(caches, before) == set()
    assert let_in(caches, logins(caches)) == before.keys()


@pytest.mark.thorough
def test_a_limit_that_leaves_out_who_would_refuse_the_new_password_is_refused(
    caches: RedisCluster,
) -> None:
    before = logins(caches)
    secrets = caches.platform.folder / "secrets.yaml"
    kept = secrets.read_text()
    caches.change_passwords()
    refused = caches.platform.run("-y", "--limit", "cache-1")
    secrets.write_text(kept)
    assert refused.code != 0
    assert "this run leaves out cache-2, cache-3, which would refuse it" in refused.output
    assert let_in(caches, before) == before.keys()
    assert caches.platform.deploy().totals["success"] == 0
