"""Settings of the monitor (spec 1.2, 1.3): collectors, thresholds, history, reports, receivers."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stellwerk.settings.model import Model, Threshold
from stellwerk.settings.types import (
    NOT_GIVEN,
    Bytes,
    Count,
    Days,
    Line,
    Milliseconds,
    Percent,
    Port,
    Seconds,
    SecondsOrZero,
    Secret,
)

Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+(/[^\s]*)?$")]


class SystemThresholds(Model):
    """Of the host."""

    cpu_percent: Threshold = Field(
        Threshold(baseline=40, warning=80, critical=95), description="CPU utilisation."
    )
    memory_percent: Threshold = Field(
        Threshold(baseline=50, warning=80, critical=95), description="Memory utilisation."
    )
    filesystem_used_percent: Threshold = Field(
        Threshold(warning=80, critical=95), description="Space in use on a filesystem."
    )


class ServiceThresholds(Model):
    """Of a service's instances."""

    response_time_ms: Threshold = Field(
        Threshold(baseline=50, warning=200, critical=1000),
        description="Response time of the health endpoint.",
    )
    availability: Threshold = Field(
        Threshold(baseline=1, critical=0, bound="lower"),
        description="1 while the health endpoint answers, otherwise 0; of other sources as well.",
    )


class PostgresqlThresholds(Model):
    """Of PostgreSQL."""

    active_connections: Threshold = Field(
        Threshold(baseline=15, warning=40, critical=45), description="Connections at work."
    )
    connections_percent: Threshold = Field(
        Threshold(baseline=30, warning=80, critical=95), description="Share of max_connections."
    )
    probe_query_ms: Threshold = Field(
        Threshold(baseline=25, warning=100, critical=500), description="Time of the probe query."
    )
    slow_query_average_ms: Threshold = Field(
        Threshold(baseline=150, warning=500, critical=2000),
        description="Mean of the slowest statements.",
    )
    database_size_mb: Threshold = Field(
        Threshold(baseline=2500, warning=10000, critical=20000), description="Size of the database."
    )
    view_refresh_ms: Threshold = Field(
        Threshold(warning=25000, critical=30000),
        description="Time the refresh of a materialized view took; a view's"
        " refresh_timeout_seconds ends it, which counts as a failure.",
    )
    view_refresh_failures: Threshold = Field(
        Threshold(warning=1, critical=3),
        description="Refreshes of a materialized view that failed since one was completed.",
    )
    view_overdue_seconds: Threshold = Field(
        Threshold(warning=600, critical=3600),
        description="Time by which the rows of a materialized view are older than its interval.",
    )


class RedisThresholds(Model):
    """Of Redis. Memory use is watched by `redis.memory_use_percent`."""

    memory_used_mb: Threshold = Field(
        Threshold(baseline=128, warning=512, critical=800), description="Memory in use."
    )
    connected_clients: Threshold = Field(
        Threshold(baseline=10, warning=50, critical=100), description="Clients."
    )
    hit_rate_percent: Threshold = Field(
        Threshold(baseline=85, warning=70, critical=50, bound="lower"), description="Hits in reads."
    )
    operations_per_second: Threshold = Field(
        Threshold(baseline=100, warning=1000, critical=5000), description="Commands."
    )


class SentinelThresholds(Model):
    """Of Redis Sentinel."""

    master_up: Threshold = Field(
        Threshold(baseline=1, critical=0, bound="lower"),
        description="1 while the Sentinel takes the master for up.",
    )
    quorum: Threshold = Field(
        Threshold(baseline=1, critical=0, bound="lower"),
        description="1 while enough Sentinels can agree on a failover.",
    )


class MonitorThresholds(Model):
    """Of the monitor itself."""

    source_readable: Threshold = Field(
        Threshold(baseline=1, warning=0, bound="lower"),
        description="0 where a source is there and cannot be read: a wrong password, a version"
        " that is not known.",
    )


class Thresholds(Model):
    """Baselines and thresholds of what the collectors measure."""

    system: SystemThresholds = Field(default_factory=SystemThresholds, description="Host.")
    service: ServiceThresholds = Field(default_factory=ServiceThresholds, description="Services.")
    postgresql: PostgresqlThresholds = Field(
        default_factory=PostgresqlThresholds, description="PostgreSQL."
    )
    redis: RedisThresholds = Field(default_factory=RedisThresholds, description="Redis.")
    sentinel: SentinelThresholds = Field(
        default_factory=SentinelThresholds, description="Sentinels."
    )
    monitor: MonitorThresholds = Field(
        default_factory=MonitorThresholds, description="The monitor itself."
    )
    others: dict[Line, Threshold] = Field(
        default={},
        description='Further metrics by their key, such as "haproxy.error_percent"; the numbers of'
        ' services are "own.NAME".',
    )


class SlowQueries(Model):
    """Which statements of pg_stat_statements count as slow."""

    mean_over_ms: Milliseconds = Field(1000, description="Counted above this mean time.")
    average_of: Count = Field(5, description="How many of the slowest are averaged,")
    average_over_ms: Milliseconds = Field(100, description="of those above this mean time.")


class Reports(Model):
    """What a report points out."""

    deviation_percent: Percent = Field(
        20, description="A latest value further off its baseline is listed."
    )


class Slack(Model):
    """A Slack channel."""

    enabled: bool = Field(True, description="Whether it is told, once a webhook is known.")
    webhook_url: Secret | None = Field(None, description="Its webhook, if given as a secret.")
    webhook_variable: Line = Field(
        "SLACK_WEBHOOK_URL", description="Environment variable that otherwise holds the webhook."
    )


class Email(Model):
    """Mail to people."""

    enabled: bool = Field(True, description="Whether mail is sent, once there is a recipient.")
    to: list[Line] = Field(default=[], description="Recipients.")
    sender: Line | None = Field(None, description="From; absent: stellwerk@ the host's name.")
    smtp_host: Line = Field("localhost", description="Mail server.")
    smtp_port: Port = Field(25, description="Its port.")
    smtp_encryption: Literal["none", "starttls", "tls"] = Field(
        "none", description="How the connection is encrypted; its certificate has to be right."
    )
    smtp_user: Line | None = Field(None, description="Who logs in; absent: nobody.")
    smtp_password: Secret | None = Field(None, description="Password of that user.")

    @model_validator(mode="after")
    def _passwords_are_not_sent_in_the_clear(self) -> Self:
        if self.smtp_user is not None and self.smtp_encryption == "none":
            raise ValueError('expected smtp_encryption "starttls" or "tls" where smtp_user logs in')
        return self


class Alertmanager(Model):
    """An Alertmanager, which groups, silences and passes on alerts by rules of its own."""

    url: Url | None = Field(None, description="Where it is; absent: it is told nothing.")
    interval_seconds: Seconds = Field(
        30, description="Time between two tellings of which alerts there are."
    )


class Receivers(Model):
    """Who is told of alerts and scaling actions."""

    slack: Slack = Field(default_factory=Slack, description="Slack.")
    email: Email = Field(default_factory=Email, description="Mail.")
    alertmanager: Alertmanager = Field(
        default_factory=Alertmanager, description="Alertmanager; told of alerts only."
    )
    group_seconds: Seconds = Field(30, description="Messages within this time are sent as one.")
    repeat_seconds: Seconds = Field(14400, description="Time before a lasting alert is repeated.")


class Alerts(Model):
    """When a value beyond its threshold becomes an alert, and when it ends."""

    for_seconds: SecondsOrZero = Field(120, description="Time a value has to be beyond it.")
    down_seconds: SecondsOrZero = Field(
        30, description="The same for what is either well or not, such as an availability."
    )
    lasting_seconds: dict[Line, SecondsOrZero] = Field(
        default={}, description='The same for single metrics by key, such as "redis.availability".'
    )
    recovery_seconds: SecondsOrZero = Field(
        30, description="Time a value has to be in order again before its alert ends."
    )
    missing_seconds: Seconds = Field(
        900,
        description="Time without any value after which an alert ends: nothing is known of it then."
        " Longer than two looks at sizes.",
    )
    disabled: list[Line] = Field(default=[], description="Metrics, by key, without alerts.")


class Prometheus(Model):
    """Debian's Prometheus and Alertmanager on `monitors`, which scrape all monitors."""

    enabled: bool = Field(False, description="Whether they are installed.")
    port: Port = Field(9090, description="Port of Prometheus, on loopback.")
    retention_days: Days = Field(15, description="Days of its history.")
    alertmanager_port: Port = Field(9093, description="Port of Alertmanager, on loopback.")
    alertmanager_file: Line | None = Field(
        None,
        description="File, beside the inventory, with a configuration of your own for Alertmanager;"
        " absent: it shows alerts and tells nobody, as the monitors tell people themselves.",
    )


class Monitoring(Model):
    """The monitor of every host; on `monitors` also its pages."""

    name: Line = Field("stellwerk-monitor", description="Name it reports under.")
    port: Port = Field(8004, description="Port of its API and pages.")
    token: Secret = Field(
        NOT_GIVEN, description="What others than the host itself must show to that API."
    )
    interval_seconds: Seconds = Field(15, description="Time between two collections.")
    sizes_interval_seconds: Seconds = Field(
        300, description="Time between two looks at table and database sizes, which are costly."
    )
    source_timeout_seconds: Seconds = Field(2, description="Time one source may take.")
    history_days: Days = Field(
        14, description="Days of history kept: a week, and the one before to compare it with."
    )
    history_size: Bytes = Field(
        Bytes.parse("1GB"), description="Disk space of the history at most; old days make room."
    )
    thresholds: Thresholds = Field(default_factory=Thresholds, description="What is normal.")
    slow_queries: SlowQueries = Field(default_factory=SlowQueries, description="Slow statements.")
    reports: Reports = Field(default_factory=Reports, description="Reports.")
    alerts: Alerts = Field(default_factory=Alerts, description="Alerts.")
    receivers: Receivers = Field(default_factory=Receivers, description="Who is told.")
    prometheus: Prometheus = Field(default_factory=Prometheus, description="Prometheus.")
