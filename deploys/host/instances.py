"""Service instances of this host: started, restarted for a new generation, stopped (C6)."""

from typing import Any

from . import checks, release, units
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


def start(document: dict[str, Any]) -> None:
    """Stop the absent instances and start the given ones side by side: nothing depends on them yet.

    Raises:
        Failure: an instance did not start or is not healthy, with its last journal lines.
    """
    make_private(INSTANCES)
    for name in document["absent"]:
        _remove(name)
    names = [instance["name"] for instance in document["instances"]]
    for name in names:
        # Recorded before the start, so that an instance of an interrupted run is known as ours.
        (INSTANCES / name).write_text("starting\n")
        units.enable(f"{name}.service")
    if names:
        run(
            ["systemctl", "restart", *(f"{name}.service" for name in names)],
            timeout=units.START_TIMEOUT_SECONDS,
        )
    for instance in document["instances"]:
        _confirm(instance)


def roll(document: dict[str, Any]) -> None:
    """Restart the given instances one at a time; the first unhealthy one ends it.

    With `fall_back` that one runs the release of before again, as the others still do.

    Raises:
        Failure: an instance did not start or is not healthy, with its last journal lines.
    """
    for instance in document["instances"]:
        unit = f"{instance['name']}.service"
        try:
            units.activate(unit, "restart")
            _confirm(instance)
        except Failure:
            if document.get("fall_back"):
                release.fall_back(document)
                run(["systemctl", "restart", unit], timeout=units.START_TIMEOUT_SECONDS)
            raise


def _confirm(instance: dict[str, Any]) -> None:
    """Record the generation of an instance that is healthy."""
    unit = f"{instance['name']}.service"
    for check in ({"kind": "unit", "unit": unit}, instance["health"]):
        failure = checks.first_failure([check], instance["health_seconds"])
        if failure:
            raise Failure(f"{unit} is not healthy: {failure[1]}", units.journal(unit))
    (INSTANCES / instance["name"]).write_text(f"{instance['generation']}\n")


def _remove(name: str) -> None:
    unit = f"{name}.service"
    run(["systemctl", "disable", "--quiet", unit])
    run_or_fail(["systemctl", "stop", unit], timeout=units.START_TIMEOUT_SECONDS)
    (INSTANCES / name).unlink(missing_ok=True)
