"""A lab with a deploy of its own: an inventory, a copy of group_data, and runs of pyinfra."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.lab import REPOSITORY, Lab

PYINFRA = Path(sys.executable).with_name("pyinfra")
DEPLOY = "deploys/all.py"
# All services that run, whatever is loaded: blocks of the three properties, in systemd's order.
SHOW_RUNNING = "systemctl show -p Id -p InvocationID -p SubState '*.service'"
# As shipped, the least that is enough depends on the hour and the season.
_AT_ANY_HOUR = """
scaling["schedule"]["minimum_factor_otherwise"] = 1.0
for _one in (*scaling["schedule"]["windows"].values(), *scaling["predictive"]["events"].values()):
    _one["minimum_factor"] = 1.0
"""
_PAUSE = (
    'cd / && sudo -u postgres psql -qXd aktienanalyse -c "INSERT INTO stellwerk.scaling_orders'
    " (service, given_by) SELECT name, 'tests' FROM stellwerk.services ON CONFLICT DO NOTHING\""
)
PLAIN = {"PYINFRA_PROGRESS": "off"}
RUN_SECONDS = 600  # ends a run that hangs, so that its output is seen; no claim about speed


@dataclass(frozen=True)
class Node:
    """A host of a test's cluster. `data` goes into the inventory as it is."""

    name: str
    address: str
    groups: tuple[str, ...]
    release: str = "bookworm"
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a run of pyinfra ended, and all it printed."""

    code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    @property
    def totals(self) -> Mapping[str, int]:
        """pyinfra's own sums of a run with --json: success, error, no_change."""
        totals: Mapping[str, int] = json.loads(self.stdout)["results"]["totals"]
        return totals


class Platform:
    """A cluster in the lab and the settings it is deployed with, in a folder of its own.

    Unless `is_scaled`, its services are paused: tests that are not about scaling count instances.
    """

    is_scaled = False

    def __init__(self, name: str, nodes: Sequence[Node], folder: Path) -> None:
        self.folder = folder
        self.inventory = folder / "inventory"
        self.project = REPOSITORY  # what the runs are made from
        self.restore_group_data()
        self.lab = Lab(name, self.inventory)
        self.declare(nodes)

    def restore_group_data(self) -> None:
        """Have the shipped settings again, with minimums that are the same at any hour; files that
        are not shipped stay.
        """
        folder = self.folder / "group_data"
        shutil.copytree(REPOSITORY / "group_data", folder, dirs_exist_ok=True)
        with (folder / "scaling.py").open("a") as file:
            file.write(_AT_ANY_HOUR)

    def declare(self, nodes: Sequence[Node]) -> None:
        """Have the inventory name these hosts. New ones are not booted, others not stopped."""
        self.nodes = tuple(nodes)
        self.write_inventory()
        self.lab = Lab(self.lab.name, self.inventory)

    def write_inventory(self, **changes: Mapping[str, Any]) -> None:
        """Write the inventory, with data added to some hosts (`_` in a name stands for `-`)."""
        extra = {name.replace("_", "-"): data for name, data in changes.items()}
        hosts = [
            (
                node.name,
                {
                    "ssh_hostname": node.address,
                    "ssh_user": "root",
                    "ssh_config_file": str(self.lab.ssh_config),
                    "ssh_strict_host_key_checking": "yes",
                    "lab_release": node.release,
                    **node.data,
                    **extra.get(node.name, {}),
                },
            )
            for node in self.nodes
        ]
        groups: dict[str, list[str]] = {group: [] for node in self.nodes for group in node.groups}
        for node in self.nodes:
            for group in node.groups:
                groups[group].append(node.name)
        lines = [f"all = {hosts!r}", *(f"{name} = {members!r}" for name, members in groups.items())]
        self.inventory.write_text("\n".join(lines) + "\n")

    def command(self, *arguments: str, deploy: str = DEPLOY) -> list[str]:
        return [
            str(PYINFRA),
            *arguments,
            "--group-data",
            str(self.folder / "group_data"),
            str(self.inventory),
            deploy,
        ]

    def run(self, *arguments: str, deploy: str = DEPLOY) -> Outcome:
        """Run pyinfra to its end, whatever that is."""
        done = subprocess.run(
            self.command(*arguments, deploy=deploy),
            cwd=self.project,
            env={**os.environ, **PLAIN},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Begin a run of the whole deploy; its output is one stream of lines."""
        return subprocess.Popen(
            self.command("-y", *arguments),
            cwd=self.project,
            env={**os.environ, **PLAIN, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def deploy(self, *arguments: str) -> Outcome:
        """Run the whole deploy, which must succeed; `--data` and the like go into `arguments`."""
        outcome = self.run("-y", "--json", *arguments)
        assert outcome.code == 0, outcome.output + self.journals()
        if not self.is_scaled:
            self._pause_scaling()
        return outcome

    def _pause_scaling(self) -> None:
        if any("apps" in node.groups for node in self.nodes):
            for node in self.nodes:
                if "databases" in node.groups:
                    self.shell(node.name, _PAUSE)

    def shell(self, host: str, command: str, check: bool = True) -> str:
        """Run a shell line on a host; what it printed."""
        return self.lab.run(host, command, check=check).stdout.strip()

    def shells(self, hosts: Iterable[str], command: str, check: bool = True) -> dict[str, str]:
        """What a shell line printed on each of these hosts, all of them asked at once."""
        names = list(hosts)
        with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
            said = pool.map(lambda name: self.shell(name, command, check), names)
            return dict(zip(names, said, strict=True))

    def journals(self) -> str:
        """What every host says of its failed units, for the report of a failed test."""
        said = self.shells(
            (node.name for node in self.nodes),
            "systemctl --no-legend --failed; journalctl -p warning -n 30 --no-pager",
            check=False,
        )
        return "\n".join(f"--- {name}\n{lines}" for name, lines in said.items())

    def invocations(self, *hosts: str) -> dict[str, str]:
        """InvocationID of every unit that runs, by host and unit: a new one is a new start.

        Of all hosts, or of the named ones.
        """
        named = [node.name for node in self.nodes if not hosts or node.name in hosts]
        found = {}
        for name, shown in self.shells(named, SHOW_RUNNING).items():
            for block in shown.split("\n\n"):
                unit = dict(line.split("=", 1) for line in block.splitlines())
                if unit["SubState"] == "running":
                    found[f"{name} {unit['Id']}"] = unit["InvocationID"]
        return found
