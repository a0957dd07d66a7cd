"""`make plan`, `make drift` and `stellwerk audit` of a lab's cluster, and its runs' locks."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.lab import REPOSITORY
from tests.lab.platform import RUN_SECONDS, Platform
from tests.lab.waiting import wait_until

STELLWERK = Path(sys.executable).with_name("stellwerk")
TOOLS = "/usr/bin/python3 -I /usr/local/lib/stellwerk/host"
LOCK_SECONDS = 30.0


@dataclass(frozen=True)
class Seen:
    """How a plan or drift ended, what it printed and its JSON."""

    code: int
    output: str
    document: Mapping[str, Any]

    def components(self, host: str) -> set[str]:
        """The components of a host that would be changed."""
        return {one["component"] for one in self.document["hosts"][host]["changes"]}

    def effects(self, host: str) -> set[str]:
        """What would happen to units of a host, as `restart nginx.service`."""
        changes = self.document["hosts"][host]["changes"]
        return {f"{unit['does']} {unit['unit']}" for one in changes for unit in one["units"]}

    def findings(self, host: str) -> list[str]:
        """What is not as declared beside the changes, on the host or in the ledger."""
        found = [*self.document["hosts"][host]["findings"], *self.document["findings"]]
        return [f"{one['component']}: {one['sentence']}" for one in found]


def see(platform: Platform, what: str, *options: str) -> Seen:
    """Run `plan` or `drift`."""
    file = platform.folder / f"{what}.json"
    file.unlink(missing_ok=True)
    words = [what, "--json", str(file), "--group-data", str(platform.folder / "group_data")]
    done = subprocess.run(
        [sys.executable, "-m", "deploys.seeing", *words, *options, str(platform.inventory)],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    document = json.loads(file.read_text()) if file.exists() else {}
    return Seen(done.returncode, done.stdout + done.stderr, document)


def audit(platform: Platform) -> list[dict[str, Any]]:
    """The runs that changed something, oldest first, as the control machine shows them."""
    done = subprocess.run(
        [STELLWERK, "audit", "--json", "--inventory", str(platform.inventory)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def lock_of(platform: Platform, host: str) -> Mapping[str, str]:
    """Who holds the lock of a host; without `run` nobody does."""
    request = json.dumps({"run": "test", "starting": False})
    said = platform.shell(host, f"echo '{request}' | {TOOLS} lease")
    return dict(json.loads(said))


@contextmanager
def held_by_another(platform: Platform, host: str, who: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another run's lock on a host, held by a process of this machine over SSH."""
    request = {"run": "another", "who": who, "revision": "abc", "wait_seconds": LOCK_SECONDS}
    command = f"echo '{json.dumps(request)}' | {TOOLS} hold"
    holder = subprocess.Popen(platform.lab.ssh_command(host, command), stdout=subprocess.DEVNULL)
    try:
        held = wait_until(lambda: lock_of(platform, host).get("run") == "another", LOCK_SECONDS)
        assert held
        yield holder
    finally:
        holder.kill()
        holder.wait()
        assert wait_until(lambda: "run" not in lock_of(platform, host), LOCK_SECONDS)
