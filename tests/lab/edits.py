"""The edits that operators make, as data: what is set, and exactly what may happen for it.

A row is one dataclass; the rows of a component are one tuple. `editing` applies and judges them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.lab.platform import Node


@dataclass(frozen=True)
class InForce:
    """What shows that the edit is in force: the output of a shell line on each of these hosts."""

    hosts: tuple[str, ...]
    command: str
    output: str


@dataclass(frozen=True)
class Edit:
    """An edit of the settings.

    + settings: values by dotted key, as `--data` takes them
    + secrets: dotted keys of secrets.yaml that get another value
    + runtime: text added to a source of the runtime, which makes it another release
    + nodes: the hosts that the inventory names from then on
    + replaces: a host that died before and is an empty machine now
    + restarts, reloads, stops: the units, as `HOST UNIT`, that do; all others run on
    + rolls: the services whose instances are restarted, one after the other
    + counts: the services that have so many instances afterwards; those that stay run on
    + says: what the run is to say
    + fails_over: whether clients of Redis may be without a master meanwhile
    """

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)
    in_force: tuple[InForce, ...] = ()
    restarts: frozenset[str] = frozenset()
    reloads: frozenset[str] = frozenset()
    stops: frozenset[str] = frozenset()
    fails_over: bool = False
    secrets: tuple[str, ...] = ()
    runtime: str | None = None
    nodes: tuple[Node, ...] = ()
    replaces: str = ""
    rolls: frozenset[str] = frozenset()
    counts: Mapping[str, int] = field(default_factory=dict)
    says: str = ""
