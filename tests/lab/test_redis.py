"""Redis in operation: what is set while it runs, and what takes a restart, loses no write."""

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.platform import Platform
from tests.lab.test_deploy import MASTER_NAME, REDIS, current_master
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

# Writes numbers through whatever master the Sentinels name, and notes each acknowledged one.
WRITER = """
    import json, sys, time, redis

    name, sentinels, sentinel_password, password, noted, stop = json.loads(sys.argv[1])

    def master():
        for host, port in sentinels:
            try:
                asked = redis.Redis(host=host, port=port, password=sentinel_password,
                                    socket_timeout=1, socket_connect_timeout=1)
                address = asked.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
                return redis.Redis(host=address[0].decode(), port=int(address[1]), username="app",
                                   password=password, socket_timeout=1, socket_connect_timeout=1)
            except redis.RedisError:
                continue
        return None

    import pathlib
    number, server = 0, master()
    with open(noted, "w") as acknowledged:
        while not pathlib.Path(stop).exists():
            try:
                server.set(f"written:{number}", number)
                acknowledged.write(f"{number}\\n")
                acknowledged.flush()
            except (redis.RedisError, AttributeError):
                server = master()
            number += 1
            time.sleep(0.01)
"""
SETTLE_SECONDS = 60.0


class Writer:
    """A client that writes about 100 times a second until it is stopped."""

    def __init__(self, platform: Platform, folder: Path) -> None:
        self.noted, self.stop = folder / "noted", folder / "stop"
        sentinels = [(node.address, 26379) for node in platform.nodes if "sentinels" in node.groups]
        credentials = "/etc/stellwerk/credentials"
        arguments = json.dumps(
            [
                MASTER_NAME,
                sentinels,
                platform.shell("app-1", f"cat {credentials}/sentinel.password"),
                platform.shell("app-1", f"cat {credentials}/redis.app"),
                str(self.noted),
                str(self.stop),
            ]
        )
        program = textwrap.dedent(WRITER)
        self.process = subprocess.Popen(
            platform.lab.net_command([sys.executable, "-c", program, arguments])
        )

    def acknowledged(self) -> set[int]:
        return set(map(int, self.noted.read_text().split())) if self.noted.exists() else set()

    def finish(self) -> set[int]:
        """Stop writing; the numbers that were acknowledged."""
        self.stop.touch()
        assert self.process.wait(SETTLE_SECONDS) == 0
        return self.acknowledged()


@pytest.fixture
def writer(six: Platform, tmp_path: Path) -> Iterator[Writer]:
    found = Writer(six, tmp_path)
    assert wait_until(lambda: len(found.acknowledged()) > 10, SETTLE_SECONDS)
    yield found
    found.stop.touch()
    found.process.kill()
    found.process.wait()


def stored(platform: Platform) -> set[int]:
    """The numbers that the present master holds."""
    host = {"198.18.0.31": "cache-1", "198.18.0.32": "cache-2"}[current_master(platform)]
    keys = platform.shell(host, f"{REDIS} --scan --pattern 'written:*'").split()
    return {int(key.removeprefix("written:")) for key in keys}


def config(platform: Platform, host: str, directive: str) -> str:
    return platform.shell(host, f"{REDIS} CONFIG GET {directive} | tail -1")


def test_a_setting_is_changed_while_redis_runs(six: Platform) -> None:
    before = six.invocations()
    six.deploy("--data", "redis.maxmemory=768MB")
    for host in ("cache-1", "cache-2"):
        assert config(six, host, "maxmemory") == str(768 * 1024**2)
    six.deploy()
    assert six.invocations() == before


def test_sentinel_settings_are_changed_while_it_runs(six: Platform) -> None:
    before = six.invocations()
    six.deploy("--data", "sentinel.down_after_milliseconds=4000")
    assert six.deploy().totals["success"] > 0
    assert six.deploy().totals["success"] == 0
    assert six.invocations() == before


def test_a_setting_that_takes_a_restart_loses_no_write(six: Platform, writer: Writer) -> None:
    before = current_master(six)
    six.deploy("--data", "redis.tcp_backlog=600")
    for host in ("cache-1", "cache-2"):
        assert config(six, host, "tcp-backlog") == "600"
    assert current_master(six) != before
    during = max(writer.acknowledged())
    assert wait_until(lambda: max(writer.acknowledged()) > during, SETTLE_SECONDS)
    acknowledged = writer.finish()
    assert acknowledged <= stored(six), sorted(acknowledged - stored(six))
    assert six.deploy("--data", "redis.tcp_backlog=600").totals["success"] == 0
    six.deploy()
    assert six.deploy().totals["success"] == 0
