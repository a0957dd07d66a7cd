"""Waits until the agents have done what was declared, and says how they get on."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

from deploys.components.progress import Progress
from deploys.engine.invocation import Refused

GOES_ON = "it goes on by itself, see `stellwerk rollout status`"

Poll = Callable[[], Sequence[Progress]]


@dataclass(frozen=True)
class Effects:
    """What waiting does to the world; `elapsed` is in seconds."""

    poll: Poll
    say: Callable[[str], None]
    elapsed: Callable[[], float]
    pause: Callable[[], object]


def follow(
    effects: Effects, patience_seconds: Mapping[str, float], then: str = GOES_ON
) -> tuple[str, ...]:
    """Return why what was declared did not come about, a line each; nothing when it did.

    A service is given up when it has not got on for its `patience_seconds`; the others go on.
    `then` says what becomes of it.
    """
    marks: dict[str, Hashable] = {}
    since: dict[str, float] = {}
    longest = max(patience_seconds.values(), default=0)
    answered = effects.elapsed()
    while True:
        now = effects.elapsed()
        try:
            found = effects.poll()
        except Refused as refused:
            if now - answered >= longest:
                return (str(refused),)
            effects.pause()
            continue
        answered = now
        for one in found:
            if marks.get(one.service) != one.mark:
                marks[one.service], since[one.service] = one.mark, now
                effects.say(f"{one.service}: {one.sentence}")
        stuck = {
            one.service
            for one in found
            if not one.over and now - since[one.service] >= patience_seconds.get(one.service, 0)
        }
        if all(one.over or one.service in stuck for one in found):
            return tuple(line for one in found for line in _reasons(one, then))
        effects.pause()


def _reasons(one: Progress, then: str) -> tuple[str, ...]:
    if one.failed:
        journal = (f"    {line}" for line in one.journal.splitlines())
        return (f"{one.service}: {one.sentence}", *journal)
    if not one.over:
        return (f"{one.service}: has not got on for too long ({one.sentence}); {then}",)
    return ()
