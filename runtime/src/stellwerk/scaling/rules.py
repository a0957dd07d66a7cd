"""What each rule of a service asks for at a look. Pure."""

from collections import defaultdict
from collections.abc import Iterator

from stellwerk.scaling.burst import BurstRule, BurstState, burst_step
from stellwerk.scaling.history import projected
from stellwerk.scaling.measures import Look, Measure
from stellwerk.scaling.model import CPU, MEMORY, Boost, Direction, State, Vote
from stellwerk.scaling.ratio import Use, for_average, for_total, for_uses, whole
from stellwerk.scaling.steps import after_band, within
from stellwerk.scaling.votes import winner_of_groups
from stellwerk.settings.scaling_policy import Band, Rule, Target


def thresholds(look: Look) -> Iterator[tuple[str, Rule]]:
    """The threshold rules of a service, by metric."""
    rules = look.policy.rules
    if rules.cpu_percent is not None:
        yield CPU, rules.cpu_percent
    if rules.memory_percent is not None:
        yield MEMORY, rules.memory_percent
    yield from rules.rules.items()


def can_spare_one(look: Look) -> bool:
    """Whether all that is measured stays below what would add an instance, with one less to serve.
    What is not known of any instance says no.
    """
    limits = [(metric, rule.across, rule.up_above) for metric, rule in thresholds(look)]
    limits += [
        (metric, "average", one.value * (1 + one.tolerance))
        for metric, one in look.policy.rules.targets.items()
        if one.measure == "average"
    ]
    for metric, across, limit in limits:
        measure = look.measure(metric, across)
        if measure.high is None:
            return False
        if measure.instances and (
            projected(measure.high, measure.instances, measure.instances - 1) >= limit
        ):
            return False
    return len(look.serving) > 1


def threshold_vote(look: Look, metric: str, rule: Rule, boost: Boost | None) -> Vote:
    """What a threshold asks for: a step up above it, a step down below the lower one."""
    current, period = look.seen.desired, look.policy.rules.evaluation_period_seconds
    measure = look.measure(metric, rule.across)
    if measure.low is None:
        return missing_vote(look, metric)
    low = _boosted(look, boost, metric, measure.low)
    if low > rule.up_above:
        text = f"{metric} averaged {low:.4g} over {period} s, above {rule.up_above:g}"
        return Vote(metric, Direction.UP, current + look.policy.rules.step_up, low, text)
    if measure.high is None:
        return _partly_missing_vote(look, metric, low)
    high = _boosted(look, boost, metric, measure.high)
    if rule.down_below is None:
        text = f"{metric} {high:.4g}, not above {rule.up_above:g}"
        return Vote(metric, Direction.NONE, current, high, text, abstains=True)
    latest = measure.latest if measure.latest is not None else high
    if high < rule.down_below and latest <= rule.up_above:
        text = f"{metric} averaged {high:.4g} over {period} s, below {rule.down_below:g}"
        count = max(0, current - look.policy.rules.step_down)
        return Vote(metric, Direction.DOWN, count, high, text)
    text = f"{metric} {high:.4g}, between {rule.down_below:g} and {rule.up_above:g}"
    return Vote(metric, Direction.NONE, current, high, text)


def target_vote(
    look: Look, metric: str, target: Target, state: State
) -> tuple[Vote, BurstState | None]:
    """What a target asks for, and the burst it is in after that."""
    measure = look.measure(metric, "sum" if target.measure == "total" else "average")
    if measure.low is None:
        return missing_vote(look, metric), dict(state.bursts).get(metric)
    count = _wanted(look, metric, target, measure, state.boost)
    current, value = look.seen.desired, measure.low if measure.high is None else measure.high
    floor, burst = _burst(look, metric, target, measure, state)
    if floor > max(count, current):
        text = f"{metric} asks for {floor} within {target.burst_seconds} s, a burst"
        return Vote(metric, Direction.UP, floor, value, text, urgent=True), burst
    if burst is not None and count < current:
        text = f"{metric} had a burst less than {_period(look)} s ago"
        return Vote(metric, Direction.NONE, current, value, text), burst
    return _target_vote(look, metric, target, measure, count), burst


def band_votes(look: Look) -> Iterator[Vote]:
    """What bands ask for: those of a group together, others each for itself."""
    groups: dict[str, list[Vote]] = defaultdict(list)
    for name, band in look.policy.rules.bands.items():
        vote = _band_vote(look, name, band)
        if vote.missing or band.group is None:
            yield vote
        else:
            groups[band.group].append(vote)
    for group, votes in groups.items():
        spoken = winner_of_groups({group: votes})
        if spoken is not None:
            yield spoken


def missing_vote(look: Look, metric: str) -> Vote:
    """What a rule says whose metric is not to be had."""
    text = f"{metric} has no value that is new enough"
    return Vote(metric, Direction.NONE, look.seen.desired, None, text, missing=True)


def _partly_missing_vote(look: Look, metric: str, value: float) -> Vote:
    text = f"{metric} is not known of every instance"
    return Vote(metric, Direction.NONE, look.seen.desired, value, text, missing=True)


def _target_vote(look: Look, metric: str, target: Target, measure: Measure, count: int) -> Vote:
    current, value = look.seen.desired, measure.low if measure.high is None else measure.high
    text = f"{metric} averaged {value:.4g} over {_period(look)} s with a target of {target.value:g}"
    if count > current:
        return Vote(metric, Direction.UP, count, value, f"{text}, which takes {count}")
    if measure.missing:
        return _partly_missing_vote(look, metric, value or 0.0)
    if count < current and _is_over(target, measure):
        text += f", but is {measure.latest:.4g} now"
        return Vote(metric, Direction.NONE, current, value, text)
    if count < current:
        return Vote(metric, Direction.DOWN, count, value, f"{text}, for which {count} do")
    return Vote(metric, Direction.NONE, current, value, text)


def _is_over(target: Target, measure: Measure) -> bool:
    """Whether the present is above the target though the mean is not."""
    return (
        target.measure == "average"
        and measure.latest is not None
        and measure.latest >= target.value
    )


def _wanted(look: Look, metric: str, target: Target, measure: Measure, boost: Boost | None) -> int:
    current, rounding = look.seen.desired, target.rounding
    value = measure.low if measure.high is None else measure.high
    value = _boosted(look, boost, metric, value or 0.0)
    if target.measure == "count":
        return whole(value / target.value, rounding)
    if target.measure == "total":
        return for_total(
            current, value, target.value, tolerance=target.tolerance, rounding=rounding
        )
    if measure.instances is None:
        return for_average(
            current,
            len(look.serving),
            value,
            target.value,
            tolerance=target.tolerance,
            rounding=rounding,
            idle=target.idle_value,
        )
    ready, waiting = _uses(look, metric, target, boost)
    return for_uses(
        current,
        ready,
        waiting,
        target.value - target.idle_value,
        tolerance=target.tolerance,
        rounding=rounding,
    )


def _uses(
    look: Look, metric: str, target: Target, boost: Boost | None
) -> tuple[list[Use], list[Use]]:
    """What instances use that count, and those that are still to count."""
    ready, waiting = [], [Use(None, 1.0) for _ in look.starting]
    for one in look.serving:
        if metric == CPU and look.warms_up(one):
            waiting.append(Use(None, 1.0))
        elif (over := look.over(one, metric, _period(look))) is None:
            ready.append(Use(None, 1.0))
        else:
            value = _boosted(look, boost, metric, over.mean)
            ready.append(Use(max(0.0, value - target.idle_value), 1.0))
    return ready, waiting


def _burst(
    look: Look, metric: str, target: Target, measure: Measure, state: State
) -> tuple[int, BurstState | None]:
    if target.burst_seconds is None or target.measure == "count":
        return 0, None
    total = target.measure == "total"
    across = "sum" if total else "average"
    short = look.measure(metric, across, target.burst_seconds)  # type: ignore[arg-type]
    before = dict(state.bursts).get(metric)
    if short.low is None or measure.low is None:
        return 0, before
    serving = len(look.serving)
    times = 1 if total else max(1, serving)
    rule = BurstRule(target.value, look.policy.emergency.factor, _period(look))
    return burst_step(
        rule,
        before,
        look.now,
        serving=serving,
        calm_total=measure.low * times,
        burst_total=short.low * times,
    )


def _band_vote(look: Look, name: str, band: Band) -> Vote:
    samples = look.samples(band.metric)
    if not samples:
        return missing_vote(look, band.metric)
    current = look.seen.desired
    count = after_band(band, current, samples)
    inside = within(band, samples)
    text = f"{inside} of {len(samples)} samples of {band.metric} lay in band {name}"
    if count == current:
        return Vote(name, Direction.NONE, current, samples[-1], text)
    way = Direction.UP if count > current else Direction.DOWN
    return Vote(name, way, count, samples[-1], text)


def _boosted(look: Look, boost: Boost | None, metric: str, value: float) -> float:
    return value if boost is None else boost.applied(metric, value, look.now)


def _period(look: Look) -> int:
    return look.policy.rules.evaluation_period_seconds
