"""Runs that are killed while a Redis master hands over: the next one ends well, all writes stay."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploys.engine import tools
from tests.lab.editing import Editor
from tests.lab.edits import Edit, InForce
from tests.lab.edits_redis import SERVER
from tests.lab.redis_cluster import ASK_REDIS, ASK_SENTINEL, NAME, SETTLE_SECONDS, RedisCluster
from tests.lab.rows import rows
from tests.lab.steps import THREE_CACHES
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

STRIKE_SECONDS = 120
TOOL = f"^{tools.RUN} restart-redis"


@dataclass(frozen=True)
class Strike:
    """When a run is killed, by a shell condition on the master's host, and whether the tool that it
    started there is killed as well.
    """

    when: str
    tool_too: bool = True


STRIKES = {
    "pyinfra alone": Strike("true", tool_too=False),
    "while no write is taken": Strike(
        f"[ \"$(timeout 0.2 sh -c '{ASK_REDIS} SET probe 1')\" != OK ]"
    ),
    "when a replica was promoted": Strike(
        f"[ $({ASK_SENTINEL} GET-MASTER-ADDR-BY-NAME {NAME} | head -n 1) != {{address}} ]"
    ),
    "while it restarts": Strike(f"[ $(systemctl show -P MainPID {SERVER}) != {{process}} ]"),
}


@pytest.fixture(scope="module")
def editor(caches: RedisCluster) -> Iterator[Editor]:
    """Applies the edits, and takes them back at the end."""
    yield Editor(caches.platform)
    caches.platform.deploy()


@pytest.mark.parametrize("name", rows(STRIKES, "when a replica was promoted"))
def test_the_next_run_ends_in_what_is_declared_and_no_write_is_lost(
    caches: RedisCluster, editor: Editor, tmp_path: Path, name: str
) -> None:
    edit = backlog(601 + [*STRIKES].index(name))
    editor.make(edit)
    with caches.traffic(tmp_path) as traffic:
        kill_a_run(caches, editor, STRIKES[name])
        caches.platform.deploy(*editor.arguments)
        caches.wait_for_writes(traffic)
        notes = traffic.finish()
    assert notes.acknowledged <= caches.stored()
    assert editor.not_in_force(edit) == {}
    assert editor.run_again() == 0, editor.said


def backlog(value: int) -> Edit:
    """An edit that takes a restart of every server."""
    shown = InForce(THREE_CACHES, f"{ASK_REDIS} CONFIG GET tcp-backlog | tail -n 1", str(value))
    return Edit(f"backlog {value}", {"redis.tcp_backlog": str(value)}, (shown,))


def kill_a_run(caches: RedisCluster, editor: Editor, strike: Strike) -> None:
    """Begin a run, and kill it when it is where the strike says."""
    with watching(caches, strike) as watch:
        run = subprocess.Popen(
            caches.platform.command("-y", *editor.arguments),
            cwd=caches.platform.project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert watch.wait(STRIKE_SECONDS) == 0, "the tool had ended before"
        finally:
            run.kill()
            run.wait()


@contextmanager
def watching(caches: RedisCluster, strike: Strike) -> Iterator[subprocess.Popen[bytes]]:
    """A shell on the master's host that ends, and kills the tool there, at the strike's moment."""
    assert wait_until(lambda: bool(caches.settled_on()), SETTLE_SECONDS)
    master = caches.settled_on()
    moment = strike.when.format(
        address=next(node.address for node in caches.nodes if node.name == master),
        process=caches.platform.shell(master, f"systemctl show -P MainPID {SERVER}"),
    )
    command = (
        f"until tool=$(pgrep -f '{TOOL}'); do sleep 0.01; done;"
        f" until {moment}; do [ -e /proc/$tool ] || exit 1; done;"
        f" {'kill -9 $tool' if strike.tool_too else 'true'}"
    )
    watch = subprocess.Popen(
        caches.platform.lab.ssh_command(master, command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield watch
    finally:
        watch.kill()
        watch.wait()
