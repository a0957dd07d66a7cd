"""When there is an emergency, and what is done about it (spec 2.2). Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from stellwerk.scaling.history import rest_left
from stellwerk.scaling.measures import Look
from stellwerk.scaling.model import EmergencyState
from stellwerk.scaling.ratio import whole
from stellwerk.settings.scaling_policy import Across


@dataclass(frozen=True)
class Alarm:
    """An emergency at a judgement. `wanted` is the number it asks for, 0 for none now; `text` what
    is wrong, or was; `escalate` that it has lasted too long, said once.
    """

    state: EmergencyState
    wanted: int
    text: str
    escalate: bool = False


def alarm(look: Look, before: EmergencyState | None) -> Alarm | None:
    """The emergency there is now; None for none. It ends one evaluation period after its last
    breach.
    """
    breach = next(_breaches(look), None)
    if breach is None:
        return _after_breach(look, before)
    since = before.since if before else look.now
    state = EmergencyState(
        since,
        look.now,
        before.last_step if before else None,
        before.escalated if before else False,
    )
    too_long = look.now - since >= look.policy.emergency.escalate_after_seconds
    escalate = too_long and not state.escalated
    state = replace(state, escalated=state.escalated or too_long)
    rests = rest_left(look.now, state.last_step, look.policy.emergency.cooldown_seconds) > 0
    return Alarm(state, 0 if rests else _wanted(look), breach, escalate)


def stepped(state: EmergencyState, now: float) -> EmergencyState:
    """The same after instances were added for it."""
    return replace(state, last_step=now)


def _after_breach(look: Look, before: EmergencyState | None) -> Alarm | None:
    if before is None:
        return None
    calm = look.now - before.last_breach
    if calm > look.policy.rules.evaluation_period_seconds:
        return None
    return Alarm(before, 0, f"an emergency ended {calm:.0f} s ago")


def _wanted(look: Look) -> int:
    """Those that serve, multiplied; those that start are coming already, so never they."""
    emergency = look.policy.emergency
    return min(whole(len(look.serving) * emergency.factor), emergency.max_instances)


def _breaches(look: Look) -> Iterator[str]:
    emergency, metrics = look.policy.emergency, look.policy.rules.emergency_metrics
    kinds: tuple[tuple[list[str], Across, float], ...] = (
        (metrics.error_rate_percent, "average", emergency.error_rate_percent),
        (metrics.response_time_ms, "average", emergency.response_time_ms),
        (metrics.queue_backlog, "sum", emergency.queue_backlog),
    )
    for names, across, limit in kinds:
        for name in names:
            value = look.measure(name, across, emergency.window_seconds).low
            if value is not None and value >= limit:
                over = f"{name} averaged {value:.4g} over {emergency.window_seconds} s"
                yield f"{over}, an emergency from {limit:g} on"
