"""The releases of users' programs that a host needs."""

from dataclasses import dataclass
from typing import Any

from deploys.engine import invocation, programs
from deploys.engine.invocation import Refused
from deploys.engine.resources import Facts
from deploys.engine.tree import BuildError, Release
from stellwerk.settings.cluster import ClusterHost
from stellwerk.settings.program import is_inside


@dataclass(frozen=True)
class ServiceProgram:
    """The release of a service for a host; `command` is its own that is run, if it is one."""

    service: str
    release: Release
    command: str

    def document(self, keep: int) -> dict[str, Any]:
        """The request to the host to install it."""
        return {
            "name": self.release.name,
            "prefix": self.release.prefix,
            "command": self.command,
            "keep": keep,
            "archive": self.release.archive(),
        }


def wanted(declared: ClusterHost, facts: Facts) -> tuple[ServiceProgram, ...]:
    """The releases that the services of an app host run."""
    if "apps" not in declared.groups:
        return ()
    system, prefix = facts["system"], declared.settings.runtime.prefix
    found = []
    for name, service in sorted(declared.settings.services.items()):
        if service.program is None or service.command is None:
            continue
        source = invocation.source_of(service.program)
        release = programs.release_for(
            source, name, system["python"], system["architecture"], prefix
        )
        command = service.command[0]
        found.append(ServiceProgram(name, release, command if is_inside(command) else ""))
    return tuple(found)


def is_on(facts: Facts, program: ServiceProgram) -> bool:
    """Whether a host had the release when its facts were read."""
    return program.release.name in facts["programs"].get(program.service, ())


def build(declared: ClusterHost, facts: Facts) -> tuple[ServiceProgram, ...]:
    """The releases an app host needs, built where it has them not: here, before it is changed.

    Raises:
        Refused: one cannot be built for the host, or has not what its service runs.
    """
    found = wanted(declared, facts)
    problems = [
        f"    {declared.name}: services.{one.service}: {problem}"
        for one in found
        if not is_on(facts, one) and (problem := _problem(one))
    ]
    if problems:
        raise Refused("\n".join(("nothing was changed:", *problems)))
    return found


def _problem(program: ServiceProgram) -> str:
    release = program.release
    try:
        problem = programs.problem_with(release, program.command or str(programs.PYTHON))
    except BuildError as error:
        return (
            f"program: no release can be made of it for Python {release.python} on"
            f" {release.architecture}: {error}"
        )
    return f"command: {problem}" if problem else ""
