"""Reads and writes what the ledger keeps of scaling, and who leads. Nothing is decided here.

A scaler does all of it over the connection that holds the leader's lock: one that has lost the lock
cannot write any more. All times are those of the ledger's own clock.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from stellwerk.instances import declaring
from stellwerk.instances.connection import Connection
from stellwerk.instances.model import InstanceKey
from stellwerk.instances.store import Capacity, LedgerRefusedError, read_snapshot
from stellwerk.scaling.memory import memory_document, parse_memory
from stellwerk.scaling.records import (
    CPU_OF_A_CORE,
    MEMORY_BYTES,
    ClockStep,
    DecisionRow,
    Findings,
    Judged,
    Order,
    Pulse,
    ScalerSign,
)
from stellwerk.scaling.series import Series

CHANGED_BY: Final = "scaler"
"""Who changed a wanted number, in the ledger."""
APPLICATION: Final = "stellwerk-scaler"
"""How a scaler's connection is named, before the name of its host."""

SILENCE_SECONDS: Final = 6
"""Without a word for so long, a leader has lost its lock, whatever became of it or its host."""

_LOAD_STEP: Final = timedelta(minutes=5)
"""Steps in which loads are kept."""

_LOCK: Final = (0x5354574B, 1)  # "STWK", the first of what it locks
_CLOCK: Final = "clock"
"""The kind of the events that tell of a clock that was set."""


class ScalingLedger:
    """What scaling keeps in the ledger, over a connection. Every call raises LedgerError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # Who leads.

    async def lead(self) -> bool:
        """Whether this connection leads now, as it did or as nobody else does."""
        values = {"silence": f"{SILENCE_SECONDS}s", "group": _LOCK[0], "number": _LOCK[1]}
        ((_, leads),) = await self._connection.ask(_LEAD, values)
        return bool(leads)

    async def scalers(self) -> Sequence[ScalerSign]:
        """The scalers that are connected, the leader first."""
        values = {"group": _LOCK[0], "number": _LOCK[1], "prefix": f"{APPLICATION} "}
        rows = await self._connection.ask(_SCALERS, values)
        return [ScalerSign(name.removeprefix(f"{APPLICATION} "), leads) for name, leads in rows]

    # For judgements.

    async def pulse(self) -> Pulse:
        """The quick look between judgements, which also says that the leader lives."""
        ((at, agents, *rest),) = await self._connection.ask(_PULSE)
        heard = {(host, role): seen for host, role, seen in agents}
        return Pulse(at.astimezone(UTC), heard, *rest)

    async def findings(self, retention: float) -> Findings:
        """All that is known for a judgement, with the samples of so many seconds."""
        snapshot = await read_snapshot(self._connection)
        memories = await self._connection.ask(_MEMORIES)
        since = {"since": timedelta(seconds=retention)}
        series: dict[InstanceKey, dict[str, Series]] = {}
        for service, port, times, cpu, memory in await self._connection.ask(_USED, since):
            series[InstanceKey(service, port)] = {
                CPU_OF_A_CORE: Series(times, _numbers(cpu)),
                MEMORY_BYTES: Series(times, _numbers(memory)),
            }
        for service, port, name, times, values in await self._connection.ask(_OWN, since):
            own = series.setdefault(InstanceKey(service, port), {})
            own[name] = Series(times, _numbers(values))
        return Findings(
            snapshot,
            {service: parse_memory(state) for service, _, state in memories},
            {service: at.astimezone(UTC) for service, at, _ in memories},
            {one.service: one for one in await self.orders()},
            series,
            {host: Capacity(*rest) for host, *rest in await self._connection.ask(_CAPACITIES)},
            {
                InstanceKey(service, port): at.astimezone(UTC)
                for service, port, at in await self._connection.ask(_ANSWERED, since)
            },
        )

    async def keep_samples(self, values: Mapping[InstanceKey, Mapping[str, float]]) -> None:
        """Keep what instances say of themselves now, and that they answered."""
        told = sorted(values.items())
        await self._connection.ask(
            _KEEP_SAMPLES,
            {
                "services": [key.service for key, _ in told],
                "ports": [key.port for key, _ in told],
                "metrics": [json.dumps(metrics) for _, metrics in told],
            },
        )

    async def keep_loads(self, at: datetime, loads: Mapping[str, float]) -> None:
        """Add what services use in all, in percent of a core, to the history of their loads."""
        values = {"at": at, "services": list(loads), "loads": list(loads.values())}
        await self._connection.ask(_KEEP_LOADS, values | {"step": _LOAD_STEP})

    async def loads(self, service: str, step: timedelta) -> Sequence[tuple[float, float]]:
        """The history of a service's load: the beginnings of steps (seconds since 1970), and the
        mean of each, in percent of a core.
        """
        return [
            (float(at), float(mean))
            for at, mean in await self._connection.ask(_LOADS, {"service": service, "step": step})
        ]

    async def clock_was_set(self, step: ClockStep) -> int | None:
        """The ledger's clock was set: what was measured at times of before would be taken for old
        or for news, and goes; memories and orders keep their distance from now. Returns the number
        of the event that tells of it; None, and nothing is done, where another leader has done so.
        """
        by = timedelta(seconds=step.seconds)
        async with self._connection.transaction() as ask:
            if await ask(_EVENTS_SINCE, {"after": step.after, "kind": _CLOCK}):
                return None
            await ask("DELETE FROM stellwerk.samples", None)
            await ask("DELETE FROM stellwerk.scaling_samples", None)
            await ask("UPDATE stellwerk.scaling_orders SET until = until + %(by)s", {"by": by})
            for service, at, state in await ask(_MEMORIES, None):
                moved = memory_document(parse_memory(state).shifted(step.seconds))
                values = {"service": service, "at": at + by, "state": json.dumps(moved)}
                await ask(_REMEMBER, values)
            detail = f"the ledger's clock was set by {step.seconds:.0f} s"
            ((event,),) = await ask(_TELL, {"service": "", "kind": _CLOCK, "detail": detail})
            return int(event)

    async def record(self, judged: Judged) -> bool:
        """Write one judgement and the numbers it wants; False, and nothing is written, where
        somebody else has changed the service's numbers since they were read.
        """
        async with self._connection.transaction() as ask:
            await ask(declaring.LOCK, {"service": judged.service})
            present: dict[str, int] = dict(await ask(_DESIRED, {"service": judged.service}))
            if present != judged.counts_before:
                return False
            for host, instances in sorted(judged.counts.items()):
                await ask(
                    declaring.SET_DESIRED,
                    {
                        "service": judged.service,
                        "host": host,
                        "instances": instances,
                        "by": CHANGED_BY,
                    },
                )
            await ask(_RECORD, {"rows": _rows([judged])})
            return True

    async def record_unchanged(self, judged: Iterable[Judged]) -> None:
        """Write judgements that want what there is, in one round trip."""
        await self._connection.ask(_RECORD, {"rows": _rows(judged)})

    async def tell(self, service: str, kind: str, detail: str) -> None:
        """Note an event of a service."""
        await self._connection.ask(_TELL, {"service": service, "kind": kind, "detail": detail})

    async def prune(self, samples: timedelta, loads: timedelta) -> None:
        """Remove samples and histories of loads that are older, old decisions, and orders that are
        over.
        """
        await self._connection.ask(_PRUNE, {"retention": samples, "loads": loads})

    # For operators.

    async def orders(self) -> Sequence[Order]:
        """The orders in force."""
        rows = await self._connection.ask(_ORDERS)
        return [
            Order(service, instances, until and until.astimezone(UTC), by, at.astimezone(UTC))
            for service, instances, until, by, at in rows
        ]

    async def order(
        self, service: str, instances: int | None, duration: timedelta | None, given_by: str
    ) -> datetime | None:
        """Have so many instances for a while, or without a number leave the service alone, in
        place of what was ordered before. Returns until when. Raises LedgerRefusedError for an
        unknown service.
        """
        rows = await self._connection.ask(
            _ORDER,
            {"service": service, "instances": instances, "duration": duration, "by": given_by},
        )
        if not rows:
            raise LedgerRefusedError(
                f"{service} is not in the ledger; the deploy puts the services of the settings"
                " there."
            )
        until: datetime | None = rows[0][0]
        return until and until.astimezone(UTC)

    async def take_back(self, service: str, by: str) -> bool:
        """End the order there is of a service; False where there is none."""
        return bool(await self._connection.ask(_TAKE_BACK, {"service": service, "by": by}))

    async def decisions(
        self, limit: int, service: str | None = None, *, only_changes: bool = False
    ) -> Sequence[DecisionRow]:
        """The last `limit` decisions, of one service or of all, newest last."""
        values = {"limit": limit, "service": service, "only_changes": only_changes}
        return _decisions(await self._connection.ask(_DECISIONS, values))

    async def latest(self) -> Mapping[str, DecisionRow]:
        """The last decision of each service."""
        return {one.service: one for one in _decisions(await self._connection.ask(_LATEST))}

    async def last_changes(self) -> Mapping[str, DecisionRow]:
        """The last decision of each service that changed its number."""
        return {one.service: one for one in _decisions(await self._connection.ask(_LAST_CHANGES))}


def _rows(judged: Iterable[Judged]) -> str:
    return json.dumps(
        [
            {
                "service": one.service,
                "at": one.at.isoformat(),
                "before": one.before,
                "after": one.after,
                "sentence": one.sentence,
                "inputs": dict(one.inputs),
                "minimum": one.bounds[0],
                "maximum": one.bounds[1],
                "state": memory_document(one.memory),
            }
            for one in judged
        ]
    )


def _decisions(rows: Iterable[Sequence[Any]]) -> Sequence[DecisionRow]:
    return [DecisionRow(number, at.astimezone(UTC), *rest) for number, at, *rest in rows]


def _numbers(values: Iterable[float | None]) -> Sequence[float]:
    return [float("nan") if value is None else float(value) for value in values]


_LEAD: Final = """
    SELECT set_config('idle_session_timeout', %(silence)s, false), EXISTS (
        SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted
           AND (classid, objid) = (%(group)s::bigint::oid, %(number)s::bigint::oid)
    ) OR pg_try_advisory_lock(%(group)s::integer, %(number)s::integer)
"""
_SCALERS: Final = """
    SELECT application_name, EXISTS (
        SELECT FROM pg_locks AS held
         WHERE held.pid = session.pid AND held.locktype = 'advisory' AND held.granted
           AND (held.classid, held.objid) = (%(group)s::bigint::oid, %(number)s::bigint::oid)
    ) AS leads
    FROM pg_stat_activity AS session
    WHERE datname = current_database() AND starts_with(application_name, %(prefix)s)
    ORDER BY leads DESC, application_name
"""
_PULSE: Final = """
    SELECT clock_timestamp(),
        (SELECT coalesce(json_agg(json_build_array(host, role, extract(epoch FROM seen_at))), '[]')
           FROM stellwerk.agents),
        (SELECT coalesce(string_agg(service || ' ' || given_at, ',' ORDER BY service), '')
           FROM stellwerk.scaling_orders),
        (SELECT coalesce(max(id), 0) FROM stellwerk.events)
"""
_EVENTS_SINCE: Final = """
    SELECT id FROM stellwerk.events WHERE id > %(after)s AND kind = %(kind)s LIMIT 1
"""
_MEMORIES: Final = "SELECT service, judged_at, state FROM stellwerk.scaling_states"
_CAPACITIES: Final = """
    SELECT host, cores, memory_bytes, free_memory_bytes FROM stellwerk.agents WHERE role = 'apps'
"""
_USED: Final = """
    SELECT service, port, array_agg(extract(epoch FROM at)::float8 ORDER BY at),
        array_agg(cpu_percent ORDER BY at), array_agg(memory_bytes::float8 ORDER BY at)
    FROM stellwerk.samples WHERE at > now() - %(since)s
    GROUP BY service, port
"""
_OWN: Final = """
    SELECT service, port, name, array_agg(extract(epoch FROM at)::float8 ORDER BY at),
        array_agg(value::float8 ORDER BY at)
    FROM stellwerk.scaling_samples, jsonb_each_text(metrics) AS one (name, value)
    WHERE at > now() - %(since)s
    GROUP BY service, port, name
"""
_ANSWERED: Final = """
    SELECT service, port, max(at) FROM stellwerk.scaling_samples WHERE at > now() - %(since)s
    GROUP BY service, port
"""
_KEEP_SAMPLES: Final = """
    INSERT INTO stellwerk.scaling_samples (service, port, metrics)
    SELECT * FROM unnest(%(services)s::text[], %(ports)s::integer[], %(metrics)s::jsonb[])
"""
_KEEP_LOADS: Final = """
    INSERT INTO stellwerk.scaling_loads AS kept (service, at, cpu_percent, looks)
    SELECT service, date_bin(%(step)s, %(at)s, 'epoch'), load, 1
    FROM unnest(%(services)s::text[], %(loads)s::float8[]) AS told (service, load)
    ON CONFLICT (service, at) DO UPDATE SET looks = kept.looks + 1,
        cpu_percent = kept.cpu_percent + EXCLUDED.cpu_percent
"""
_LOADS: Final = """
    SELECT extract(epoch FROM date_bin(%(step)s, at, 'epoch'))::float8 AS beginning,
        sum(cpu_percent) / sum(looks)
    FROM stellwerk.scaling_loads WHERE service = %(service)s
    GROUP BY beginning ORDER BY beginning
"""
_DESIRED: Final = "SELECT host, instances FROM stellwerk.desired WHERE service = %(service)s"
_REMEMBER: Final = """
    UPDATE stellwerk.scaling_states SET judged_at = %(at)s, state = %(state)s::jsonb
    WHERE service = %(service)s
"""
# A service may be declared no more since it was judged.
_RECORD: Final = """
    WITH judged AS (
        SELECT told.* FROM jsonb_to_recordset(%(rows)s::jsonb) AS told (
            service text, at timestamptz, before integer, after integer, sentence text,
            inputs jsonb, minimum integer, maximum integer, state jsonb)
        JOIN stellwerk.services AS declared ON declared.name = told.service
    ), remembered AS (
        INSERT INTO stellwerk.scaling_states (service, judged_at, minimum, maximum, state)
        SELECT service, at, minimum, maximum, state FROM judged
        ON CONFLICT (service) DO UPDATE SET judged_at = EXCLUDED.judged_at, state = EXCLUDED.state,
            minimum = EXCLUDED.minimum, maximum = EXCLUDED.maximum
    )
    INSERT INTO stellwerk.scaling_decisions (at, service, before, after, sentence, inputs)
    SELECT at, service, before, after, sentence, inputs FROM judged ORDER BY service
"""
_TELL: Final = """
    INSERT INTO stellwerk.events (kind, service, detail)
    VALUES (%(kind)s, %(service)s, %(detail)s)
    RETURNING id
"""
_PRUNE: Final = """
    WITH old AS (
        DELETE FROM stellwerk.scaling_samples
        WHERE at < now() - %(retention)s OR at > now() + %(retention)s
    ), forgotten AS (
        DELETE FROM stellwerk.scaling_loads WHERE at < now() - %(loads)s OR at > now()
    ), over AS (
        DELETE FROM stellwerk.scaling_orders WHERE until <= now()
    )
    SELECT stellwerk.prune_scaling()
"""
_ORDERS: Final = """
    SELECT service, instances, until, given_by, given_at FROM stellwerk.scaling_orders
    WHERE until IS NULL OR until > now()
    ORDER BY service
"""
_ORDER: Final = """
    WITH given AS (
        INSERT INTO stellwerk.scaling_orders (service, instances, until, given_by, given_at)
        SELECT name, %(instances)s::integer, clock_timestamp() + %(duration)s::interval, %(by)s,
            clock_timestamp()
        FROM stellwerk.services WHERE name = %(service)s
        ON CONFLICT (service) DO UPDATE SET instances = EXCLUDED.instances,
            until = EXCLUDED.until, given_by = EXCLUDED.given_by, given_at = EXCLUDED.given_at
        RETURNING service, instances, until
    ), told AS (
        INSERT INTO stellwerk.events (kind, service, detail)
        SELECT 'scaling', service,
            coalesce('set to ' || instances, 'paused')
            || coalesce(' until ' || to_char(until, 'YYYY-MM-DD HH24:MI') || ' UTC', '')
            || ' by ' || %(by)s
        FROM given)
    SELECT until FROM given
"""
_TAKE_BACK: Final = """
    WITH ended AS (
        DELETE FROM stellwerk.scaling_orders WHERE service = %(service)s RETURNING service
    ), told AS (
        INSERT INTO stellwerk.events (kind, service, detail)
        SELECT 'scaling', service, 'resumed by ' || %(by)s FROM ended)
    SELECT service FROM ended
"""
_COLUMNS: Final = "id, at, service, before, after, sentence, inputs"
_DECISIONS: Final = f"""
    SELECT * FROM (
        SELECT {_COLUMNS} FROM stellwerk.scaling_decisions
        WHERE (%(service)s::text IS NULL OR service = %(service)s)
          AND (NOT %(only_changes)s OR before <> after)
        ORDER BY id DESC LIMIT %(limit)s) AS newest
    ORDER BY id
"""  # noqa: S608
_LATEST: Final = f"""
    SELECT newest.* FROM stellwerk.services, LATERAL (
        SELECT {_COLUMNS} FROM stellwerk.scaling_decisions
        WHERE service = name ORDER BY id DESC LIMIT 1) AS newest
"""  # noqa: S608
_LAST_CHANGES: Final = f"""
    SELECT newest.* FROM stellwerk.services, LATERAL (
        SELECT {_COLUMNS} FROM stellwerk.scaling_decisions
        WHERE service = name AND before <> after ORDER BY id DESC LIMIT 1) AS newest
"""  # noqa: S608
