"""Settings of load tests (spec 1.4). What they are judged against is in `baselines`."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stellwerk.settings.errors import did_you_mean
from stellwerk.settings.model import Model
from stellwerk.settings.types import (
    Count,
    CountOrZero,
    Identifier,
    Line,
    Milliseconds,
    NotNegative,
    Percent,
    Positive,
    Seconds,
    SecondsOrZero,
    Whole,
)

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
RequestPath = Annotated[str, Field(pattern=r"^/[!-~]*$")]


class Parameter(Model):
    """The values of a {parameter} of requests; exactly one of the ways to give them."""

    test_data: Literal["user_ids", "portfolio_ids", "symbols"] | None = Field(
        None, description="What the generated data has."
    )
    one_of: list[Line] | None = Field(None, min_length=1, description="Any of these.")
    between: tuple[Whole, Whole] | None = Field(
        None, description="Any whole number from the first to the last."
    )

    @model_validator(mode="after")
    def _is_given_in_one_way(self) -> Self:
        given = [self.test_data, self.one_of, self.between]
        if sum(way is not None for way in given) != 1:
            raise ValueError("expected exactly one of test_data, one_of and between")
        if self.between is not None and self.between[0] > self.between[1]:
            raise ValueError("expected between to be the lower number and the higher one")
        return self


class Request(Model):
    """One kind of request of a mix."""

    service: Line = Field(description="Whose baselines it is judged by.")
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = Field(
        "GET", description="HTTP method."
    )
    path: RequestPath = Field(description="Path and query; a {parameter} is filled in.")
    body: Line | None = Field(None, description="Body; a {parameter} is filled in.")
    headers: dict[HeaderName, Line] = Field(
        default={}, description="Headers to send; no place for secrets."
    )
    weight: Positive = Field(1, description="Its share of the requests, among all of the mix.")
    counts_for: list[Line] = Field(
        default=[],
        description="Baselines of the service it is measured for besides its own,"
        ' "METHOD /path": operations, throughput, success rate.',
    )


class Scenario(Model):
    """A load over time."""

    duration_seconds: Seconds = Field(description="Whole duration, ramp-up included.")
    ramp_up_seconds: SecondsOrZero = Field(0, description="Time to reach the full load.")
    virtual_users: Count = Field(description="Requests in flight at most.")
    requests_per_second: Positive = Field(description="Requests started per second.")
    mix: Identifier = Field("api", description="Which mix of requests is sent.")

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
    assets: Annotated[Count, Field(le=2500)] = Field(500, description="Assets, each with a symbol.")
    trades_per_portfolio: CountOrZero = Field(100, description="Trades in each portfolio.")


class LoadLimits(Model):
    """A run that breaks one of these has failed."""

    cpu_percent: Percent = Field(90, description="CPU utilisation.")
    memory_percent: Percent = Field(90, description="Memory utilisation.")
    response_time_ms: Milliseconds = Field(5000, description="Response time.")
    error_percent: Percent = Field(
        1, description="Failed requests, where a service has no success_rate as baseline."
    )


class Comparison(Model):
    """When a run is worse than the earlier ones."""

    worse_percent: Percent = Field(20, description="Worse by more than this fails.")
    worse_ms: NotNegative = Field(
        1, description="Response times this close are alike, whatever the percentage."
    )
    runs: Count = Field(5, description="Earlier runs whose median is compared with.")


class Loadtest(Model):
    """Load tests."""

    scenarios: dict[Identifier, Scenario] = Field(default={}, description="Scenarios by name.")
    mixes: dict[Identifier, dict[Identifier, Request]] = Field(
        default={}, description="Kinds of requests by name, by the name of their mix."
    )
    parameters: dict[Identifier, Parameter] = Field(
        default={}, description="Values to fill into requests, by name."
    )
    data: TestData = Field(default_factory=TestData, description="Generated data.")
    limits: LoadLimits = Field(default_factory=LoadLimits, description="Limits of a run.")
    comparison: Comparison = Field(
        default_factory=Comparison, description="Comparison with earlier runs."
    )
    sample_interval_seconds: Seconds = Field(5, description="Time between samples in a run.")
    request_timeout_seconds: Seconds = Field(30, description="Time an answer may take.")
    longest_wait_seconds: Seconds = Field(
        10, description="Time a request waits for a free virtual user before it is dropped."
    )

    @model_validator(mode="after")
    def _names_lead_somewhere(self) -> Self:
        problem = next(self._dangling_names(), None)
        if problem is not None:
            raise ValueError(problem)
        return self

    def _dangling_names(self) -> Iterator[str]:
        for name, scenario in self.scenarios.items():
            if not self.mixes.get(scenario.mix):
                hint = did_you_mean(scenario.mix, self.mixes)
                yield f"expected requests in mixes.{scenario.mix}, named by scenario {name}{hint}"
        for mix, requests in self.mixes.items():
            for name, request in requests.items():
                # Other braces, as those of JSON, are part of a body; a path needs none.
                for missing in sorted(
                    set(_PLACEHOLDER.findall(request.path)) - set(self.parameters)
                ):
                    hint = did_you_mean(missing, self.parameters)
                    yield (
                        f"expected a parameter {missing}, named by the path of"
                        f" mixes.{mix}.{name}{hint}"
                    )
