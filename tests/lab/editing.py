"""Applying edits to a lab's cluster one upon the other, and seeing what they did to its units."""

import time
from dataclasses import dataclass

from tests.lab.edits import Edit
from tests.lab.platform import Platform

# The id of systemd's journal message for a unit that was reloaded (systemd.journal-fields(7)).
RELOADED = "7b05ebc668384222baa8881179cfda54"


@dataclass(frozen=True)
class Applied:
    """What the run of an edit did; `seconds` from its start to its end."""

    changed_operations: int
    seconds: float
    restarts: frozenset[str]
    reloads: frozenset[str]


class Editor:
    """Applies edits; each stays in force for those that follow."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self._given: dict[str, str] = {}

    def apply(self, edit: Edit) -> Applied:
        """Run the deploy with the edit; it must end well."""
        self._given |= edit.settings
        since = {
            node.name: self.platform.shell(node.name, "date +%s.%N") for node in self.platform.nodes
        }
        before = self.platform.invocations()
        start = time.monotonic()
        outcome = self.platform.deploy(*self.arguments)
        seconds = time.monotonic() - start
        after = self.platform.invocations()
        changed = {
            unit for unit in before.keys() | after.keys() if before.get(unit) != after.get(unit)
        }
        return Applied(outcome.totals["success"], seconds, frozenset(changed), self._reloads(since))

    def run_again(self) -> int:
        """Run once more with nothing edited; how many operations changed something."""
        return self.platform.deploy(*self.arguments).totals["success"]

    @property
    def arguments(self) -> list[str]:
        """The options of pyinfra that give all edits so far."""
        return [word for key, value in self._given.items() for word in ("--data", f"{key}={value}")]

    def not_in_force(self, edit: Edit) -> dict[str, str]:
        """Per host what it shows in place of what the edit asks for."""
        found = {}
        for shown in edit.in_force:
            for host in shown.hosts:
                output = self.platform.shell(host, shown.command)
                if output != shown.output:
                    found[f"{host}: {shown.command}"] = output
        return found

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
