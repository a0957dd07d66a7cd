"""What an agent has to know of its host and cluster, in a file of its own, agent.json.

The deploy derives it from the validated settings. The agent reads it without pydantic, which would
take a third of its memory, and is restarted only when something in it has changed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

PATH: Final = Path("/etc/stellwerk/agent.json")
STATE: Final = Path("/var/lib/stellwerk-agent")
"""The agent's StateDirectory: what it keeps, and what it has for HAProxy and for root's tools."""


class ConfigurationError(Exception):
    """The file is missing or not what the deploy writes; the message says which, what to do."""


@dataclass(frozen=True)
class ServiceFigures:
    """A service as agents need it; times in seconds. `ports` is the range its instances may use."""

    name: str
    first_port: int
    last_port: int
    health_path: str
    health_grace: float  # failed tries do not count before
    health_timeout: float
    health_tries: int
    start_timeout: float
    drain_timeout: float
    stop_timeout: float
    balancer: Literal["haproxy", "nginx"] | None
    backend: str | None
    listen_port: int | None  # HAProxy's own port of the service

    @property
    def ports(self) -> range:
        return range(self.first_port, self.last_port + 1)


@dataclass(frozen=True)
class Balancer:
    """A balancer host: where an app host's agent looks whether it serves at all."""

    name: str
    address: str
    nginx_port: int


@dataclass(frozen=True)
class LedgerAddress:
    """Where the ledger is; the password is a systemd credential."""

    host: str
    port: int
    database: str
    user: str
    tls_authority: str | None = None


@dataclass(frozen=True)
class AgentConfiguration:
    """All of an agent's configuration; times in seconds."""

    host: str
    address: str
    roles: tuple[str, ...]  # of "apps" and "balancers", as the inventory's groups
    ledger: LedgerAddress
    services: Mapping[str, ServiceFigures]
    balancers: tuple[Balancer, ...]
    release: str
    heartbeat: float
    lost_after: float
    nginx_reload_interval: float
    sample_retention: float

    def document(self) -> str:
        """The text of the file."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


def read(path: Path = PATH) -> AgentConfiguration:
    """Return what the file says. Raises ConfigurationError."""
    try:
        return _parse(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError):
        raise ConfigurationError(
            f"{path}: is not what a deploy of this release writes; run the deploy again"
        ) from None


def _parse(document: dict[str, Any]) -> AgentConfiguration:
    services = {name: ServiceFigures(**about) for name, about in document["services"].items()}
    return AgentConfiguration(
        **{
            **document,
            "roles": tuple(document["roles"]),
            "ledger": LedgerAddress(**document["ledger"]),
            "services": services,
            "balancers": tuple(Balancer(**one) for one in document["balancers"]),
        }
    )
