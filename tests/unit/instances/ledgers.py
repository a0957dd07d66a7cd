"""Snapshots and configurations for tests of what balancers do."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from stellwerk.instances.configuration import (
    AgentConfiguration,
    Balancer,
    LedgerAddress,
    ServiceFigures,
)
from stellwerk.instances.model import Instance, InstanceKey, Snapshot, State

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def figures(name: str, ports: range, **changed: Any) -> ServiceFigures:
    """A service; balanced by HAProxy unless told."""
    values: dict[str, Any] = {
        "name": name,
        "first_port": ports[0],
        "last_port": ports[-1],
        "health_path": "/health",
        "health_grace": 30,
        "health_timeout": 10,
        "health_tries": 3,
        "start_timeout": 60,
        "drain_timeout": 60,
        "stop_timeout": 30,
        "balancer": "haproxy",
        "backend": f"{name}_backend",
        "listen_port": 9100,
        **changed,
    }
    return ServiceFigures(**values)


def configuration(*services: ServiceFigures, **changed: Any) -> AgentConfiguration:
    """The configuration of a balancer host named lb-1."""
    values: dict[str, Any] = {
        "host": "lb-1",
        "address": "127.0.0.1",
        "roles": ("balancers",),
        "ledger": LedgerAddress("127.0.0.1", 5432, "stellwerk", "stellwerk_agent"),
        "services": {one.name: one for one in services},
        "balancers": (Balancer("lb-1", "127.0.0.1", 80),),
        "release": "test",
        "heartbeat": 10,
        "lost_after": 30,
        "nginx_reload_interval": 2,
        "sample_retention": 3600,
        **changed,
    }
    return AgentConfiguration(**values)


def instance(
    service: str, port: int, state: State = State.READY, address: str = "127.0.0.1", **more: Any
) -> Instance:
    """A row of the ledger."""
    return Instance(
        key=InstanceKey(service, port),
        host="app-1",
        address=address,
        generation="0" * 16,
        rollout=1,
        state=state,
        since=NOW,
        **more,
    )


def ledger(*instances: Instance, **more: Any) -> Snapshot:
    """A ledger with these rows."""
    return Snapshot(at=NOW, instances={one.key: one for one in instances}, **more)


def ready(service: str, ports: Mapping[int, State] | range) -> Snapshot:
    """A ledger whose instances of one service are ready, or in the given states."""
    states = dict.fromkeys(ports, State.READY) if isinstance(ports, range) else ports
    return ledger(*(instance(service, port, state) for port, state in states.items()))
