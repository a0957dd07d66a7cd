"""Settings of the agents, which run instances and lead balancers to what the ledger says."""

from typing import Self

from pydantic import Field, model_validator

from stellwerk.settings.model import Model
from stellwerk.settings.types import Seconds


class Agent(Model):
    """The agent of an app or balancer host."""

    heartbeat_seconds: Seconds = Field(10, description="Time between two signs of life.")
    lost_after_seconds: Seconds = Field(
        30, description="Silence after which an agent counts as lost."
    )
    nginx_reload_interval_seconds: Seconds = Field(
        2, description="Time between two reloads of nginx at least."
    )

    @model_validator(mode="after")
    def _one_late_sign_of_life_loses_nobody(self) -> Self:
        if self.lost_after_seconds < 2 * self.heartbeat_seconds:
            raise ValueError(
                f"expected lost_after_seconds ({self.lost_after_seconds}) at least twice"
                f" heartbeat_seconds ({self.heartbeat_seconds})"
            )
        return self
