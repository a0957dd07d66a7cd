"""Service instances of this host: started, restarted for a new generation, stopped (C6)."""

from typing import Any

from . import checks, units
from .command import Failure, run, run_or_fail
from .paths import INSTANCES, make_private


def state() -> dict[str, dict[str, str]]:
    """Per instance that a deploy started: its generation and its unit's state."""
    if not INSTANCES.is_dir():
        return {}
    generations = {path.name: path.read_text().strip() for path in INSTANCES.iterdir()}
    shown = units.states(f"{name}.service" for name in generations)
    return {
        name: {"generation": generation, **shown.get(f"{name}.service", {})}
        for name, generation in generations.items()
    }


def converge(document: dict[str, Any]) -> None:
    """Bring the instances to the desired ones, one at a time; the first unhealthy one ends it.

    Raises:
        Failure: an instance did not start or is not healthy, with its last journal lines.
    """
    make_private(INSTANCES)
    for name in document["absent"]:
        _remove(name)
    for instance in document["instances"]:
        _start(instance)


def _remove(name: str) -> None:
    unit = f"{name}.service"
    run(["systemctl", "disable", "--quiet", unit])
    run_or_fail(["systemctl", "stop", unit], timeout=units.START_TIMEOUT_SECONDS)
    (INSTANCES / name).unlink(missing_ok=True)


def _start(instance: dict[str, Any]) -> None:
    name, generation = instance["name"], instance["generation"]
    unit = f"{name}.service"
    record = INSTANCES / name
    present = record.read_text().strip() if record.exists() else ""
    active = units.is_active(unit)
    if active and present == generation:
        return
    # Recorded before the start, so that an instance of an interrupted run is known as ours.
    record.write_text("starting\n")
    units.enable(unit)
    units.activate(unit, "restart" if active else "start")
    failure = checks.first_failure([instance["health"]], instance["health_seconds"])
    if failure:
        raise Failure(f"{unit} started but is not healthy: {failure[1]}", units.journal(unit))
    record.write_text(f"{generation}\n")
