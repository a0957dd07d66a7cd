"""The performance baselines: targets and current values per source (spec 1.1)."""

import datetime
from typing import Literal

from pydantic import Field

from stellwerk.settings.model import Model
from stellwerk.settings.types import Bytes, Line, NotNegative


class Figure(Model):
    """What is aimed at, and what was measured when the baselines were taken."""

    target: NotNegative | None = Field(None, description="Aimed at; absent: only observed.")
    current: NotNegative = Field(description="Measured.")


class Measure(Model):
    """The baseline of one measured thing, by statistic."""

    unit: Line = Field(description="Unit of all its figures.")
    better: Literal["lower", "higher"] = Field("lower", description="Which direction is good.")
    p50: Figure | None = Field(None, description="Median.")
    p95: Figure | None = Field(None, description="95th percentile.")
    p99: Figure | None = Field(None, description="99th percentile.")
    average: Figure | None = Field(None, description="Mean.")
    peak: Figure | None = Field(None, description="Highest for a short time.")
    sustained: Figure | None = Field(None, description="Held over hours.")
    maximum: Figure | None = Field(None, description="Highest allowed.")
    value: Figure | None = Field(None, description="For what has one figure only.")


class Growth(Model):
    """How a size is expected to grow."""

    now: Bytes = Field(description="Size on the day of the baselines.")
    in_6_months: Bytes = Field(description="Size half a year later.")
    in_12_months: Bytes = Field(description="Size a year later.")


class Baselines(Model):
    """All baselines. A source is a service, or `database` or `redis`."""

    dated: datetime.date | None = Field(None, description="Day they were taken.")
    measures: dict[Line, dict[Line, Measure]] = Field(
        default={}, description="Baselines by source and by what is measured."
    )
    growth: dict[Line, Growth] = Field(default={}, description="Expected sizes by source.")
