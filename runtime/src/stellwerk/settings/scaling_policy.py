"""Settings of how one service is scaled: its rules, steps, rests and rates (spec 2.1).

What holds over all services is in `scaling`.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stellwerk.settings.model import Model
from stellwerk.settings.types import (
    Count,
    CountOrZero,
    Identifier,
    NotNegative,
    Number,
    Percent,
    Positive,
    Seconds,
    SecondsOrZero,
    Whole,
)

Across = Literal["average", "sum", "maximum"]


class Rule(Model):
    """Thresholds of one metric: between them nothing happens."""

    up_above: Number = Field(description="An instance is added above this value.")
    down_below: Number | None = Field(
        None, description="One may go below this value; absent: the metric never asks for less."
    )
    across: Across = Field("average", description="How the instances' values become the service's.")

    @model_validator(mode="after")
    def _thresholds_are_ordered(self) -> Self:
        if self.down_below is not None and self.down_below >= self.up_above:
            raise ValueError(
                f"expected down_below ({self.down_below:g}) less than up_above ({self.up_above:g})"
            )
        return self


class Target(Model):
    """A value that one metric is kept at by as many instances as it takes."""

    value: Positive = Field(description="What an instance is to have.")
    measure: Literal["average", "total", "count"] = Field(
        "average",
        description="Whether the metric is per instance (average), is shared by all instances"
        " (total), or says itself how many are wanted (count; `value` is what one stands for).",
    )
    tolerance: NotNegative = Field(
        0.1, description="Share by which the metric may be off without a change."
    )
    rounding: Literal["up", "nearest"] = Field("up", description="How the number becomes whole.")
    idle_value: NotNegative = Field(
        0, description="What an instance without work has already; it is left out of the ratio."
    )
    burst_seconds: Seconds | None = Field(
        None,
        description="A shorter time: where its mean asks for `emergency.factor` times the instances"
        " that serve, they are added at once. Absent: bursts are not looked for.",
    )

    @model_validator(mode="after")
    def _the_target_is_above_idle(self) -> Self:
        if self.idle_value >= self.value:
            raise ValueError(
                f"expected idle_value ({self.idle_value:g}) less than value ({self.value:g})"
            )
        return self


class Band(Model):
    """A step that is taken while enough samples of a metric lie between two values."""

    metric: Identifier = Field(description="The metric.")
    lower: Number | None = Field(None, description="Values from this one on count.")
    upper: Number | None = Field(None, description="Values below this one count.")
    samples: Count = Field(
        5, description="How many samples of the evaluation period have to lie within."
    )
    delta: Whole | None = Field(None, description="Instances added, or removed where negative.")
    percent: Number | None = Field(None, description="The same as a share of those there are.")
    instances: CountOrZero | None = Field(None, description="The number to have.")
    group: Identifier | None = Field(
        None, description="Bands of one group outvote those of it that are outside their band."
    )

    @model_validator(mode="after")
    def _is_one_step_within_bounds(self) -> Self:
        if self.lower is None and self.upper is None:
            raise ValueError("expected lower, upper or both")
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise ValueError(f"expected lower ({self.lower:g}) less than upper ({self.upper:g})")
        if [self.delta, self.percent, self.instances].count(None) != 2:
            raise ValueError("expected exactly one of delta, percent and instances")
        return self


class Rate(Model):
    """How much the number may change within a time."""

    instances: Count | None = Field(None, description="So many instances,")
    percent: Positive | None = Field(None, description="or such a share of those at its beginning.")
    seconds: Seconds = Field(description="Length of the time.")

    @model_validator(mode="after")
    def _is_one_amount(self) -> Self:
        if (self.instances is None) == (self.percent is None):
            raise ValueError("expected either instances or percent")
        return self


class Rates(Model):
    """How fast the number may change in one direction."""

    limits: list[Rate] = Field(default=[], description="Limits; empty: as fast as demanded.")
    choose: Literal["largest", "smallest", "disabled"] = Field(
        "largest", description="Which limit counts; disabled: no change in this direction at all."
    )


class EmergencyMetrics(Model):
    """Which metrics of a service tell of an emergency. Any of them does."""

    error_rate_percent: list[Identifier] = Field(
        default=["error_rate"], description="Shares of failed requests."
    )
    response_time_ms: list[Identifier] = Field(
        default=["response_time_ms"], description="Response times."
    )
    queue_backlog: list[Identifier] = Field(
        default=["queue_length"], description="Counts of work that waits."
    )


class Fallback(Model):
    """A number to have at least while nothing is known of a service's load."""

    instances: Count = Field(description="Instances at least. Never fewer than there are.")
    after_failures: CountOrZero = Field(
        3, description="Judgements in a row without its metrics that are waited out before."
    )


class ServicePolicy(Model):
    """How one service is scaled, within its own minimum and maximum."""

    enabled: bool = Field(True, description="Whether the scaler changes the number at all.")
    cpu_percent: Rule | None = Field(None, description="CPU, averaged over the instances.")
    memory_percent: Rule | None = Field(None, description="Memory, averaged over the instances.")
    rules: dict[Identifier, Rule] = Field(
        default={}, description="The service's own metrics, as named in its health answer."
    )
    targets: dict[Identifier, Target] = Field(
        default={}, description="Metrics that are kept at a value, by name."
    )
    bands: dict[Identifier, Band] = Field(
        default={}, description="Steps for metrics that lie between two values, by any name."
    )
    zero_when_missing: list[Identifier] = Field(
        default=[], description="Metrics of which no value means 0, such as those of a queue."
    )
    evaluation_period_seconds: Seconds = Field(300, description="Time a rule averages over.")
    stale_after_seconds: Seconds = Field(
        120, description="Age from which on the newest value of a metric says nothing any more."
    )
    warm_up_seconds: SecondsOrZero = Field(
        60, description="Time from its start on in which an instance's CPU is not counted."
    )
    cooldown_up_seconds: SecondsOrZero = Field(300, description="Rest between two additions.")
    cooldown_down_seconds: SecondsOrZero = Field(300, description="Rest before a removal.")
    stabilization_up_seconds: SecondsOrZero = Field(
        0, description="Time for which more has to be demanded before any is added."
    )
    stabilization_down_seconds: SecondsOrZero = Field(
        300, description="Time for which less has to be demanded before any is removed."
    )
    regret_seconds: SecondsOrZero = Field(
        3600,
        description="A removal that is made good again within this time is regretted. 0: none is.",
    )
    regret_factor: Annotated[Number, Field(ge=1)] = Field(
        4,
        description="By it, the time for which less has to be demanded grows for each removal of"
        " the last day that was regretted.",
    )
    step_up: Count = Field(1, description="Instances added at a time.")
    step_down: Count = Field(1, description="Instances removed at a time.")
    rates_up: Rates = Field(default_factory=Rates, description="How fast instances come.")
    rates_down: Rates = Field(default_factory=Rates, description="How fast they go.")
    healthy_percent: Percent = Field(
        70, description="Share of the instances that has to serve before one is removed."
    )
    fallback: Fallback | None = Field(None, description="For when no metric is to be had.")
    emergency_metrics: EmergencyMetrics = Field(
        default_factory=EmergencyMetrics, description="What tells of an emergency."
    )
