"""Settings of one of the user's services: what runs, how many, where, within which limits.

When the number changes is in `scaling`.
"""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from stellwerk.settings.model import Model
from stellwerk.settings.program import Program, is_inside, stays_inside
from stellwerk.settings.types import (
    Bytes,
    Count,
    Identifier,
    Line,
    Percent,
    Port,
    Seconds,
    SecondsOrZero,
    Secret,
    Whole,
)

EnvironmentName = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")]
CredentialName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
LAST_PORT: Final = 65535


class HealthCheck(Model):
    """How a new instance shows that it can serve (spec 2.1)."""

    first_after_seconds: SecondsOrZero = Field(
        30, description="Time from its start on in which a failed try does not count yet."
    )
    timeout_seconds: Seconds = Field(10, description="Time one try may take.")
    tries: Count = Field(3, description="Tries before the instance counts as failed.")


class Rollout(Model):
    """How a new generation reaches the instances of a service (C6)."""

    max_unavailable: Count = Field(1, description="Instances out of rotation for it at a time.")
    canary_seconds: SecondsOrZero = Field(
        15, description="Time the first instance is watched in rotation before others follow."
    )
    canary_error_percent: Percent = Field(
        5, description="Share of its requests that may fail in this time."
    )
    progress_timeout_seconds: Seconds = Field(
        600, description="Time without any progress after which a deploy waits no longer."
    )


class Service(Model):
    """A service: a systemd template unit whose instances are named by their port."""

    program: Program | None = Field(
        None, description="What the command's release is made of; absent: it is on the hosts."
    )
    command: list[Line] | None = Field(
        None,
        min_length=1,
        description="Program and arguments; with `program`, a relative one is inside the release."
        " Absent: the bundled sample service.",
    )
    environment: dict[EnvironmentName, Line] = Field(
        default={}, description="Environment of the program; no place for secrets."
    )
    credentials: dict[CredentialName, Secret] = Field(
        default={},
        description="Secrets of the program, given in secrets.yaml and handed over as files"
        " in $CREDENTIALS_DIRECTORY.",
    )
    health_path: Annotated[str, Field(pattern=r"^/\S*$")] = Field(
        "/health", description="Path that answers 200 while the instance can serve."
    )
    health_check: HealthCheck = Field(
        default_factory=HealthCheck, description="Health check of a new instance."
    )
    rollout: Rollout = Field(
        default_factory=Rollout, description="How a change reaches the instances."
    )
    port_base: Annotated[Whole, Field(ge=1, le=65534)] = Field(
        description="Instance n listens on this port + n, from 1 on."
    )
    min_instances: Count = Field(1, description="Instances at least.")
    max_instances: Count = Field(description="Instances at most.")
    memory: Bytes = Field(description="Memory limit of one instance.")
    cpu_percent: Count = Field(100, description="CPU limit of one instance; 100 is one core.")
    balancer: Literal["haproxy", "nginx"] | None = Field(
        None, description="What spreads requests over the instances; absent: nothing."
    )
    listen_port: Port | None = Field(
        None, description="Port HAProxy offers the service on inside the cluster."
    )
    backend_name: Identifier | None = Field(
        None, description="Name of HAProxy's backend or nginx's upstream."
    )
    start_timeout_seconds: Seconds = Field(60, description="Time to say READY=1.")
    drain_timeout_seconds: SecondsOrZero = Field(
        60, description="Time a departing instance has to finish its requests."
    )
    stop_timeout_seconds: Seconds = Field(30, description="Time from SIGTERM to SIGKILL.")

    def ports(self, instances: int | None = None) -> range:
        """Return the ports of so many instances, by default of `max_instances`."""
        count = self.max_instances if instances is None else instances
        return range(self.port_base + 1, min(self.port_base + count, LAST_PORT) + 1)

    @model_validator(mode="after")
    def _number_of_instances_is_possible(self) -> Self:
        if self.min_instances > self.max_instances:
            raise ValueError(
                f"expected min_instances ({self.min_instances}) at most"
                f" max_instances ({self.max_instances})"
            )
        if self.port_base + self.max_instances > LAST_PORT:
            raise ValueError(
                f"expected port_base + max_instances ({self.port_base} + {self.max_instances})"
                f" at most {LAST_PORT}"
            )
        return self

    @model_validator(mode="after")
    def _command_is_in_the_release(self) -> Self:
        if self.program is None:
            return self
        if self.command is None:
            raise ValueError('expected a command, such as ["bin/shop"], as there is a program')
        if is_inside(self.command[0]) and not stays_inside(self.command[0]):
            raise ValueError("expected a command inside the release, or an absolute path")
        return self

    @model_validator(mode="after")
    def _balancer_has_what_it_needs(self) -> Self:
        if self.balancer is not None and self.backend_name is None:
            raise ValueError(f"expected a backend_name, as balancer is {self.balancer}")
        if (self.balancer == "haproxy") != (self.listen_port is not None):
            raise ValueError("expected a listen_port exactly where balancer is haproxy")
        return self
