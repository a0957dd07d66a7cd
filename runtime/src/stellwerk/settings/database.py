"""Settings of what is in the product's database: event store and views (spec 4.2).

The server is in `postgresql`.
"""

from typing import Self

from pydantic import Field, model_validator

from stellwerk.settings.model import Model
from stellwerk.settings.types import Count, CountOrZero, Identifier, Seconds


class DatabaseClient(Model):
    """How our own clients connect."""

    pool_min: CountOrZero = Field(5, description="Connections kept open, over all processes.")
    pool_max: Count = Field(50, description="Connections at most.")

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> Self:
        if self.pool_min > self.pool_max:
            raise ValueError(
                f"expected pool_min ({self.pool_min}) at most pool_max ({self.pool_max})"
            )
        return self


class MaterializedView(Model):
    """A view whose rows are stored and refreshed without blocking readers."""

    refresh_interval_seconds: Seconds = Field(description="Time between two refreshes.")
    refresh_timeout_seconds: Seconds = Field(30, description="Time one refresh may take.")


class Database(Model):
    """The product's database."""

    event_store_schema: Identifier = Field("public", description="Schema of the event store.")
    views: dict[Identifier, MaterializedView] = Field(
        default={}, description="Materialized views to keep fresh."
    )
    client: DatabaseClient = Field(default_factory=DatabaseClient, description="Our clients.")
