"""Settings of HAProxy, which offers the services inside the cluster."""

from typing import Literal

from pydantic import Field

from stellwerk.settings.model import Model
from stellwerk.settings.types import Count, CountOrZero, Line, Port, Seconds, SecondsOrZero


class HaproxyTimeouts(Model):
    """How long HAProxy waits, in seconds."""

    connect_seconds: Seconds = Field(5, description="For a connection to an instance.")
    client_seconds: Seconds = Field(30, description="For a silent client.")
    server_seconds: Seconds = Field(30, description="For an instance's answer.")
    queue_seconds: Seconds = Field(10, description="For a free instance.")
    check_seconds: Seconds = Field(3, description="For the answer to a health check.")
    http_keep_alive_seconds: Seconds = Field(15, description="For the next request.")
    http_request_seconds: Seconds = Field(10, description="For a complete request head.")


class Haproxy(Model):
    """HAProxy of a balancer. Its listen ports are the services'."""

    stats_port: Port | None = Field(
        None, description="Port of the statistics page, on loopback; absent: none."
    )
    maxconn: Count = Field(4096, description="Connections at most.")
    timeouts: HaproxyTimeouts = Field(
        default_factory=HaproxyTimeouts, description="How long it waits."
    )
    # Only the dynamic algorithms: a static one cannot change a running instance's weight.
    balance: Literal["leastconn", "roundrobin"] = Field(
        "leastconn", description="Which instance gets the next request."
    )
    health_check_interval_seconds: Seconds = Field(5, description="Time between health checks.")
    fast_health_check_interval_seconds: Seconds = Field(
        1, description="Time between health checks of an instance that comes, goes or is down."
    )
    rise: Count = Field(2, description="Good checks after which an instance gets requests.")
    fall: Count = Field(3, description="Failed checks after which it gets none.")
    slow_start_seconds: SecondsOrZero = Field(
        10, description="Time over which an instance that came up is given its full share."
    )
    retries: CountOrZero = Field(
        5, description="Further attempts to connect, each to another instance: as many may be gone."
    )
    global_extra: list[Line] = Field(default=[], description="Lines to add to `global`.")
    defaults_extra: list[Line] = Field(default=[], description="Lines to add to `defaults`.")
