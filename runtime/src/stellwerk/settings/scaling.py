"""Settings of the scaler: what holds over all services (spec 2).

How one service is scaled is in `scaling_policy`.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stellwerk.settings.model import Model
from stellwerk.settings.scaling_policy import ServicePolicy
from stellwerk.settings.types import (
    Bytes,
    Confidence,
    Count,
    CronTimes,
    Days,
    Identifier,
    Line,
    Milliseconds,
    Minutes,
    MonthDay,
    Number,
    Percent,
    Port,
    Positive,
    Seconds,
    ServiceName,
    Severity,
    TimeOfDay,
    TimeZone,
    Weekday,
)

Channel = Literal["slack", "email"]
StepMinutes = Literal[5, 10, 15, 30, 60]


class Emergency(Model):
    """What makes an emergency, and what is done about it."""

    error_rate_percent: Percent = Field(15, description="Share of failed requests.")
    response_time_ms: Milliseconds = Field(10000, description="Response time.")
    queue_backlog: Count = Field(1000, description="Waiting work items.")
    factor: Annotated[Number, Field(gt=1)] = Field(2, description="Instances are multiplied by it.")
    max_instances: Count = Field(16, description="Instances of one service at most.")
    cooldown_seconds: Seconds = Field(60, description="Rest between two such steps.")
    window_seconds: Seconds = Field(
        60, description="Time averaged over, shorter than an evaluation period."
    )
    escalate_after_seconds: Seconds = Field(300, description="Time until it is escalated.")


class Limits(Model):
    """What all services together may use."""

    instances: Count = Field(32, description="Instances in all.")
    cpu_cores: Positive = Field(16, description="CPU cores in all.")
    memory: Bytes = Field(Bytes.parse("32GB"), description="Memory in all.")


class Idle(Model):
    """What makes an instance a candidate for removal."""

    cpu_below_percent: Percent = Field(5, description="CPU below this share,")
    memory_below_percent: Percent = Field(30, description="and memory below this share,")
    for_seconds: Seconds = Field(1800, description="for this time.")


class Window(Model):
    """Hours of some days. An end before the start is on the next day; "24:00" is midnight."""

    days: list[Weekday] = Field(min_length=1, description="Days on which it starts.")
    start: TimeOfDay = Field(description="When it starts.")
    end: TimeOfDay = Field(description="When it ends.")
    minimum_factor: Positive = Field(
        description="A service's minimum is multiplied by it, but is never below 1."
    )
    initial_factor: Positive | None = Field(
        None, description="The same for its first judgement only, to begin with more instances."
    )

    @model_validator(mode="after")
    def _has_a_duration(self) -> Self:
        if self.start == self.end or self.start == "24:00":
            raise ValueError(f"expected an end other than the start ({self.start}), before 24:00")
        return self


class CronWindow(Model):
    """Times of a calendar: from each match of one cron expression to the next of another."""

    start: CronTimes = Field(description='When it starts, such as "0 6 1 * *" or "0 0 * * mon".')
    end: CronTimes | None = Field(None, description="When it ends,")
    duration_minutes: Minutes | None = Field(None, description="or how long it lasts.")
    minimum_factor: Positive = Field(
        description="A service's minimum is multiplied by it, but is never below 1."
    )

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if (self.end is None) == (self.duration_minutes is None):
            raise ValueError("expected either end or duration_minutes")
        if self.start == self.end:
            raise ValueError(f"expected an end other than the start ({self.start})")
        return self


class Schedule(Model):
    """How the hour moves the services' minimum. Where windows overlap, the largest counts."""

    timezone: TimeZone = Field("Etc/UTC", description="Time zone of the hours.")
    windows: dict[Identifier, Window] = Field(default={}, description="Windows by name.")
    cron_windows: dict[Identifier, CronWindow] = Field(
        default={}, description="Windows that weekdays and hours cannot say."
    )
    minimum_factor_otherwise: Positive = Field(1, description="Outside of all windows.")


class DailyPattern(Model):
    """Forecast from the same hours of the days before."""

    history_days: Days = Field(14, description="Days looked back.")
    ahead_minutes: Minutes = Field(60, description="Minutes looked ahead.")
    confidence: Confidence = Field(0.8, description="Measured coverage needed to act on it.")


class WeeklyPattern(Model):
    """Forecast from the same hours of the weeks before."""

    history_weeks: Count = Field(8, description="Weeks looked back.")
    ahead_minutes: Minutes = Field(240, description="Minutes looked ahead.")
    confidence: Confidence = Field(0.75, description="Measured coverage needed to act on it.")


class Prescale(Model):
    """When a forecast adds instances ahead of the need. It never removes any."""

    lead_minutes: Minutes = Field(15, description="Minutes before the predicted need.")
    confidence: Confidence = Field(0.8, description="Measured coverage needed.")
    bound: Confidence = Field(
        0.9, description="Probability with which the load is to stay below a forecast's bound."
    )
    max_error_percent: Percent = Field(
        30, description="Measured error (WAPE, last 7 days) up to which forecasts are acted on."
    )


class Season(Model):
    """Days of every year, both included, as month-day."""

    first: MonthDay = Field(description="First day.")
    last: MonthDay = Field(description="Last day.")


class BusinessEvent(Model):
    """A known time of unusual load. Its days are kept out of the history of forecasts."""

    timezone: TimeZone = Field("Etc/UTC", description="Time zone of the hours.")
    days: list[Weekday] = Field(min_length=1, description="Weekdays it happens on.")
    start: TimeOfDay = Field("00:00", description="When it starts.")
    end: TimeOfDay = Field("24:00", description="When it ends.")
    seasons: list[Season] = Field(default=[], description="Only within these; empty: all year.")
    services: list[ServiceName] = Field(default=[], description="Services hit; empty: all.")
    minimum_factor: Positive = Field(description="Their minimum is multiplied by it.")
    in_history: bool = Field(False, description="Whether forecasts learn from its days.")


class Predictive(Model):
    """Forecasts, which only ever add to what the rules demand."""

    enabled: bool = Field(True, description="Whether forecasts are made.")
    forecast_only: bool = Field(
        False,
        description="Forecasts are made and shown, but not acted on: to see how good they are.",
    )
    timezone: TimeZone = Field(
        "Etc/UTC", description="Time zone whose days and weeks the load follows."
    )
    step_minutes: StepMinutes = Field(15, description="Steps of the history.")
    refresh_minutes: Minutes = Field(
        30,
        description="Time between two forecasts. With `prescale.lead_minutes` it should fit into"
        " `daily.ahead_minutes`, or the lead is cut short before the next one.",
    )
    daily: DailyPattern = Field(default_factory=DailyPattern, description="Daily pattern.")
    weekly: WeeklyPattern = Field(default_factory=WeeklyPattern, description="Weekly pattern.")
    prescale: Prescale = Field(default_factory=Prescale, description="Acting ahead.")
    events: dict[Identifier, BusinessEvent] = Field(default={}, description="Business events.")


class Route(Model):
    """Who is told of something, and how urgently. The receivers are in `monitoring`."""

    channels: list[Channel] = Field(default=["slack", "email"], description="Ways to tell.")
    severity: Severity = Field("info", description="How bad it is.")
    immediate: bool = Field(False, description="Sent at once instead of grouped with others.")


class Routes(Model):
    """What the scaler tells of."""

    scaling_action: Route = Field(default_factory=Route, description="Instances came or went.")
    scaling_failure: Route = Field(
        Route(severity="high", immediate=True), description="A change could not be made."
    )
    resource_limit_reached: Route = Field(
        Route(severity="warning"), description="A limit cut what was demanded."
    )
    emergency: Route = Field(
        Route(severity="critical", immediate=True), description="An emergency began."
    )


class ZabbixExport(Model):
    """Metrics of the scaler for Zabbix."""

    enabled: bool = Field(True, description="Whether they are sent, once a server is named.")
    server: Line | None = Field(None, description="Address of the Zabbix server or proxy.")
    port: Port = Field(10051, description="Its trapper port.")
    template: Line = Field("Stellwerk Auto Scaling", description="Name of the host template.")
    interval_seconds: Seconds = Field(30, description="Time between two sendings.")


class PrometheusExport(Model):
    """Metrics of the scaler for Prometheus."""

    enabled: bool = Field(False, description="Whether monitors have them in /metrics.")


class GrafanaExport(Model):
    """A dashboard of the scaler."""

    enabled: bool = Field(False, description="Whether it is written, to /etc/stellwerk.")
    dashboard: Line = Field("auto-scaling-dashboard", description="Its title.")


class Export(Model):
    """Where the scaler's own metrics go."""

    zabbix: ZabbixExport = Field(default_factory=ZabbixExport, description="Zabbix.")
    prometheus: PrometheusExport = Field(
        default_factory=PrometheusExport, description="Prometheus."
    )
    grafana: GrafanaExport = Field(default_factory=GrafanaExport, description="Grafana.")


class Scaling(Model):
    """The scaler."""

    check_interval_seconds: Seconds = Field(60, description="Time between two judgements.")
    metrics_retention_seconds: Seconds = Field(3600, description="History kept for decisions.")
    services: dict[ServiceName, ServicePolicy] = Field(
        default={}, description="Policy per service; one without keeps its number."
    )
    emergency: Emergency = Field(default_factory=Emergency, description="Emergency mode.")
    limits: Limits = Field(default_factory=Limits, description="Limits over all services.")
    idle: Idle = Field(default_factory=Idle, description="Idle instances.")
    schedule: Schedule = Field(default_factory=Schedule, description="Hours of the week.")
    predictive: Predictive = Field(default_factory=Predictive, description="Forecasts.")
    notifications: Routes = Field(default_factory=Routes, description="Who is told of what.")
    export: Export = Field(default_factory=Export, description="The scaler's own metrics.")
