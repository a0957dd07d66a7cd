"""Settings of Stellwerk's own daemons as programs: where they are installed and their limits."""

from typing import Annotated

from pydantic import Field

from stellwerk.settings.model import Model
from stellwerk.settings.types import Bytes, Count

AbsolutePath = Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._-]+)+$")]
UserName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,30}$")]


class DaemonLimits(Model):
    """What one daemon may use of its host."""

    memory: Bytes = Field(Bytes.parse("256MB"), description="Memory limit.")
    cpu_percent: Count = Field(100, description="CPU limit; 100 is one core.")
    tasks: Count = Field(64, description="Threads and processes at most.")


class Daemons(Model):
    """Limits per daemon."""

    monitor: DaemonLimits = Field(
        DaemonLimits(memory=Bytes.parse("512MB")), description="Of stellwerk-monitor."
    )
    agent: DaemonLimits = Field(default_factory=DaemonLimits, description="Of stellwerk-agent.")
    scaler: DaemonLimits = Field(default_factory=DaemonLimits, description="Of stellwerk-scaler.")
    cache: DaemonLimits = Field(default_factory=DaemonLimits, description="Of stellwerk-cache.")


class Runtime(Model):
    """The installed runtime."""

    prefix: AbsolutePath = Field("/opt/stellwerk", description="Where releases are installed.")
    user: UserName = Field("stellwerk", description="User that owns what the daemons share.")
    releases_kept: Count = Field(3, description="Releases kept for a way back.")
    daemons: Daemons = Field(default_factory=Daemons, description="Limits per daemon.")
