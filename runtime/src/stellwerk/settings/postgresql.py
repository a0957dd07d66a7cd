"""Settings of the PostgreSQL server (spec 4.1). Event store and views are in `database`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from stellwerk.settings.model import Model
from stellwerk.settings.types import (
    NOT_GIVEN,
    Bytes,
    Count,
    CountOrZero,
    Identifier,
    Line,
    NotNegative,
    Percent,
    Port,
    Seconds,
    Secret,
)


class PostgresqlPasswords(Model):
    """One password per role."""

    owner: Secret = Field(NOT_GIVEN, description="Of the role that owns the database.")
    app: Secret = Field(NOT_GIVEN, description="Of the services.")
    monitor: Secret = Field(NOT_GIVEN, description="Of the collector.")
    ledger: Secret = Field(NOT_GIVEN, description="Of the scaler and operators.")
    agent: Secret = Field(NOT_GIVEN, description="Of the agents.")


class Roles(Model):
    """Names of the roles Stellwerk creates. Roles that are not named here are never touched."""

    owner: Identifier = Field("stellwerk_owner", description="Owns the database and its schema.")
    app: Identifier = Field("stellwerk_app", description="Reads and writes for the services.")
    monitor: Identifier = Field("stellwerk_monitor", description="Reads statistics (pg_monitor).")
    ledger: Identifier = Field(
        "stellwerk_ledger", description="Declares in the ledger what is to run."
    )
    agent: Identifier = Field("stellwerk_agent", description="Keeps in the ledger what does run.")

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [self.owner, self.app, self.monitor, self.ledger, self.agent]
        if len(set(names)) != len(names):
            raise ValueError("expected a name of its own for every role")
        return self


class Autovacuum(Model):
    """When tables are vacuumed without being asked to."""

    enabled: bool = Field(True, description="Whether they are.")
    max_workers: Count = Field(3, description="Tables at a time.")
    naptime_seconds: Seconds = Field(60, description="Time between two looks at a database.")
    threshold: CountOrZero = Field(50, description="Changed rows before a table is considered.")
    scale_factor: NotNegative = Field(0.2, description="Share of changed rows added to that.")


class Postgresql(Model):
    """The server. Sizes are upper bounds: they are lowered where the worst case would not fit the
    host's memory. A value in `parameters` is taken as it is.
    """

    port: Port = Field(5432, description="Port of the server.")
    database: Identifier = Field("stellwerk", description="Database of the product.")
    roles: Roles = Field(default_factory=Roles, description="Names of the roles.")
    passwords: PostgresqlPasswords = Field(
        default_factory=PostgresqlPasswords, description="Their passwords."
    )
    remove_roles: list[Identifier] = Field(
        default=[],
        description="Roles to remove, where they exist; what they own goes to the owner. Roles are"
        " removed on request only, databases never.",
    )
    hba_extra: list[Line] = Field(default=[], description="Lines to add to pg_hba.conf.")
    allow_restart: bool | None = Field(
        None,
        description="Whether a run may restart the server for settings that need it;"
        " absent: only on a first install.",
    )
    workload: Literal["web", "oltp", "dw", "mixed"] = Field(
        "mixed", description="What the server mostly does."
    )
    disk: Literal["ssd", "hdd", "nvme", "san"] = Field("ssd", description="What it stores on.")
    ram: Bytes | None = Field(None, description="Memory to tune for; absent: the host's.")
    cpus: Count | None = Field(None, description="CPUs to tune for; absent: the host's.")
    memory_limit_percent: Percent = Field(
        90, description="Share of the memory that the worst case may need."
    )
    max_connections: Count = Field(100, description="Connections at most.")
    shared_buffers_percent: Percent = Field(25, description="Share of the memory for pages.")
    effective_cache_size_percent: Percent = Field(
        75, description="Share of the memory the planner takes as cache."
    )
    work_mem: Bytes = Field(Bytes.parse("16MB"), description="Memory of one sort or hash.")
    maintenance_work_mem: Bytes = Field(
        Bytes.parse("128MB"), description="Memory of one VACUUM or CREATE INDEX."
    )
    wal_buffers: Bytes = Field(Bytes.parse("16MB"), description="Memory for unwritten log.")
    min_wal_size: Bytes = Field(Bytes.parse("512MB"), description="Log kept for reuse.")
    max_wal_size: Bytes = Field(Bytes.parse("2GB"), description="Log that forces a checkpoint.")
    checkpoint_timeout_seconds: Seconds = Field(900, description="Time between checkpoints.")
    checkpoint_completion_target: float = Field(
        0.9, ge=0, le=1, description="Share of that time a checkpoint spreads its writes over."
    )
    random_page_cost: NotNegative | None = Field(
        None, description="Cost of a random page read; absent: by `disk` (1.1 on SSD)."
    )
    seq_page_cost: NotNegative = Field(1.0, description="Cost of a sequential page read.")
    cpu_tuple_cost: NotNegative = Field(0.01, description="Cost of processing a row.")
    cpu_index_tuple_cost: NotNegative = Field(0.005, description="Cost of an index entry.")
    cpu_operator_cost: NotNegative = Field(0.0025, description="Cost of an operator.")
    autovacuum: Autovacuum = Field(default_factory=Autovacuum, description="Automatic vacuum.")
    shared_preload_libraries: list[Line] = Field(
        default=["pg_stat_statements"], description="Libraries loaded at start."
    )
    parameters: dict[Identifier, bool | int | float | Line] = Field(
        default={}, description="Parameters taken as they are, whatever tuning would say."
    )

    @model_validator(mode="after")
    def _no_needed_role_is_removed(self) -> Self:
        needed = {"postgres", *self.roles.model_dump().values()}
        if wrong := sorted(needed.intersection(self.remove_roles)):
            raise ValueError(f"expected remove_roles to name none that is needed ({wrong[0]})")
        return self

    @model_validator(mode="after")
    def _log_sizes_are_ordered(self) -> Self:
        if self.min_wal_size > self.max_wal_size:
            raise ValueError(
                f"expected min_wal_size ({self.min_wal_size.text}) at most"
                f" max_wal_size ({self.max_wal_size.text})"
            )
        return self
