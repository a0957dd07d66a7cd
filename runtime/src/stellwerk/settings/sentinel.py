"""Settings of the Sentinels that watch the Redis servers (spec 3.1)."""

from pydantic import Field

from stellwerk.settings.model import Model
from stellwerk.settings.types import NOT_GIVEN, Count, MasterName, Milliseconds, Port, Secret


class Sentinel(Model):
    """A Sentinel, and what the Sentinels agree on."""

    port: Port = Field(26379, description="Port of the Sentinel of a host.")
    master_name: MasterName = Field("stellwerk", description="Name clients ask the master by.")
    quorum: Count | None = Field(
        None,
        description="Sentinels that must see the master down; absent: the majority of them.",
    )
    down_after_milliseconds: Milliseconds = Field(
        5000, description="Silence after which a Sentinel sees a server as down."
    )
    failover_timeout_milliseconds: Milliseconds = Field(
        10000, description="Time a failover may take before another is tried."
    )
    parallel_syncs: Count = Field(1, description="Replicas that turn to a new master at a time.")
    password: Secret = Field(NOT_GIVEN, description="What clients of a Sentinel must know.")

    def quorum_of(self, sentinels: int) -> int:
        """Return the quorum for so many Sentinels: the one given, or their majority."""
        return self.quorum if self.quorum is not None else sentinels // 2 + 1
