"""Where a server listens."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Endpoint:
    """Its host and port; as text an address of IPv6 has brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
