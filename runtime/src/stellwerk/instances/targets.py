"""Which generation an operator's resume, undo, restart or roll-back is to roll out. Pure."""

from collections.abc import Sequence

from stellwerk.instances.generation import named, short
from stellwerk.instances.model import Rollout, RolloutState, Service
from stellwerk.instances.store import GenerationRow
from stellwerk.settings.errors import did_you_mean


class NoTargetError(Exception):
    """There is nothing to roll out; the message is one sentence that says what can be done."""


def restart_target(service: Service, rollout: Rollout | None) -> str:
    """The generation to restart a service with: the one it runs. Raises NoTargetError."""
    if rollout and rollout.state is RolloutState.RUNNING:
        raise NoTargetError(
            f"{service.name}: a roll-out is running; wait for it"
            f" (stellwerk rollout status --watch {service.name}), or undo it first"
        )
    if rollout and rollout.state is RolloutState.FAILED:
        raise NoTargetError(
            f"{service.name}: its last roll-out has failed; resume or undo that one first"
        )
    return service.generation


def resume_target(service: Service, rollout: Rollout | None) -> str:
    """The generation of a roll-out that failed. Raises NoTargetError."""
    if rollout is None or rollout.state is not RolloutState.FAILED:
        state = f"its last one is {rollout.state}" if rollout else "it never had one"
        raise NoTargetError(f"{service.name}: there is no failed roll-out to resume; {state}")
    return rollout.generation


def undo_target(
    service: Service,
    rollout: Rollout | None,
    generations: Sequence[GenerationRow],
    to: str | None = None,
) -> str:
    """The generation to go back to: `to` as far as it names one, else the one from before.

    A restart that is not done is stopped by rolling out what runs anyway. Raises NoTargetError,
    GenerationError for a `to` that names none.
    """
    if to is not None:
        return named(to, [one.generation for one in generations])
    if rollout is None:
        raise NoTargetError(f"{service.name}: never had a roll-out, so there is nothing to undo")
    if rollout.restart and rollout.state is not RolloutState.DONE:
        return rollout.generation
    if rollout.previous is None or rollout.previous == rollout.generation:
        raise NoTargetError(
            f"{service.name}: its last roll-out brought no other generation; name one with --to,"
            f" as listed by stellwerk releases list {service.name}"
        )
    return rollout.previous


def roll_back_target(
    service: Service, generations: Sequence[GenerationRow], release: str | None = None
) -> GenerationRow:
    """The newest generation of that release, else the newest one before the present that has
    another release than the present. Raises NoTargetError.
    """
    newest_first = sorted(generations, key=lambda one: one.created_at, reverse=True)
    if release is not None:
        return _of_release(service, newest_first, release)
    present = next((one for one in newest_first if one.generation == service.generation), None)
    for one in newest_first:
        if present and one.created_at < present.created_at and one.release != present.release:
            return one
    now = f" than {present.release}" if present and present.release else ""
    raise NoTargetError(
        f"{service.name}: has no earlier release{now}; see: stellwerk releases list {service.name}"
    )


def _of_release(
    service: Service, newest_first: Sequence[GenerationRow], release: str
) -> GenerationRow:
    releases = sorted({one.release for one in newest_first if one.release})
    found = [name for name in releases if name.startswith(release)]
    name = release if release in releases else found[0] if len(found) == 1 else None
    if name is None and found:
        raise NoTargetError(f"{release}: begins more than one release: {', '.join(found)}")
    if name is None:
        hint = did_you_mean(release, releases)
        raise NoTargetError(f"{release}: {service.name} has no such release{hint}")
    chosen = next(one for one in newest_first if one.release == name)
    if chosen.generation == service.generation:
        raise NoTargetError(
            f"{service.name}: is on release {name} (generation {short(chosen.generation)}) already"
        )
    return chosen
