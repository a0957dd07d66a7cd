"""What a plan sees of the hosts: contents of files that differ, checks that do not hold."""

from collections.abc import Mapping
from dataclasses import dataclass

from deploys.components import checks
from deploys.engine.changes import Change
from deploys.engine.instances import ledger
from deploys.engine.run import REDIS_GROUPS, ask_tools, here, redis_facts
from deploys.seeing.differences import paths_to_read

CHECK_SECONDS = 2  # for what is about to answer; a run gives a minute


@dataclass(frozen=True)
class Sight:
    """What was read on a host for a plan."""

    contents: Mapping[str, str | None]
    failures: tuple[Mapping[str, str], ...]


seen: dict[str, Sight] = {}
"""What was read on each host of the plan."""


def look() -> None:
    """Read on the present host what differs from what its operations want."""
    present = here()
    declared, facts, run = present.declared, present.facts, present.run
    noted = run.noted[declared.name]
    paths = {path for one in noted if isinstance(one, Change) for path in paths_to_read(one, facts)}
    reachable = redis_facts() if {*declared.groups}.intersection(REDIS_GROUPS) else run.facts
    wanted = (
        checks.wanted(run.cluster, declared, facts, ledger(), reachable.keys())
        if facts["stamps"]
        else ()
    )
    if not (paths or wanted):
        seen[declared.name] = Sight({}, ())
        return
    request = {
        "paths": sorted(paths),
        "checks": [dict(check) for check in wanted],
        "seconds": CHECK_SECONDS,
    }
    answer = ask_tools("look", request)
    seen[declared.name] = Sight(answer["contents"], tuple(answer["failures"]))
