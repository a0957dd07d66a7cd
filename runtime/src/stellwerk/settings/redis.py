"""Settings of the Redis servers and of the clients that talk to them (spec 3.1)."""

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from stellwerk.settings.model import Model, Threshold
from stellwerk.settings.types import (
    NOT_GIVEN,
    Bytes,
    Count,
    CountOrZero,
    Line,
    Percent,
    Port,
    Seconds,
    SecondsOrZero,
    Secret,
)

OWN_DIRECTIVES: Final = frozenset(
    {
        "aclfile",
        "bind",
        "daemonize",
        "dbfilename",
        "dir",
        "include",
        "logfile",
        "masterauth",
        "masteruser",
        "pidfile",
        "port",
        "replica-announce-ip",
        "replica-announce-port",
        "replicaof",
        "requirepass",
        "slaveof",
        "supervised",
        "user",
    }
)
"""Directives by which servers, Sentinels and the deploy find and enter each other; so is tls-*."""


def _further(name: str) -> str:
    if name.lower() in OWN_DIRECTIVES or name.lower().startswith("tls-"):
        raise ValueError("expected another one, as Stellwerk sets this one itself")
    return name


class SavePoint(Model):
    """A snapshot is written after this many seconds with at least this many changes."""

    seconds: Seconds = Field(description="Time since the last snapshot.")
    changes: Count = Field(description="Changes since then.")


class RedisPasswords(Model):
    """One password per Redis user."""

    admin: Secret = Field(NOT_GIVEN, description="Of the operator and of the deploy.")
    app: Secret = Field(NOT_GIVEN, description="Of the services and their cache.")
    monitor: Secret = Field(NOT_GIVEN, description="Of the collector, which may only read INFO.")
    replication: Secret = Field(NOT_GIVEN, description="Of a replica towards its master.")
    sentinel: Secret = Field(NOT_GIVEN, description="Of the Sentinels towards the servers.")


class KeepAlive(Model):
    """TCP keepalive of a client connection."""

    idle_seconds: Seconds = Field(600, description="Silence before the first probe.")
    interval_seconds: Seconds = Field(30, description="Time between probes.")
    count: Count = Field(3, description="Unanswered probes after which the connection is dead.")


class RedisClient(Model):
    """How our own clients connect."""

    pool_min: CountOrZero = Field(5, description="Connections kept open.")
    pool_max: Count = Field(50, description="Connections at most, per process.")
    connect_timeout_seconds: Seconds = Field(5, description="Time a connect may take.")
    keepalive: KeepAlive = Field(default_factory=KeepAlive, description="TCP keepalive.")

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> Self:
        if self.pool_min > self.pool_max:
            raise ValueError(
                f"expected pool_min ({self.pool_min}) at most pool_max ({self.pool_max})"
            )
        return self


class Redis(Model):
    """A Redis server. Further directives of redis.conf go into `parameters`."""

    port: Port = Field(6379, description="Port of the server of a host.")
    replica_port: Port = Field(
        6380, description="Port of the replica that a single cache host runs beside its master."
    )
    maxmemory: Bytes = Field(Bytes.parse("1GB"), description="Memory for data.")
    maxmemory_policy: Literal[
        "noeviction",
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
    ] = Field("allkeys-lru", description="What is evicted when the memory is used up.")
    maxmemory_samples: Count = Field(5, description="Keys looked at for an eviction.")
    save: list[SavePoint] = Field(
        default=[
            SavePoint(seconds=900, changes=1),
            SavePoint(seconds=300, changes=10),
            SavePoint(seconds=60, changes=10000),
        ],
        description="When a snapshot (RDB) is written; empty: never.",
    )
    appendonly: bool = Field(False, description="Whether every write goes to a log (AOF).")
    timeout_seconds: SecondsOrZero = Field(
        300, description="Idle clients are disconnected after this time; 0: never."
    )
    tcp_keepalive_seconds: SecondsOrZero = Field(300, description="Time between TCP probes.")
    tcp_backlog: Count = Field(511, description="Connections that may wait to be accepted.")
    protected_mode: bool = Field(True, description="Refuse remote clients while no user is set.")
    loglevel: Literal["debug", "verbose", "notice", "warning"] = Field(
        "notice", description="What is logged."
    )
    min_replicas_to_write: CountOrZero = Field(
        1, description="Replicas a master needs to take writes, where there are two hosts or more."
    )
    min_replicas_max_lag_seconds: Seconds = Field(
        10, description="A replica further behind does not count."
    )
    memory_use_percent: Threshold = Field(
        Threshold(baseline=65, warning=80, critical=95),
        description="Share of maxmemory in use: baseline, warning and critical.",
    )
    eviction_watch_percent: Percent = Field(
        85, description="Share of maxmemory from which on evictions are reported."
    )
    parameters: dict[Annotated[Line, AfterValidator(_further)], Line] = Field(
        default={},
        description="Further directives of redis.conf, by name; one that is taken out again gets"
        " Redis' own value.",
    )
    passwords: RedisPasswords = Field(default_factory=RedisPasswords, description="Its users'.")
    client: RedisClient = Field(default_factory=RedisClient, description="Our clients.")
