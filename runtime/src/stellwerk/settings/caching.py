"""Settings of the cache (spec 3.2-3.5): caches and layers, invalidation, warming, rate limits.

The servers it uses are in `redis`.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stellwerk.settings.model import Model
from stellwerk.settings.types import (
    NOT_GIVEN,
    Bytes,
    Confidence,
    Count,
    Cron,
    Days,
    Identifier,
    KeyPattern,
    Line,
    Milliseconds,
    Number,
    Percent,
    Port,
    Positive,
    Seconds,
    SecondsOrZero,
    Secret,
    Severity,
    TimeOfDay,
    TimeZone,
    Weekday,
)

LayerName = Annotated[str, Field(pattern=r"^[A-Za-z_/][A-Za-z0-9_/-]*$")]
Statement = Annotated[str, Field(min_length=1)]
KeyId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]


class Layer(Model):
    """A part of a cache with a lifetime and a memory budget of its own."""

    ttl_seconds: Seconds = Field(description="Lifetime of an entry.")
    memory: Bytes | None = Field(None, description="Memory budget; absent: only Redis' own.")
    key_pattern: KeyPattern | None = Field(None, description="Its keys; absent: the cache's.")
    vary_by: list[Identifier] = Field(
        default=[], description="Request parameters that tell entries apart."
    )
    local_seconds: SecondsOrZero = Field(
        0, description="Time each process may keep an entry itself; 0: it asks Redis every time."
    )
    local_entries: Count = Field(1000, description="Entries each process keeps itself at most.")


class Cache(Model):
    """A cache: what its keys look like, how it is read and written, and its layers."""

    key_pattern: KeyPattern = Field(description="Its keys, with fields in braces.")
    ttl_seconds: Seconds = Field(description="Lifetime of an entry.")
    strategy: Literal["write-through", "write-behind", "lazy-loading", "cache-aside"] = Field(
        description="How it is filled and written."
    )
    compressed: bool = Field(False, description="Whether larger values are compressed.")
    encrypted: bool = Field(False, description="Whether values are encrypted.")
    refresh_ahead_percent: Percent | None = Field(
        None, description="Share of the lifetime after which an entry is refreshed; absent: never."
    )
    layer_field: Identifier | None = Field(
        None, description="Field of the key that holds the name of a layer without own keys."
    )
    serve_stale_seconds: SecondsOrZero = Field(
        300, description="Time after its lifetime that an entry may stand in for a failing source."
    )
    jitter_percent: Percent = Field(
        10, description="Share of the lifetime by which entries end early, each at random."
    )
    absent_ttl_seconds: Seconds | None = Field(
        None, description="Lifetime of the entry that there is no value; absent: as the others."
    )
    layers: dict[LayerName, Layer] = Field(default={}, description="Its layers.")


class Compression(Model):
    """How larger values are made smaller."""

    algorithm: Literal["lz4", "zstd"] = Field("lz4", description="Compression of new values.")
    above: Bytes = Field(Bytes.parse(1024), description="Only values larger than this.")


class Encryption(Model):
    """Keys of the encrypted caches. To change keys, move the present one to `previous_keys`."""

    key_id: KeyId = Field("1", description="Name of the key new values are encrypted with.")
    key: Secret = Field(NOT_GIVEN, description="That key: 32 bytes in URL-safe base64.")
    previous_keys: dict[KeyId, Secret] = Field(
        default={}, description="Keys that older values can still be read with."
    )

    @model_validator(mode="after")
    def _previous_keys_are_others(self) -> Self:
        if self.key_id in self.previous_keys:
            raise ValueError(f"expected a key_id ({self.key_id}) that no previous key has")
        return self


class Client(Model):
    """How the library talks to Redis and to the sources of values."""

    operation_timeout_ms: Milliseconds = Field(
        250, description="Time Redis may take to answer before the cache does without it."
    )
    lease_seconds: Seconds = Field(
        5, description="Time after which others load a value whose loading process fell silent."
    )
    retry_pause_seconds: SecondsOrZero = Field(
        5, description="Pause after a failed load while an old value stands in."
    )
    stream_length: Count = Field(
        100_000, description="Invalidations kept for processes that were away."
    )


class WriteBehind(Model):
    """Writes that are acknowledged before the database has them."""

    directory: Line = Field(
        "journals", description="Folder of the journals, in a service's own state folder."
    )
    pending_max: Count = Field(
        10_000, description="Writes that may wait; beyond, a write waits for the database."
    )
    batch: Count = Field(500, description="Writes applied in one transaction at most.")
    attempts: Count = Field(5, description="Tries after which a refused write is set aside.")
    retry_pause_ms: Milliseconds = Field(500, description="Pause before the next try.")
    adopt_seconds: Seconds = Field(
        60, description="Time between looks for the journals of processes that are gone."
    )


class RateLimits(Model):
    """Sliding-window limits towards external providers."""

    key_pattern: KeyPattern = Field("ratelimit:{provider}:{endpoint}", description="Their keys.")
    window_seconds: Seconds = Field(3600, description="Length of the window.")
    providers: dict[Line, dict[Line, Count]] = Field(
        default={}, description="Calls allowed in a window, by provider and endpoint."
    )


class InvalidationSchedule(Model):
    """Keys that are dropped at set times."""

    cron: Cron = Field(description="When, as five cron fields.")
    timezone: TimeZone = Field("Etc/UTC", description="Time zone of these.")
    patterns: list[KeyPattern] = Field(min_length=1, description="Keys to drop.")


class AdminApi(Model):
    """The endpoint for invalidation by hand."""

    path: Annotated[str, Field(pattern=r"^/[a-z0-9/_-]+$")] = Field(
        "/admin/cache/invalidate", description="Its path."
    )
    port: Port = Field(8005, description="Port of stellwerk-cache.")
    token: Secret = Field(NOT_GIVEN, description="What a caller must know.")
    token_for_all: Secret = Field(
        NOT_GIVEN, description="What a caller must know to invalidate every layer at once."
    )


class Invalidation(Model):
    """When entries stop being valid before their time."""

    events: dict[Identifier, list[KeyPattern]] = Field(
        default={}, description="Keys to drop, by the event that makes them wrong."
    )
    schedules: dict[Identifier, InvalidationSchedule] = Field(
        default={}, description="Keys to drop, by time."
    )
    outbox: bool = Field(
        False, description="Whether the daemon publishes events of the table cache_events."
    )
    admin: AdminApi = Field(default_factory=AdminApi, description="By hand.")


class NamedEntries(Model):
    """Entries that the database names."""

    statement: Statement = Field(description="SQL; its columns are the fields of the keys.")
    layers: list[Line] = Field(
        min_length=1, description='Layers in which these are loaded, as "portfolio.summary".'
    )


class StartWarming(Model):
    """What is loaded when the platform starts."""

    recent_days: Days = Field(7, description="Portfolios read in the last days.")
    recent: NamedEntries | None = Field(
        None, description="How these are found; in the statement %(days)s is `recent_days`."
    )
    symbols: list[Line] = Field(default=[], description="Symbols whose market data is loaded.")
    symbol_layers: list[Line] = Field(
        default=[], description="Layers in which, with keys of no other field than `symbol`."
    )


class PeriodicWarming(Model):
    """What is kept warm."""

    interval_seconds: Seconds = Field(900, description="Time between two rounds.")
    portfolios: list[Literal["favourite", "high_value"]] = Field(
        default=["favourite", "high_value"], description="Portfolios loaded each round."
    )
    entries: dict[Identifier, NamedEntries] = Field(
        default={}, description="How each of these is found."
    )


class WarmingSchedule(Model):
    """Keys that are loaded at a set time."""

    days: list[Weekday] = Field(min_length=1, description="On these days,")
    at: TimeOfDay = Field(description="at this time,")
    timezone: TimeZone = Field("Etc/UTC", description="in this time zone.")
    patterns: list[KeyPattern] = Field(min_length=1, description="Keys to load.")


class PredictiveWarming(Model):
    """What is loaded before it is asked for."""

    confidence: Confidence = Field(0.7, description="Measured coverage needed to act.")
    schedules: dict[Identifier, WarmingSchedule] = Field(default={}, description="By time.")
    before_log_in: bool = Field(
        True, description="Whether a user's keys are loaded before the predicted log-in."
    )
    log_ins: NamedEntries | None = Field(
        None,
        description="The log-ins of the last 8 weeks, in columns `user_id` and `at`, and the layers"
        " whose keys have no other field than the user.",
    )
    log_in_minutes: Count = Field(15, description="Time ahead that is looked.")
    timezone: TimeZone = Field("Europe/Berlin", description="Time zone of users' habits.")


class Warming(Model):
    """Loading entries before they are asked for."""

    loaders: dict[Line, Statement] = Field(
        default={},
        description="SQL that answers the value of an entry, by the name of its layer; %(id)s and"
        " the like are the fields of its key. A layer without one is not warmed.",
    )

    workers: Count = Field(4, description="Loads at a time.")
    timeout_seconds: Seconds = Field(300, description="Time the loading at start may take.")
    at_start: StartWarming = Field(default_factory=StartWarming, description="At start.")
    periodic: PeriodicWarming = Field(default_factory=PeriodicWarming, description="Regularly.")
    predictive: PredictiveWarming = Field(
        default_factory=PredictiveWarming, description="Ahead of the need."
    )


class CacheMetrics(Model):
    """Upper bounds of the histograms' buckets."""

    response_time_buckets_ms: list[Positive] = Field(
        default=[0.1, 0.5, 1, 2, 5], min_length=1, description="Of response times."
    )
    memory_use_buckets_percent: list[Percent] = Field(
        default=[10, 25, 50, 75, 90, 95], min_length=1, description="Of layers' memory use."
    )

    @model_validator(mode="after")
    def _buckets_rise(self) -> Self:
        for buckets in (self.response_time_buckets_ms, self.memory_use_buckets_percent):
            if buckets != sorted(set(buckets)):
                raise ValueError("expected buckets in rising order")
        return self


class AlertRule(Model):
    """A limit that must hold; an alert once it was broken for some time."""

    limit: Number = Field(description="The limit.")
    bound: Literal["upper", "lower"] = Field("upper", description="Which side of it is bad.")
    for_seconds: SecondsOrZero = Field(300, description="Time it must be broken.")
    severity: Severity = Field("warning", description="How bad that is.")


class CacheAlerts(Model):
    """Alerts of the cache (spec 3.5)."""

    miss_rate_percent: AlertRule = Field(AlertRule(limit=50), description="Misses in all reads.")
    memory_use_percent: AlertRule = Field(
        AlertRule(limit=90, for_seconds=60, severity="critical"), description="Memory in use."
    )
    operation_ms: AlertRule = Field(AlertRule(limit=5), description="Mean time of an operation.")
    layer_hit_rate_percent: AlertRule = Field(
        AlertRule(limit=70, bound="lower"), description="Hits in the reads of a layer."
    )


class Caching(Model):
    """The cache."""

    caches: dict[Identifier, Cache] = Field(default={}, description="Caches by name.")
    compression: Compression = Field(default_factory=Compression, description="Compression.")
    encryption: Encryption = Field(default_factory=Encryption, description="Encryption.")
    client: Client = Field(default_factory=Client, description="Timeouts and single flight.")
    write_behind: WriteBehind = Field(default_factory=WriteBehind, description="Write-behind.")
    rate_limits: RateLimits = Field(default_factory=RateLimits, description="Rate limits.")
    invalidation: Invalidation = Field(default_factory=Invalidation, description="Invalidation.")
    warming: Warming = Field(default_factory=Warming, description="Warming.")
    metrics: CacheMetrics = Field(default_factory=CacheMetrics, description="Histograms.")
    alerts: CacheAlerts = Field(default_factory=CacheAlerts, description="Alerts.")
