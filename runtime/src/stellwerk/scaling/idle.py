"""Which instances have so little to do that they are candidates for removal (spec 2.2). Pure."""

from stellwerk.scaling.measures import Look
from stellwerk.scaling.model import CPU, MEMORY, Reading


def idle_instances(look: Look) -> tuple[str, ...]:
    """The names of instances that were idle the whole time. One that has not served that long, or
    of which anything is unknown, is none.
    """
    return tuple(one.name for one in look.serving if _is_idle(look, one))


def _is_idle(look: Look, one: Reading) -> bool:
    idle, now = look.policy.idle, look.now
    return all(
        _stayed_below(look, one, metric, below, now - idle.for_seconds)
        for metric, below in ((CPU, idle.cpu_below_percent), (MEMORY, idle.memory_below_percent))
    )


def _stayed_below(look: Look, one: Reading, metric: str, below: float, since: float) -> bool:
    series = one.series(metric)
    newest = series.newest(look.now)
    if newest is None or newest[1] >= below or not series.times or series.times[0] > since:
        return False
    if look.now - newest[0] > look.policy.rules.stale_after_seconds:
        return False
    return max(series.within(since, look.now)) < below
