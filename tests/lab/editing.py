"""Applying edits to a lab's cluster one upon the other, and seeing what they did to its units."""

import re
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.lab.edits import Edit
from tests.lab.lab import REPOSITORY
from tests.lab.platform import Platform
from tests.lab.waiting import wait_until

# The id of systemd's journal message for a unit that was reloaded (systemd.journal-fields(7)).
RELOADED = "7b05ebc668384222baa8881179cfda54"
# Redis' units are named by their port as well, but are no service's.
INSTANCE = re.compile(r"\S+ (?!redis-)([a-z][a-z0-9-]*)@[0-9]+\.service")
ON_DEMAND = frozenset({"polkit.service"})  # started by the bus for who asks first
REST_SECONDS = 90.0
NO_SOURCES = shutil.ignore_patterns(".*", "build", "__pycache__", "tests")
RELEASED = Path("runtime/src/stellwerk/__init__.py")

Invocations = Mapping[str, str]


@dataclass(frozen=True)
class Applied:
    """What the run of edits did; `seconds` from its start to its end."""

    changed_operations: int
    seconds: float
    restarts: frozenset[str]
    reloads: frozenset[str]
    stops: frozenset[str] = frozenset()
    rolls: frozenset[str] = frozenset()
    counts: Mapping[str, int] = field(default_factory=dict)
    output: str = field(default="", repr=False)


class Editor:
    """Applies edits; each stays in force for those that follow.

    + at_rest: whether nothing is on its way any more that a run does not wait for
    + explain: what the cluster says of itself, for a report
    """

    def __init__(
        self,
        platform: Platform,
        at_rest: Callable[[], bool] = lambda: True,
        explain: Callable[[], str] | None = None,
    ) -> None:
        self.platform = platform
        self.explain = explain or platform.journals
        self.said = ""  # by the last run
        self._at_rest = at_rest
        self._given: dict[str, str] = {}

    def apply(self, *edits: Edit) -> Applied:
        """Run the deploy with the edits; it must end well."""
        before = self.platform.invocations()
        present = self._hosts()
        for edit in edits:
            self.make(edit)
        watched = present & self._hosts() - {edit.replaces for edit in edits}
        since = self._now(watched)
        start = time.monotonic()
        outcome = self.platform.deploy(*self.arguments)
        seconds = time.monotonic() - start
        assert wait_until(self._at_rest, REST_SECONDS), outcome.output
        after = self.platform.invocations()
        return Applied(
            outcome.totals["success"],
            seconds,
            reloads=self._reloads(since),
            output=outcome.output,
            **judged(of_hosts(before, watched), of_hosts(after, watched)),
        )

    def make(self, edit: Edit) -> None:
        """Edit settings, secrets, sources and inventory, and leave the run to the caller."""
        self._given |= edit.settings
        if edit.secrets:
            self._renew(edit.secrets)
        if edit.runtime is not None:
            self._change_runtime(edit.runtime)
        if edit.nodes:
            added = {node.name for node in edit.nodes} - self._hosts()
            self.platform.declare(edit.nodes)
            if added:
                self.platform.lab.up()

    def run_again(self) -> int:
        """Run once more with nothing edited; how many operations changed something."""
        outcome = self.platform.deploy(*self.arguments)
        self.said = outcome.output
        return outcome.totals["success"]

    @property
    def arguments(self) -> list[str]:
        """The options of pyinfra that give all edits so far."""
        return [word for key, value in self._given.items() for word in ("--data", f"{key}={value}")]

    def not_in_force(self, edit: Edit) -> dict[str, str]:
        """Per host what it shows in place of what the edit asks for."""
        found = {}
        for shown in edit.in_force:
            said = self.platform.shells(shown.hosts, shown.command, check=False)
            for host, output in said.items():
                if output != shown.output:
                    found[f"{host}: {shown.command}"] = output
        return found

    def _renew(self, keys: Iterable[str]) -> None:
        """Take secrets out of secrets.yaml: the run generates others."""
        path = self.platform.folder / "secrets.yaml"
        secrets = yaml.safe_load(path.read_text())
        for key in keys:
            *above, last = key.split(".")
            values = secrets
            for name in above:
                values = values[name]
            del values[last]
        path.write_text(yaml.safe_dump(secrets))

    def _change_runtime(self, added: str) -> None:
        """Deploy from a copy of the project from now on, with text added to a source of it."""
        copy = self.platform.folder / "project"
        shutil.copytree(REPOSITORY, copy, ignore=NO_SOURCES, dirs_exist_ok=True)
        (copy / RELEASED).write_text((REPOSITORY / RELEASED).read_text() + added)
        self.platform.project = copy

    def _hosts(self) -> set[str]:
        return {node.name for node in self.platform.nodes}

    def _now(self, hosts: Iterable[str]) -> dict[str, str]:
        return self.platform.shells(hosts, "date +%s.%N")

    def _reloads(self, since: dict[str, str]) -> frozenset[str]:
        found = set()
        for host, moment in since.items():
            listed = self.platform.shell(
                host,
                f"journalctl -q --since=@{moment} -o cat --output-fields=UNIT"
                f" MESSAGE_ID={RELOADED}",
            )
            found |= {f"{host} {unit}" for unit in listed.split()}
        return frozenset(found)


def of_hosts(units: Invocations, hosts: Collection[str]) -> Invocations:
    """Those of these hosts that somebody started."""
    split = {unit: unit.split(" ") for unit in units}
    return {
        unit: units[unit]
        for unit, (host, name) in split.items()
        if host in hosts and name not in ON_DEMAND
    }


def judged(before: Invocations, after: Invocations) -> dict[str, Any]:
    """The units that restarted or stopped, the services that rolled, the numbers that changed.

    A service rolled if none of its instances runs on; where some do, those that do not must be its
    change of number, or they are told as restarts.
    """
    units = before.keys() | after.keys()
    changed = {unit for unit in units if before.get(unit) != after.get(unit)}
    rolls, counts = set(), {}
    for service in {match[1] for unit in units if (match := INSTANCE.fullmatch(unit))}:
        own = {unit for unit in units if (m := INSTANCE.fullmatch(unit)) and m[1] == service}
        was, now, kept = len(own & before.keys()), len(own & after.keys()), len(own - changed)
        if was and now and not kept:
            rolls.add(service)
        elif kept < min(was, now):
            continue
        if was != now:
            counts[service] = now
        changed -= own
    return {
        "restarts": frozenset(changed & after.keys()),
        "stops": frozenset(changed - after.keys()),
        "rolls": frozenset(rolls),
        "counts": counts,
    }
