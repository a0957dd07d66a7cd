"""Runs that are cut short in the middle of edits of every component: the next one ends in what is
declared, with every activation that was lost.
"""

import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.lab.editing import Editor
from tests.lab.edits import Edit, InForce
from tests.lab.edits_postgresql import DEBIAN_13
from tests.lab.edits_services import BROKER, EVENTS, environment, unit_property
from tests.lab.platform import Platform
from tests.lab.rows import rows
from tests.lab.test_edits import at_rest
from tests.lab.test_instances import explain
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

SEED = 20250117
FIRST_LINE, LAST_LINE = 8, 70  # of what a run with these edits prints, 80 lines at least
REST_SECONDS = 120.0
END_SECONDS = 300  # for a run whose connection is gone; no claim about speed
BALANCER = "lb-1"
HOSTS = (BALANCER, "app-1", "app-2", "db-1")
FOLDERS = {
    "lb-1": ("/etc/haproxy", "/etc/nginx", "/var/lib/stellwerk"),
    "db-1": ("/etc/postgresql/17/main", "/var/lib/stellwerk"),
    "app-1": ("/etc/stellwerk", "/var/lib/stellwerk"),
}
"""Folders that a run with these edits writes to, by host."""


def edits(number: int) -> Edit:
    """An edit of every component; each number is another."""
    return Edit(
        "everything at once",
        {
            "base.sysctl": f'{{"net.ipv4.tcp_keepalive_time": {600 + number}}}',
            "postgresql.parameters": f'{{"log_min_duration_statement": "{750 + number}ms"}}',
            f"services.{BROKER}.environment": f'{{"LOG_LEVEL": "{number}"}}',
            f"services.{EVENTS}.memory": f"{320 + number}MB",
            "haproxy.timeouts.server_seconds": f"{40 + number}",
            "nginx.keepalive_seconds": f"{30 + number}",
            "agent.heartbeat_seconds": f"{5 + number % 4}",
        },
        in_force=(
            InForce(HOSTS, "sysctl -n net.ipv4.tcp_keepalive_time", str(600 + number)),
            *DEBIAN_13.shows("SHOW log_min_duration_statement", f"{750 + number}ms"),
            *environment(BROKER, "LOG_LEVEL", str(number)),
            *unit_property(EVENTS, "MemoryMax", str((320 + number) * 1024**2)),
            InForce(
                (BALANCER,),
                f"grep -c 'timeout server {40 + number}s' /etc/haproxy/haproxy.cfg",
                "1",
            ),
            InForce(
                (BALANCER,),
                f"nginx -T 2>/dev/null | grep -c 'keepalive_timeout {30 + number}s'",
                "1",
            ),
        ),
    )


@pytest.fixture(scope="module")
def editor(six: Platform) -> Editor:
    """The six hosts; the last test takes all edits back."""
    return Editor(six, lambda: at_rest(six))


Run = subprocess.Popen[str]
Strike = Callable[[Platform, Run, random.Random], None]


def kill(_: Platform, run: Run, __: random.Random) -> None:
    """kill -9 of pyinfra."""
    run.kill()


def cut_connection(platform: Platform, run: Run, chosen: random.Random) -> None:
    """A host ends every SSH session it has."""
    host = chosen.choice(HOSTS)
    platform.shell(
        host,
        "main=$(systemctl show -P MainPID ssh);"
        " for pid in $(pgrep -x 'sshd|sshd-session'); do [ $pid = $main ] || kill $pid; done",
        check=False,
    )
    run.communicate(timeout=END_SECONDS)


def reboot(platform: Platform, run: Run, chosen: random.Random) -> None:
    """A host loses its power and is back."""
    host = chosen.choice(HOSTS)
    platform.lab.power_off(host)
    platform.lab.power_on(host)
    run.communicate(timeout=END_SECONDS)


STRIKES: dict[str, Strike] = {
    "pyinfra is killed": kill,
    "pyinfra is killed at another point": kill,
    "a connection is cut": cut_connection,
    "a host is rebooted": reboot,
}


@pytest.mark.parametrize("name", rows(STRIKES, "a host is rebooted"))
def test_the_next_run_ends_in_what_is_declared(editor: Editor, name: str) -> None:
    number = [*STRIKES].index(name) + 1
    chosen = random.Random(f"{SEED} {name}")
    edit = edits(number)
    editor.make(edit)
    platform = editor.platform
    run = platform.begin(chosen.randint(FIRST_LINE, LAST_LINE), *editor.arguments)
    STRIKES[name](platform, run, chosen)
    run.kill()
    run.communicate()
    assert_completed(editor, edit)


@pytest.mark.thorough
def test_a_full_disk_leaves_what_serves_and_the_next_run_goes_through(six: Platform) -> None:
    """All edits are taken back by that one."""
    edited, plain = (Editor(six, lambda: at_rest(six)) for _ in range(2))
    edited.make(edits(len(STRIKES) + 1))
    chosen = random.Random(f"{SEED} disk")
    host = chosen.choice(sorted(FOLDERS))
    folder = chosen.choice(FOLDERS[host])
    before = six.invocations()
    with full(six, host, folder):
        outcome = six.run("-y", *edited.arguments)
        assert outcome.code != 0, outcome.output
        assert "the disk is full" in outcome.output
        assert "Traceback" not in outcome.output
        kept = {unit: found for unit, found in before.items() if unit.startswith(host)}
        assert kept.items() <= six.invocations().items()
    assert_completed(plain, Edit("as it was"))


def assert_completed(editor: Editor, edit: Edit) -> None:
    """One further run brings everything about, and one more has nothing to do."""
    platform = editor.platform
    platform.deploy(*editor.arguments)
    assert wait_until(lambda: at_rest(platform), REST_SECONDS), explain(platform)
    assert editor.not_in_force(edit) == {}
    assert editor.run_again() == 0, editor.said


@contextmanager
def full(platform: Platform, host: str, folder: str) -> Iterator[None]:
    """A folder on a file system of its own without any space left."""
    platform.shell(
        host,
        f"mkdir /run/kept && cp -a {folder}/. /run/kept && mount -t tmpfs -o size=1m tmpfs {folder}"
        f" && cp -a /run/kept/. {folder} && chmod --reference=/run/kept {folder}"
        f" && {{ cat /dev/zero >{folder}/.filler 2>/dev/null || test -s {folder}/.filler; }}",
    )
    try:
        yield
    finally:
        platform.shell(
            host,
            f"rm {folder}/.filler; rm -r /run/kept; mkdir /run/kept; cp -a {folder}/. /run/kept"
            f" && umount -l {folder} && cp -a /run/kept/. {folder} && rm -r /run/kept",
        )
