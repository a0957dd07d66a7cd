"""What cannot work is refused with one sentence that says where and what to do; nothing changes."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.platform import Outcome, Platform
from tests.lab.rows import rows
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

LOCK_SECONDS = 30.0
HOLD_APT = (
    "python3 -c 'import fcntl, time;"
    ' f = open("/var/lib/dpkg/lock-frontend", "w"); fcntl.lockf(f, fcntl.LOCK_EX);'
    ' open("/run/held", "w").close(); time.sleep(600)\''
)


@pytest.fixture
def refused(six: Platform) -> Iterator[Callable[..., Outcome]]:
    """Runs that must fail and leave every host as it was; the inventory is put back afterwards."""
    before = six.invocations()

    def run(*arguments: str) -> Outcome:
        outcome = six.run("-y", *arguments)
        assert outcome.code != 0, outcome.output
        assert "Traceback" not in outcome.output
        return outcome

    yield run
    six.write_inventory()
    (six.folder / "group_data" / "app-2.py").unlink(missing_ok=True)
    assert six.invocations() == before
    # What came before the refusal, such as the settings the daemons read, is put back.
    put_back = six.deploy().totals["success"]
    assert put_back == 0 or six.deploy().totals["success"] == 0
    assert six.invocations() == before


def test_an_unreachable_host_is_named_and_the_others_are_left_whole(
    six: Platform, refused: Callable[..., Outcome]
) -> None:
    six.write_inventory(app_2={"ssh_hostname": "198.18.0.99"})
    outcome = refused()
    assert "[app-2]" in outcome.output
    assert "Starting operation" not in outcome.output


def test_a_wrong_key_is_named(
    six: Platform, refused: Callable[..., Outcome], tmp_path: Path
) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    six.write_inventory(app_2={"ssh_key": str(key)})
    outcome = refused()
    assert "[app-2]" in outcome.output
    assert "Authentication error" in outcome.output
    assert "Starting operation" not in outcome.output


def test_a_user_that_is_not_root_needs_sudo(six: Platform, refused: Callable[..., Outcome]) -> None:
    six.write_inventory(app_2={"ssh_user": "deploy"})
    assert 'app-2: the SSH user is not root and uses no sudo; add "_sudo": True' in refused().output


def test_a_user_without_sudo_is_told_so(six: Platform, refused: Callable[..., Outcome]) -> None:
    six.write_inventory(app_2={"ssh_user": "nosudo", "_sudo": True})
    assert "app-2: the SSH user may not use sudo without a password" in refused().output


def test_too_little_memory_is_counted_out(refused: Callable[..., Outcome]) -> None:
    outcome = refused("--data", "redis.maxmemory=900GB")
    assert "cache-1: has" in outcome.output
    assert "redis.maxmemory 921600 MB" in outcome.output
    assert "Starting operation" not in outcome.output


def test_too_little_disk_is_named(refused: Callable[..., Outcome]) -> None:
    outcome = refused("--data", "base.minimum_free_disk=900TB")
    assert "base.minimum_free_disk" in outcome.output
    assert "Starting operation" not in outcome.output


def test_a_misspelt_key_stops_before_any_host_is_asked(
    six: Platform, refused: Callable[..., Outcome]
) -> None:
    (six.folder / "group_data" / "app-2.py").write_text('redis = {"maxmemroy": "2GB"}\n')
    outcome = refused()
    assert "app-2.py:1: redis.maxmemroy: unknown key; did you mean maxmemory?" in outcome.output
    assert "Connected" not in outcome.output


@contextmanager
def apt_held(platform: Platform, host: str) -> Iterator[None]:
    """Another program holds apt's lock on a host."""
    holder = subprocess.Popen(platform.lab.ssh_command(host, HOLD_APT))
    try:
        held = wait_until(
            lambda: platform.lab.run(host, "test -e /run/held", check=False).returncode == 0,
            LOCK_SECONDS,
        )
        assert held
        yield
    finally:
        platform.shell(host, "rm /run/held; pkill -f lock-frontend", check=False)
        holder.wait()


def test_an_apt_lock_that_is_held_is_named_with_its_holder(
    six: Platform, refused: Callable[..., Outcome]
) -> None:
    with apt_held(six, "app-1"):
        outcome = refused(
            "--data", 'base.packages=["time"]', "--data", "base.apt_lock_timeout_seconds=1"
        )
    assert "apt's lock is held by python3" in outcome.output
    for host in ("app-2", "cache-1", "cache-2", "db-1", "lb-1"):
        six.shell(host, "dpkg --audit && DEBIAN_FRONTEND=noninteractive apt-get -qq -y purge time")


@pytest.mark.thorough
def test_a_full_disk_leaves_the_old_configuration(
    six: Platform, refused: Callable[..., Outcome]
) -> None:
    """The folder of haproxy.cfg is a full file system of its own while the run goes on."""
    six.shell(
        "lb-1",
        "cp -a /etc/haproxy /run/haproxy-kept"
        " && mount -t tmpfs -o size=64k,mode=755 tmpfs /etc/haproxy"
        " && cp -a /run/haproxy-kept/. /etc/haproxy/"
        " && { dd if=/dev/zero of=/etc/haproxy/filler bs=1k 2>/dev/null; true; }",
    )
    try:
        outcome = refused("--data", "haproxy.maxconn=5000", "--limit", "lb-1")
        assert "the disk is full" in outcome.output
        assert "maxconn 4096" in six.shell("lb-1", "cat /etc/haproxy/haproxy.cfg")
    finally:
        six.shell("lb-1", "umount /etc/haproxy; rm -r /run/haproxy-kept")


@pytest.mark.parametrize(
    "service", rows(["aktienanalyse-core", "aktienanalyse-frontend"], "aktienanalyse-core")
)
def test_a_health_path_that_instances_do_not_answer_at_reaches_no_balancer_and_no_agent(
    six: Platform, refused: Callable[..., Outcome], service: str
) -> None:
    """All checkers accept it, and all instances would leave rotation with it at once."""
    outcome = refused("--data", f"services.{service}.health_path=/nothing-there")
    assert "/nothing-there answers 404, not 200, so its health is asked where" in outcome.output
    assert "nothing-there" not in six.shell("lb-1", "cat /etc/haproxy/haproxy.cfg")
    for host in ("lb-1", "app-1", "app-2"):
        assert "nothing-there" not in six.shell(host, "cat /etc/stellwerk/agent.json")
