"""The ledger as one JSON document: the query that asks for it, and its answer as types.

The store reads it, and the deploy through psql; neither opens a connection here.
"""

# ruff: noqa: S608 - the queries are put together from constants and a quoted literal

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from stellwerk.database.quoting import quote_literal
from stellwerk.instances.model import (
    AgentSign,
    Instance,
    InstanceKey,
    Purpose,
    Role,
    Rollout,
    RolloutState,
    Seen,
    Service,
    Sighting,
    Snapshot,
    State,
)


class DocumentError(ValueError):
    """An answer that is not that of a snapshot's query; the message holds nothing of the answer."""


def snapshot_query(service: str | None = None) -> str:
    """The query whose single text value `parse_snapshot` reads; of all services, or of one.

    For the ledger's version of this release. Of roll-outs it tells the current ones only.
    """
    of = {column: _only(column, service) for column in ("name", "service")}
    parts = {
        "services": f"SELECT name, generation, stable, rollout FROM stellwerk.services{of['name']}",
        "desired": f"SELECT service, host, instances FROM stellwerk.desired{of['service']}",
        "rollouts": f"SELECT {_ROLLOUT} FROM stellwerk.rollouts WHERE id IN"
        f" (SELECT rollout FROM stellwerk.services{of['name']})",
        "instances": f"SELECT {_INSTANCE} FROM stellwerk.instances{of['service']}"
        " ORDER BY service, port",
        "sightings": f"SELECT {_SIGHTING} FROM stellwerk.sightings{of['service']}"
        " ORDER BY service, port, balancer",
        "agents": "SELECT host, role, seen_at, release, status FROM stellwerk.agents"
        " ORDER BY host, role",
        "judged": f"SELECT service, minimum, maximum FROM stellwerk.scaling_states{of['service']}",
    }
    lists = (
        f"'{name}', (SELECT coalesce(json_agg(one), '[]') FROM ({query}) AS one)"
        for name, query in parts.items()
    )
    # A transaction that waited for its lock began long before what it sees.
    return (
        f"SELECT json_build_object('at', clock_timestamp(), {', '.join(lists)})::text AS snapshot"
    )


def parse_snapshot(document: str | Mapping[str, Any]) -> Snapshot:
    """Read the answer, as text or as parsed JSON; all times become UTC. Raises DocumentError."""
    try:
        return _snapshot(json.loads(document) if isinstance(document, str) else document)
    except (KeyError, TypeError, ValueError) as error:
        raise DocumentError(
            f"the ledger's answer cannot be read ({type(error).__name__}): it is that of another"
            " release"
        ) from None


def _only(column: str, service: str | None) -> str:
    return "" if service is None else f" WHERE {column} = {quote_literal(service)}"


_INSTANCE: Final = (
    "service, port, host, address, generation, rollout, state, purpose, held, since, restarts,"
    " reason"
)
_SIGHTING: Final = "service, port, balancer, seen, active, requests, errors"
_ROLLOUT: Final = (
    "id, service, generation, previous, state, restart, max_unavailable, canary_seconds,"
    " canary_error_percent, canary, canary_since, canary_passed, started_by, started_at,"
    " progressed_at, finished_at, reason, failed_instance, journal"
)

SNAPSHOT_QUERY: Final = snapshot_query()
"""The whole ledger as one JSON document, by `psql -XAt` or a connection."""


def _snapshot(answer: Mapping[str, Any]) -> Snapshot:
    instances = map(_instance, answer["instances"])
    rollouts = map(_rollout, answer["rollouts"])
    return Snapshot(
        at=_time(answer["at"]),
        services={one["name"]: Service(**one) for one in answer["services"]},
        desired={(one["service"], one["host"]): one["instances"] for one in answer["desired"]},
        rollouts={one.id: one for one in rollouts},
        instances={one.key: one for one in instances},
        sightings=tuple(map(_sighting, answer["sightings"])),
        agents=tuple(map(_agent, answer["agents"])),
        judged={one["service"]: (one["minimum"], one["maximum"]) for one in answer["judged"]},
    )


def _instance(row: dict[str, Any]) -> Instance:
    purpose = row["purpose"]
    return Instance(
        **_keyed(row)
        | {
            "state": State(row["state"]),
            "since": _time(row["since"]),
            "purpose": None if purpose is None else Purpose(purpose),
        }
    )


def _sighting(row: dict[str, Any]) -> Sighting:
    return Sighting(**_keyed(row) | {"seen": Seen(row["seen"])})


def _rollout(row: dict[str, Any]) -> Rollout:
    times = ("started_at", "progressed_at", "canary_since", "finished_at")
    return Rollout(
        **row
        | {"state": RolloutState(row["state"])}
        | {name: _time(row[name]) for name in times if row[name] is not None}
    )


def _agent(row: dict[str, Any]) -> AgentSign:
    return AgentSign(**row | {"role": Role(row["role"]), "seen_at": _time(row["seen_at"])})


def _keyed(row: dict[str, Any]) -> dict[str, Any]:
    others = {name: value for name, value in row.items() if name not in ("service", "port")}
    return {"key": InstanceKey(row["service"], row["port"]), **others}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
