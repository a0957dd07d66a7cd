"""pyinfra's own command line against hosts that only answer: what would a deploy send?"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.unit.database.postgres_server import find_binaries, running

from . import fake_hosts, recorder
from .fake_database import Database
from .fake_hosts import Facts, Sent, obedient

REPOSITORY = Path(__file__).parents[2]
PYINFRA = Path(sys.executable).with_name("pyinfra")
ADDRESSES = {
    "lb-1": "192.0.2.11",
    "app-1": "192.0.2.21",
    "app-2": "192.0.2.22",
    "cache-1": "192.0.2.31",
    "cache-2": "192.0.2.32",
    "db-1": "192.0.2.41",
}
GROUPS = {
    "balancers": ("lb-1",),
    "apps": ("app-1", "app-2"),
    "caches": ("cache-1", "cache-2"),
    "sentinels": ("cache-1", "cache-2", "db-1"),
    "databases": ("db-1",),
    "monitors": ("db-1",),
}
MARKER = "planted-secret"
SECRETS = {
    "redis": ("admin", "app", "monitor", "replication", "sentinel"),
    "postgresql": ("owner", "app", "monitor", "ledger", "agent"),
}


@dataclass(frozen=True)
class Outcome:
    """How a run of pyinfra ended: what it printed and what it sent."""

    code: int
    output: str
    errors: str
    sent: tuple[Sent, ...]

    @property
    def said(self) -> str:
        return self.output + self.errors

    @property
    def changes(self) -> tuple[Sent, ...]:
        """What was sent to change something, in order."""
        return tuple(one for one in self.sent if not one.reads)

    def to(self, host: str) -> list[Sent]:
        return [one for one in self.sent if one.host == host]


class Site:
    """A folder with an inventory of fake hosts and a secrets.yaml full of planted secrets."""

    def __init__(self, folder: Path, answers: Mapping[str, Mapping[str, Any]]) -> None:
        self.folder = folder
        self._write_secrets()
        hosts = [
            (f"@fake/{name}", {"address": address, **_fake(answers[name])})
            for name, address in ADDRESSES.items()
        ]
        groups = "".join(
            f"{group} = {[f'@fake/{name}' for name in names]!r}\n"
            for group, names in GROUPS.items()
        )
        (folder / "inventory").write_text(
            f"from tests.plan.recorder import record\n\nrecord()\nall = {hosts!r}\n{groups}"
        )

    def write(self, name: str, text: str) -> None:
        """Write a file of group data."""
        path = self.folder / "group_data" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def run(self, *options: str, deploy: str = "deploys/all.py") -> Outcome:
        """Run the whole deploy, or a part of it."""
        return self._run([str(PYINFRA), *options, str(self.folder / "inventory"), deploy])

    def see(self, what: str, *options: str) -> Outcome:
        """Show a plan or drift; its JSON is in `seen.json`."""
        (self.folder / "seen.json").unlink(missing_ok=True)
        words = [what, "--json", str(self.folder / "seen.json"), *options]
        inventory = str(self.folder / "inventory")
        return self._run([sys.executable, "-m", "deploys.seeing", *words, inventory])

    @property
    def seen(self) -> dict[str, Any]:
        """The JSON of the last `see`."""
        return dict(json.loads((self.folder / "seen.json").read_text()))

    def _run(self, command: list[str]) -> Outcome:
        record = self.folder / f"sent-{len(list(self.folder.glob('sent-*')))}"
        record.touch()
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env={
                **os.environ,
                "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'runtime/src'}",
                "NO_COLOR": "1",
                recorder.FILE_VARIABLE: str(record),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        sent = tuple(Sent(**json.loads(line)) for line in record.read_text().splitlines())
        return Outcome(done.returncode, done.stdout, done.stderr, sent)

    def _write_secrets(self) -> None:
        rows = []
        for section, names in SECRETS.items():
            rows += [f"{section}:", "  passwords:"]
            rows += [f"    {name}: {MARKER}-{section}-{name}" for name in names]
        rows += ["sentinel:", f"  password: {MARKER}-sentinel"]
        rows += ["monitoring:", f"  token: {MARKER}-monitoring"]
        rows += ["caching:", "  encryption:", f"    key: {MARKER}-caching-key"]
        rows += ["  invalidation:", "    admin:"]
        rows += [f"      {name}: {MARKER}-caching-{name}" for name in ("token", "token_for_all")]
        path = self.folder / "secrets.yaml"
        path.write_text("\n".join(rows) + "\n")
        path.chmod(0o600)


def without_tools(facts: Facts) -> dict[str, Any]:
    """Answers of a host with these facts on which no deploy has been."""
    return {"/host/DIGEST": "no-tools", '/host" facts': json.dumps(facts), "/host verify": "[]"}


def with_tools(facts: Facts) -> dict[str, Any]:
    """Answers of a host with these facts that a deploy has left behind."""
    nothing = json.dumps({"contents": {}, "failures": []})
    return {
        "/host/DIGEST": json.dumps(facts),
        "/host verify": "[]",
        "/host look": nothing,
    }


def _fake(answers: Mapping[str, Any]) -> dict[str, Any]:
    return {"fake_delay": 0, "fake_delay_jitter": 0, "fake_responses": dict(answers)}


MakeSite = Callable[[Mapping[str, Mapping[str, Any]]], Site]


@pytest.fixture(scope="session")
def make_site(tmp_path_factory: pytest.TempPathFactory) -> MakeSite:
    """Make a site whose hosts answer as given."""

    def make(answers: Mapping[str, Mapping[str, Any]]) -> Site:
        return Site(tmp_path_factory.mktemp("site"), answers)

    return make


@pytest.fixture(scope="session")
def bare_site(make_site: MakeSite) -> Site:
    """Six bare hosts."""
    facts = {name: fake_hosts.bare() for name in ADDRESSES}
    facts["db-1"]["postgresql"] = {
        **fake_hosts.FRESH_POSTGRESQL,
        "roles": [fake_hosts.role("reader", verifier=f"SCRAM-SHA-256${MARKER}")],
    }
    return make_site({name: without_tools(found) for name, found in facts.items()})


@pytest.fixture(scope="session")
def first_run(bare_site: Site) -> Outcome:
    """The first run on six bare hosts."""
    return bare_site.run("-y")


@pytest.fixture(scope="module")
def database(first_run: Outcome) -> Iterator[Database]:
    """A PostgreSQL that did what db-1 was told, and agents that did what the ledger says."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed here")
    with running(binaries) as server:
        database = Database(server)
        database.obey(first_run.to("db-1"))
        yield database


def obeyed(first_run: Outcome, database: Database) -> dict[str, Facts]:
    """The hosts as they are after they did all that the first run told them."""
    found = {host: obedient(first_run.to(host)) for host in ADDRESSES}
    database.let_agents_work()
    found["db-1"]["postgresql"] = database.facts()
    for host in GROUPS["apps"]:
        found[host]["pins"] = database.pins(host)
    return found


@pytest.fixture
def settled(first_run: Outcome, database: Database) -> dict[str, Facts]:
    """The same, for a test to change."""
    return obeyed(first_run, database)
