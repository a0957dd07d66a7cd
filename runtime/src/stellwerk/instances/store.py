"""Reads and writes the ledger in PostgreSQL. What is to be written is decided elsewhere.

Who may do what of it is in `grants`. All times are those of the ledger's own clock.
"""

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from stellwerk.instances import declaring
from stellwerk.instances.configuration import LedgerAddress
from stellwerk.instances.connection import Ask, Connection, Rows, open_connection
from stellwerk.instances.documents import (
    SNAPSHOT_QUERY,
    DocumentError,
    parse_snapshot,
    snapshot_query,
)
from stellwerk.instances.errors import (
    LedgerAwayError,
    LedgerBusyError,
    LedgerError,
    LedgerRefusedError,
)
from stellwerk.instances.listener import Listener
from stellwerk.instances.migrations import LATEST
from stellwerk.instances.model import (
    Instance,
    InstanceKey,
    RolloutState,
    Sighting,
    Snapshot,
)

__all__ = [
    "Capacity",
    "Event",
    "GenerationRow",
    "Ledger",
    "LedgerAwayError",
    "LedgerBusyError",
    "LedgerError",
    "LedgerRefusedError",
    "Sample",
    "ServiceTransaction",
    "read_snapshot",
    "require_version",
]

_PRUNE_SECONDS: Final = 600.0


@dataclass(frozen=True)
class Sample:
    """What an instance uses; None = not measured. `at` is set by the ledger."""

    key: InstanceKey
    cpu_percent: float | None  # 100 = one core
    memory_bytes: int | None
    at: datetime | None = None


@dataclass(frozen=True)
class Capacity:
    """What an app host has, and what of its memory is free now; None = not known."""

    cores: int | None = None
    memory_bytes: int | None = None
    free_memory_bytes: int | None = None


@dataclass(frozen=True)
class Event:
    """Something that happened, to an instance, a service or the cluster."""

    id: int
    at: datetime
    kind: str
    service: str
    port: int | None
    host: str
    detail: str


@dataclass(frozen=True)
class GenerationRow:
    """A generation that hosts have been given, with the program's release it runs."""

    service: str
    generation: str
    release: str
    created_at: datetime


class Ledger:
    """The ledger over two connections, one to ask and one to listen.

    `connect` first, and again after any LedgerAwayError but LedgerBusyError: when one connection
    is lost, so is the other, and every call raises at once. No call takes longer than about 10 s.
    """

    def __init__(self, address: LedgerAddress, password: str | None, application: str) -> None:
        self._address = address
        self._password = password
        self._application = application
        self._connection: Connection | None = None
        self._listener: Listener | None = None
        self._pruned_at = -_PRUNE_SECONDS

    async def connect(self) -> None:
        """Connect, anew where a connection was lost. Raises LedgerAwayError, also for a ledger
        that no deploy of this release has migrated yet.
        """
        await self.close()
        try:
            self._connection = await self._open(self._application)
            await require_version(self._connection)
            self._listener = Listener(await self._open(f"{self._application} (listens)"))
            await self._listener.start()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End both connections, whatever they are doing."""
        connection, listener = self._connection, self._listener
        self._connection = self._listener = None
        if listener is not None:
            await listener.close()
        if connection is not None:
            await connection.close()

    @property
    def connection(self) -> Connection:
        """The one that asks, for other parts of the ledger. Raises LedgerAwayError without one."""
        if self._connection is None:
            raise self._not_connected()
        return self._connection

    async def snapshot(self) -> Snapshot:
        """The whole ledger at one moment, with the current roll-out of each service."""
        return await read_snapshot(self.connection)

    async def changes(self) -> AsyncIterator[None]:
        """One item per burst of changes by anybody since `connect`; the ledger is then to be read
        again. Raises LedgerAwayError when the connection is lost, also to a server that is frozen.
        """
        if self._listener is None:
            raise self._not_connected()
        async for _ in self._listener.bursts():
            yield

    @asynccontextmanager
    async def locked(self, service: str) -> AsyncIterator["ServiceTransaction"]:
        """A transaction that nobody else has at a time for this service: committed at the end,
        rolled back on an exception. Within it only its own methods may be used.
        """
        connection = self.connection
        async with connection.transaction() as ask:
            await ask(declaring.LOCK, {"service": service})
            answer = await ask(snapshot_query(service), None)
            yield ServiceTransaction(_parsed(answer, connection), ask)

    async def beat(
        self,
        host: str,
        roles: Iterable[str],
        release: str,
        status: str,
        samples: Iterable[Sample] = (),
        *,
        capacity: Capacity | None = None,
        sample_retention: float | None = None,
    ) -> None:
        """Say that the host's agent lives, and what host and instances use, in one round trip.

        Now and then samples older than `sample_retention` seconds and very old events are removed.
        """
        taken, room = tuple(samples), capacity or Capacity()
        await self._ask(
            _BEAT,
            host=host,
            cores=room.cores,
            memory=room.memory_bytes,
            free_memory=room.free_memory_bytes,
            roles=[str(role) for role in roles],
            release=release,
            status=_text(status),
            services=[one.key.service for one in taken],
            ports=[one.key.port for one in taken],
            cpu_percents=[one.cpu_percent for one in taken],
            memories=[one.memory_bytes for one in taken],
        )
        if sample_retention is not None and self._prune_is_due():
            await self._ask(_PRUNE, retention=timedelta(seconds=sample_retention))

    async def report(self, sightings: Iterable[Sighting], balancer: str) -> None:
        """Keep how this balancer sees instances; what is known already is not written again.
        Instances that have no row any more are ignored.
        """
        seen = sorted(sightings, key=lambda one: one.key)
        if not seen:
            return
        await self._ask(
            _REPORT,
            balancer=balancer,
            services=[one.key.service for one in seen],
            ports=[one.key.port for one in seen],
            seen=[one.seen.value for one in seen],
            active=[one.active for one in seen],
            requests=[one.requests for one in seen],
            errors=[one.errors for one in seen],
        )

    async def hold(self, key: InstanceKey, held: bool, by: str = "") -> None:
        """Keep an instance out of rotation, or let it in again. Raises LedgerRefusedError for one
        that is not in the ledger.
        """
        rows = await self._ask(_HOLD, service=key.service, port=key.port, held=held, by=by)
        if not rows:
            raise LedgerRefusedError(
                f"{key} is not in the ledger; `stellwerk instances` lists those that are."
            )

    async def events(self, limit: int, service: str | None = None) -> list[Event]:
        """The last `limit` events, of one service or of all, newest last."""
        rows = await self._ask(_EVENTS, limit=limit, service=service)
        return [Event(*row) for row in rows]

    async def latest_samples(self) -> Mapping[InstanceKey, Sample]:
        """The last sample of each instance in the ledger; `at` says how old it is."""
        rows = await self._ask(_LATEST_SAMPLES)
        found = ((InstanceKey(service, port), rest) for service, port, *rest in rows)
        return {key: Sample(key, cpu, memory, at) for key, (cpu, memory, at) in found}

    async def generations(self, service: str | None = None) -> list[GenerationRow]:
        """The generations of one service or of all, newest last."""
        return [GenerationRow(*row) for row in await self._ask(_GENERATIONS, service=service)]

    async def set_desired(self, service: str, host: str, instances: int, changed_by: str) -> None:
        """Want that many instances of a service on a host. Raises LedgerRefusedError for an
        unknown service or a negative number.
        """
        async with self.connection.transaction() as ask:
            await _require_service(ask, service)
            values = {"service": service, "host": host, "instances": instances, "by": changed_by}
            await ask(declaring.SET_DESIRED, values)

    async def start_rollout(
        self,
        service: str,
        generation: str,
        *,
        restart: bool,
        started_by: str,
        max_unavailable: int,
        canary_seconds: int,
        canary_error_percent: float,
    ) -> int:
        """Have all instances run `generation`, in place of what is being rolled out; its number.

        With `restart` those that run it already are restarted. Raises LedgerRefusedError for a
        generation that no deploy has put on the hosts.
        """
        async with self.connection.transaction() as ask:
            await _require_service(ask, service)
            values = {"service": service, "generation": generation, "by": started_by}
            if not await ask(_GENERATION_EXISTS, values):
                raise LedgerRefusedError(
                    f"{service}: no host has a generation {generation};"
                    f" `stellwerk releases list {service}` shows those there are."
                )
            await ask(declaring.REPLACE_ROLLOUT, values)
            ((number,),) = await ask(
                declaring.START_ROLLOUT,
                values
                | {
                    "restart": restart,
                    "max_unavailable": max_unavailable,
                    "canary_seconds": canary_seconds,
                    "canary_error_percent": canary_error_percent,
                },
            )
            await ask(declaring.DECLARE, values | {"rollout": number})
            return int(number)

    def _not_connected(self) -> LedgerAwayError:
        where = f"{self._address.host}:{self._address.port}"
        return LedgerAwayError(f"The ledger in PostgreSQL at {where} is not connected.")

    async def _ask(self, sql: str, **values: Any) -> Rows:
        return await self.connection.ask(sql, values)

    async def _open(self, application: str) -> Connection:
        return await open_connection(self._address, self._password, application, self._lose)

    def _lose(self, reason: str) -> None:
        """One connection is lost: give up the other, so that everybody notices."""
        if self._connection is not None:
            self._connection.break_off(reason)
        if self._listener is not None:
            self._listener.break_off(reason)

    def _prune_is_due(self) -> bool:
        now = time.monotonic()
        due = now >= self._pruned_at + _PRUNE_SECONDS
        if due:
            self._pruned_at = now
        return due


class ServiceTransaction:
    """What may be changed of one service while it is locked; `snapshot` is as of the lock.

    Nothing of it has happened until the block of `Ledger.locked` ends well.
    """

    def __init__(self, snapshot: Snapshot, ask: Ask) -> None:
        self.snapshot: Final = snapshot
        self._ask = ask
        self._hosts = {key: one.host for key, one in snapshot.instances.items()}

    async def claim(self, instance: Instance) -> bool:
        """Add an instance; False where its port is taken, or the service is not declared."""
        rows = await self._ask(_CLAIM, _values(instance))
        self._hosts.setdefault(instance.key, instance.host)
        return bool(rows)

    async def put(self, instance: Instance) -> None:
        """Write an instance that is in the ledger. `since` is set when its state changes; `held`
        is left as it is, as operators own it.
        """
        await self._ask(_PUT, _values(instance))

    async def hold(self, key: InstanceKey, held: bool, by: str) -> None:
        """Keep an instance out of rotation for an operator, or let it in again."""
        await self._ask(_HOLD, {**key._asdict(), "held": held, "by": by})

    async def remove(self, key: InstanceKey) -> None:
        """Take an instance out of the ledger, with what balancers saw of it."""
        await self._ask(_REMOVE, key._asdict())

    async def update_rollout(self, id: int, **columns: object) -> None:  # noqa: A002
        """Change columns of a running roll-out: those of its canary, progressed_at, reason."""
        if unknown := columns.keys() - _PROGRESS_COLUMNS:
            raise ValueError(f"not a roll-out's column of progress: {', '.join(sorted(unknown))}")
        settings = ", ".join(f"{name} = %({name})s" for name in columns)
        await self._ask(
            f"UPDATE stellwerk.rollouts SET {settings} WHERE id = %(id)s AND state = 'running'",  # noqa: S608
            {"id": id, **{name: _text(value) for name, value in columns.items()}},
        )

    async def finish_rollout(
        self,
        id: int,  # noqa: A002
        state: RolloutState,
        *,
        reason: str = "",
        failed_instance: str = "",
        journal: str = "",
    ) -> None:
        """End a running roll-out, as done or failed."""
        values = {
            "id": id,
            "state": state.value,
            "reason": _text(reason),
            "failed_instance": failed_instance,
            "journal": _text(journal),
        }
        await self._ask(_FINISH_ROLLOUT, values)

    async def set_stable(self, service: str, generation: str) -> None:
        """The generation has proven itself on all instances."""
        await self._ask(_SET_STABLE, {"service": service, "generation": generation})

    async def record(self, kind: str, key: InstanceKey | None, detail: str) -> None:
        """Note what happened, to an instance or to the service."""
        values = {
            "kind": kind,
            "service": key.service if key else next(iter(self.snapshot.services), ""),
            "port": key.port if key else None,
            "host": self._hosts.get(key, "") if key else "",
            "detail": _text(detail),
        }
        await self._ask(_RECORD, values)


async def read_snapshot(connection: Connection) -> Snapshot:
    """The whole ledger at one moment. Raises LedgerAwayError where it cannot be understood."""
    return _parsed(await connection.ask(SNAPSHOT_QUERY), connection)


async def require_version(connection: Connection) -> None:
    """Raises LedgerAwayError for a ledger that no deploy of this release has migrated yet."""
    ((present,),) = await connection.ask(_VERSION)
    if present < LATEST:
        raise connection.away(
            f"it is at version {present} and this release needs {LATEST}; run the deploy"
        )


def _parsed(rows: Rows, connection: Connection) -> Snapshot:
    try:
        return parse_snapshot(rows[0][0])
    except DocumentError as error:
        raise connection.away(f"{error}; run the deploy") from None


async def _require_service(ask: Ask, service: str) -> None:
    if not await ask(declaring.LOCK, {"service": service}):
        raise LedgerRefusedError(
            f"{service} is not in the ledger; the deploy puts the services of the settings there."
        )


def _values(instance: Instance) -> dict[str, Any]:
    return {
        **instance.key._asdict(),
        "host": instance.host,
        "address": instance.address,
        "generation": instance.generation,
        "rollout": instance.rollout,
        "state": instance.state.value,
        "purpose": None if instance.purpose is None else instance.purpose.value,
        "held": instance.held,
        "restarts": instance.restarts,
        "reason": _text(instance.reason),
    }


def _text(value: Any) -> Any:
    """Text of a journal or an error as PostgreSQL can hold it: no NUL, no lone surrogates."""
    if not isinstance(value, str):
        return value
    return value.replace("\x00", "\ufffd").encode(errors="replace").decode()


_PROGRESS_COLUMNS: Final = frozenset(
    {"canary", "canary_since", "canary_passed", "progressed_at", "reason"}
)

_VERSION: Final = "SELECT coalesce(max(version), 0) FROM stellwerk.migrations"

_BEAT: Final = """
    WITH sign AS (
        INSERT INTO stellwerk.agents
            (host, role, seen_at, release, status, cores, memory_bytes, free_memory_bytes)
        SELECT %(host)s, role, now(), %(release)s, %(status)s, %(cores)s::integer,
            %(memory)s::bigint, %(free_memory)s::bigint
        FROM unnest(%(roles)s::text[]) AS role
        ON CONFLICT (host, role) DO UPDATE SET
            seen_at = EXCLUDED.seen_at, release = EXCLUDED.release, status = EXCLUDED.status,
            cores = EXCLUDED.cores, memory_bytes = EXCLUDED.memory_bytes,
            free_memory_bytes = EXCLUDED.free_memory_bytes)
    INSERT INTO stellwerk.samples (service, port, cpu_percent, memory_bytes)
    SELECT * FROM unnest(
        %(services)s::text[], %(ports)s::integer[], %(cpu_percents)s::float8[],
        %(memories)s::bigint[])
"""
_PRUNE: Final = """
    WITH old AS (DELETE FROM stellwerk.samples WHERE at < now() - %(retention)s)
    SELECT stellwerk.prune_events()
"""
# Instances are locked before a sighting refers to them: one that is just removed is left out.
_REPORT: Final = """
    WITH told AS (
        SELECT told.*
        FROM unnest(
            %(services)s::text[], %(ports)s::integer[], %(seen)s::text[], %(active)s::integer[],
            %(requests)s::bigint[], %(errors)s::bigint[]
        ) AS told (service, port, seen, active, requests, errors)
        WHERE NOT EXISTS (
            SELECT FROM stellwerk.sightings AS known
            WHERE known.balancer = %(balancer)s
            AND (known.service, known.port, known.seen, known.active, known.requests, known.errors)
              = (told.service, told.port, told.seen, told.active, told.requests, told.errors))
    ), present AS (
        SELECT told.* FROM told JOIN stellwerk.instances AS instance USING (service, port)
        ORDER BY service, port FOR KEY SHARE OF instance
    )
    INSERT INTO stellwerk.sightings AS known
        (service, port, balancer, seen, active, requests, errors)
    SELECT service, port, %(balancer)s, seen, active, requests, errors FROM present
    ON CONFLICT (service, port, balancer) DO UPDATE SET
        seen = EXCLUDED.seen, active = EXCLUDED.active,
        requests = EXCLUDED.requests, errors = EXCLUDED.errors,
        since = CASE WHEN known.seen = EXCLUDED.seen THEN known.since ELSE now() END
"""
_HOLD: Final = """
    WITH changed AS (
        UPDATE stellwerk.instances SET held = %(held)s
        WHERE service = %(service)s AND port = %(port)s AND held <> %(held)s
        RETURNING service, port, host
    ), told AS (
        INSERT INTO stellwerk.events (kind, service, port, host, detail)
        SELECT CASE WHEN %(held)s THEN 'held' ELSE 'released' END, service, port, host,
            CASE WHEN %(by)s <> '' THEN 'by ' || %(by)s ELSE '' END
        FROM changed)
    SELECT 1 FROM stellwerk.instances WHERE service = %(service)s AND port = %(port)s
"""
_EVENTS: Final = """
    SELECT * FROM (
        SELECT id, at, kind, service, port, host, detail FROM stellwerk.events
        WHERE %(service)s::text IS NULL OR service = %(service)s
        ORDER BY id DESC LIMIT %(limit)s) AS newest
    ORDER BY id
"""
_LATEST_SAMPLES: Final = """
    SELECT instance.service, instance.port, newest.cpu_percent, newest.memory_bytes, newest.at
    FROM stellwerk.instances AS instance, LATERAL (
        SELECT cpu_percent, memory_bytes, at FROM stellwerk.samples AS sample
        WHERE sample.service = instance.service AND sample.port = instance.port
        ORDER BY at DESC LIMIT 1) AS newest
"""
_GENERATIONS: Final = """
    SELECT service, generation, release, created_at FROM stellwerk.generations
    WHERE %(service)s::text IS NULL OR service = %(service)s
    ORDER BY created_at, service, generation
"""
_GENERATION_EXISTS: Final = """
    SELECT 1 FROM stellwerk.generations WHERE service = %(service)s AND generation = %(generation)s
"""
_CLAIM: Final = """
    INSERT INTO stellwerk.instances (service, port, host, address, generation, rollout, state,
        purpose, held, since, restarts, reason)
    SELECT name, %(port)s, %(host)s, %(address)s, %(generation)s, %(rollout)s, %(state)s,
        %(purpose)s, %(held)s, clock_timestamp(), %(restarts)s, %(reason)s
    FROM stellwerk.services WHERE name = %(service)s
    ON CONFLICT DO NOTHING
    RETURNING port
"""
_PUT: Final = """
    UPDATE stellwerk.instances SET host = %(host)s, address = %(address)s,
        generation = %(generation)s, rollout = %(rollout)s, state = %(state)s,
        purpose = %(purpose)s, restarts = %(restarts)s, reason = %(reason)s,
        since = CASE WHEN state = %(state)s THEN since ELSE clock_timestamp() END
    WHERE service = %(service)s AND port = %(port)s
      AND (host, address, generation, rollout, state, purpose, restarts, reason)
          IS DISTINCT FROM (%(host)s, %(address)s, %(generation)s, %(rollout)s, %(state)s,
              %(purpose)s, %(restarts)s, %(reason)s)
"""
_REMOVE: Final = """
    DELETE FROM stellwerk.instances WHERE service = %(service)s AND port = %(port)s
"""
_FINISH_ROLLOUT: Final = """
    UPDATE stellwerk.rollouts SET state = %(state)s, reason = %(reason)s,
        failed_instance = %(failed_instance)s, journal = %(journal)s,
        finished_at = clock_timestamp(), progressed_at = clock_timestamp()
    WHERE id = %(id)s AND state = 'running'
"""
_SET_STABLE: Final = """
    UPDATE stellwerk.services SET stable = %(generation)s
    WHERE name = %(service)s AND stable IS DISTINCT FROM %(generation)s
"""
_RECORD: Final = """
    INSERT INTO stellwerk.events (at, kind, service, port, host, detail)
    VALUES (clock_timestamp(), %(kind)s, %(service)s, %(port)s, %(host)s, %(detail)s)
"""
