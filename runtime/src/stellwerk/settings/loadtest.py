"""Settings of load tests (spec 1.4). What they are judged against is in `baselines`."""

from typing import Self

from pydantic import Field, model_validator

from stellwerk.settings.model import Model
from stellwerk.settings.types import (
    Count,
    CountOrZero,
    Identifier,
    Milliseconds,
    Percent,
    Positive,
    Seconds,
    SecondsOrZero,
)


class Scenario(Model):
    """A load over time."""

    duration_seconds: Seconds = Field(description="Whole duration, ramp-up included.")
    ramp_up_seconds: SecondsOrZero = Field(0, description="Time to reach the full load.")
    virtual_users: Count = Field(description="Requests in flight at most.")
    requests_per_second: Positive = Field(description="Requests started per second.")

    @model_validator(mode="after")
    def _ramp_up_ends(self) -> Self:
        if self.ramp_up_seconds > self.duration_seconds:
            raise ValueError(
                f"expected ramp_up_seconds ({self.ramp_up_seconds}) at most"
                f" duration_seconds ({self.duration_seconds})"
            )
        return self


class TestData(Model):
    """How much data is generated to test with."""

    __test__ = False  # pytest takes a class of this name for tests

    users: Count = Field(100, description="Users.")
    portfolios: Count = Field(1000, description="Portfolios.")
    assets: Count = Field(500, description="Assets.")
    trades_per_portfolio: CountOrZero = Field(100, description="Trades in each portfolio.")


class LoadLimits(Model):
    """A run that breaks one of these has failed."""

    cpu_percent: Percent = Field(90, description="CPU utilisation.")
    memory_percent: Percent = Field(90, description="Memory utilisation.")
    response_time_ms: Milliseconds = Field(5000, description="Response time.")


class Loadtest(Model):
    """Load tests."""

    scenarios: dict[Identifier, Scenario] = Field(default={}, description="Scenarios by name.")
    data: TestData = Field(default_factory=TestData, description="Generated data.")
    limits: LoadLimits = Field(default_factory=LoadLimits, description="Limits of a run.")
    sample_interval_seconds: Seconds = Field(5, description="Time between samples in a run.")
