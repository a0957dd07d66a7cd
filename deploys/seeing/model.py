"""What a plan says, as data; how it is printed is in `text`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploys.engine.changes import Effect
from deploys.seeing.rollouts import Roll


@dataclass(frozen=True)
class FileDifference:
    """A file that would be written. `lines` is the difference; `note` is said where there is none
    to be shown.
    """

    path: str
    lines: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Item:
    """A component of a host that a run would change."""

    component: str
    reason: str
    effects: tuple[Effect, ...] = ()
    details: tuple[str, ...] = ()
    files: tuple[FileDifference, ...] = ()


@dataclass(frozen=True)
class Remark:
    """Something about a component of a host that is no change."""

    component: str
    sentence: str


@dataclass(frozen=True)
class HostPlan:
    """One host. `later` is decided during the run; `findings` are not as declared, and a run
    does not mend them.
    """

    name: str
    items: tuple[Item, ...] = ()
    later: tuple[Remark, ...] = ()
    findings: tuple[Remark, ...] = ()


@dataclass(frozen=True)
class Plan:
    """All hosts of a plan. `findings` are about the cluster as a whole."""

    hosts: Sequence[HostPlan]
    rolls: Sequence[Roll] = ()
    findings: Sequence[Remark] = field(default=())

    @property
    def changes(self) -> int:
        """How many components would be changed."""
        return sum(len(host.items) for host in self.hosts) + len(self.rolls)

    @property
    def unknown(self) -> tuple[tuple[str, Remark], ...]:
        """What cannot be told now, by host."""
        return tuple((host.name, one) for host in self.hosts for one in host.later)

    @property
    def in_step(self) -> bool:
        """Whether all is as declared, as far as it is known."""
        found = any(host.findings for host in self.hosts) or bool(self.findings)
        return not self.changes and not found

    def document(self) -> Mapping[str, Any]:
        """The plan as JSON; a released format: keys are only ever added."""
        return {
            "in_step": self.in_step and not self.unknown,
            "hosts": {host.name: _host(host) for host in self.hosts},
            "rollouts": [roll.document() for roll in self.rolls],
            "findings": [_remark(one) for one in self.findings],
        }


def _host(host: HostPlan) -> Mapping[str, Any]:
    return {
        "changes": [_item(item) for item in host.items],
        "later": [_remark(one) for one in host.later],
        "findings": [_remark(one) for one in host.findings],
    }


def _item(item: Item) -> Mapping[str, Any]:
    return {
        "component": item.component,
        "reason": item.reason,
        "units": [{"unit": one.unit, "does": str(one.verb)} for one in item.effects],
        "details": list(item.details),
        "files": [
            {"path": file.path, "note": file.note, "diff": list(file.lines)} for file in item.files
        ],
    }


def _remark(remark: Remark) -> Mapping[str, str]:
    return {"component": remark.component, "sentence": remark.sentence}
