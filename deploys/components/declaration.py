"""What the ledger is to say: services, generations, desired numbers, roll-outs. Pure (C5, C6).

The agents bring it about; how far they are is in `progress`.
"""

# ruff: noqa: S608 - the statements are put together from constants and quoted literals

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from deploys.components.generations import Generation
from deploys.engine.resources import Facts
from stellwerk.database.quoting import quote_literal
from stellwerk.database.statement import Statement
from stellwerk.instances import declaring
from stellwerk.instances.documents import parse_snapshot
from stellwerk.instances.model import Role, RolloutState, Snapshot
from stellwerk.settings.services import Service

DECLARED_BY = "deploy"
EMPTY = Snapshot(at=datetime.fromtimestamp(0, UTC))


@dataclass(frozen=True)
class Wanted:
    """What the settings come to. `generations` lacks those that not every app host has yet."""

    database: str
    services: Mapping[str, Service]
    generations: Mapping[str, Generation]
    apps: Sequence[str]
    balancers: Sequence[str]
    generations_kept: int
    agent_role: str
    addresses: Sequence[str]  # of all hosts with an agent


def snapshot_of(answer: Facts) -> Snapshot | None:
    """What the ledger says, from the facts of PostgreSQL; None where it is not known."""
    if not answer or "error" in answer:
        return None
    about = answer.get("ledger", {})
    if about.get("snapshot") is not None:
        return parse_snapshot(about["snapshot"])
    return None if about.get("version", 0) else EMPTY


def plan(wanted: Wanted, answer: Facts) -> tuple[Statement, ...]:
    """What brings the ledger to the settings; nothing while it is not known what it says."""
    snapshot = snapshot_of(answer)
    return () if snapshot is None else statements(wanted, snapshot)


def statements(wanted: Wanted, snapshot: Snapshot) -> tuple[Statement, ...]:
    """What brings the ledger to the settings, a transaction a service; nothing where it is so.

    A service that the ledger does not know and that lacks its generation is left out.
    """
    found = [*_farewells(wanted, snapshot)]
    counts = desired_counts(wanted, snapshot)
    for name in sorted(wanted.services):
        changes = [*_new_service(wanted, snapshot, name), *_rollout(wanted, snapshot, name)]
        if changes or name in snapshot.services:
            changes += _desired(snapshot, name, counts[name])
        if changes:
            summary = f"{name}: {'; '.join(one.summary for one in changes if one.summary)}"
            found.append(_transaction(wanted, summary, [one.sql for one in changes]))
    return tuple(found)


def leave(database: str, services: Collection[str], snapshot: Snapshot) -> tuple[Statement, ...]:
    """What has all instances leave of services that are none any more. The rest of them goes by
    `statements`, once balancers and agents do not know them either.
    """
    found = []
    for name in sorted(snapshot.services.keys() - {*services}):
        none = {host: 0 for of, host in snapshot.desired if of == name}
        if changes := [*_desired(snapshot, name, none)]:
            summary = f"{name}: {'; '.join(one.summary for one in changes)}"
            found += [Statement(summary, ";\n".join(one.sql for one in changes), database)]
    return tuple(found)


def desired_counts(wanted: Wanted, snapshot: Snapshot) -> Mapping[str, Mapping[str, int]]:
    """The number of each service's instances by host: the minimum at first, then within bounds.

    A host that is gone leaves its number to the others; a new one gets nothing until it is needed.
    What is added goes to the host with the fewest instances.
    """
    counts: dict[str, dict[str, int]] = {}
    for name, service in sorted(wanted.services.items()):
        present = {host: n for (of, host), n in snapshot.desired.items() if of == name}
        here = {host: present.get(host, 0) for host in wanted.apps}
        # Counted before the loops, as it also holds what hosts that are gone had.
        total = min(max(sum(present.values()), service.min_instances), service.max_instances)
        counts[name] = here
        while sum(here.values()) < total and here:
            here[min(here, key=lambda host: _load(counts, name, host))] += 1
        while sum(here.values()) > total:
            here[max(reversed(here), key=lambda host: _load(counts, name, host))] -= 1
    return counts


def removals(wanted: Wanted) -> tuple[str, ...]:
    """SQL for what hosts that are gone leave behind: their instances leave when others serve in
    their place, and are forgotten once no balancer uses them any more; then their agents are, too.
    """
    drain = max((one.drain_timeout_seconds for one in wanted.services.values()), default=0)
    balanced = sorted(name for name, one in wanted.services.items() if one.balancer)
    values = {
        "elsewhere": _not_in("one.host", wanted.apps),
        "other_elsewhere": _not_in("other.host", wanted.apps),
        "strange": _not_in("seen.balancer", wanted.balancers),
        "balancers": _array(wanted.balancers),
        "balanced": _array(balanced),
        "seconds": f"{drain:d}",
    }
    agents = [_agents_gone(wanted, role) for role in Role]
    return tuple(sql.format(**values).strip() for sql in (_RETIREMENT, _REMOVAL)) + tuple(agents)


@dataclass(frozen=True)
class _Change:
    summary: str
    sql: str


def _farewells(wanted: Wanted, snapshot: Snapshot) -> Iterator[Statement]:
    """What services and hosts that are gone from the settings leave behind."""
    for name in sorted(snapshot.services.keys() - wanted.services.keys()):
        sql = f"DELETE FROM stellwerk.services WHERE name = {quote_literal(name)}"
        yield Statement(f"{name}: is no service any more", sql, wanted.database)
    occupied = {one.host for one in snapshot.instances.values()}
    for role in Role:
        known = {one.host for one in snapshot.agents if one.role is role}
        if gone := sorted(known - {*_members(wanted, role)} - occupied):
            sql = _agents_gone(wanted, role)
            yield Statement(f"{', '.join(gone)}: no agent in {role}", sql, wanted.database)
    if gone := sorted({one.balancer for one in snapshot.sightings} - {*wanted.balancers}):
        sql = f"DELETE FROM stellwerk.sightings WHERE {_not_in('balancer', wanted.balancers)}"
        yield Statement(f"{', '.join(gone)}: is no balancer any more", sql, wanted.database)


def _members(wanted: Wanted, role: Role) -> Sequence[str]:
    return wanted.apps if role is Role.APPS else wanted.balancers


def _agents_gone(wanted: Wanted, role: Role) -> str:
    """An agent that still runs on such a host would enter itself again: its session ends with it,
    and it may not log in any more.
    """
    return _AGENTS_GONE.format(
        role=quote_literal(role),
        elsewhere=_not_in("agent.host", _members(wanted, role)),
        user=quote_literal(wanted.agent_role),
        addresses=_array(wanted.addresses),
    ).strip()


def _new_service(wanted: Wanted, snapshot: Snapshot, name: str) -> Iterator[_Change]:
    generation = wanted.generations.get(name)
    if name not in snapshot.services and generation is not None:
        values = f"({quote_literal(name)}, {quote_literal(generation.digest)})"
        sql = f"INSERT INTO stellwerk.services (name, generation) VALUES {values}"
        yield _Change("", sql)


def _rollout(wanted: Wanted, snapshot: Snapshot, name: str) -> Iterator[_Change]:
    """A roll-out where another generation is wanted, or the last one to it has failed."""
    generation, service = wanted.generations.get(name), snapshot.services.get(name)
    if generation is None:
        return
    if service is not None and service.generation == generation.digest:
        current = snapshot.rollouts.get(service.rollout)
        if current is not None and current.state is not RolloutState.FAILED:
            return
    rolling = wanted.services[name].rollout
    values = {
        "service": quote_literal(name),
        "generation": quote_literal(generation.digest),
        "release": quote_literal(generation.release),
        "by": quote_literal(DECLARED_BY),
        "restart": "false",
        "max_unavailable": f"{rolling.max_unavailable:d}",
        "canary_seconds": f"{rolling.canary_seconds:d}",
        "canary_error_percent": f"{rolling.canary_error_percent:g}",
        "rollout": "currval(pg_get_serial_sequence('stellwerk.rollouts', 'id'))",
        "kept": f"{wanted.generations_kept:d}",
    }
    yield _Change("", declaring.LOCK % values)
    yield _Change("", _KNOWN_GENERATION % values)
    yield _Change("", declaring.REPLACE_ROLLOUT % values)
    yield _Change("", declaring.START_ROLLOUT % values)
    yield _Change(f"generation {generation.digest}", declaring.DECLARE % values)
    yield _Change("", _OLD_GENERATIONS % values)


def _desired(snapshot: Snapshot, name: str, counts: Mapping[str, int]) -> Iterator[_Change]:
    present = {host: n for (of, host), n in snapshot.desired.items() if of == name}
    service = quote_literal(name)
    for host, count in counts.items():
        if count != present.get(host, 0):
            values = {
                "service": service,
                "host": quote_literal(host),
                "instances": f"{count:d}",
                "by": quote_literal(DECLARED_BY),
            }
            yield _Change(f"{count} on {host}", declaring.SET_DESIRED % values)
    if gone := sorted(present.keys() - counts.keys()):
        hosts = _not_in("host", [*counts])
        sql = f"DELETE FROM stellwerk.desired WHERE service = {service} AND {hosts}"
        yield _Change(f"none on {', '.join(gone)}", sql)


def _load(counts: Mapping[str, Mapping[str, int]], service: str, host: str) -> tuple[int, int]:
    return counts[service][host], sum(one.get(host, 0) for one in counts.values())


def _transaction(wanted: Wanted, summary: str, sql: Iterable[str]) -> Statement:
    rows = (f"{one.strip()};" for one in sql)
    return Statement(summary, "\n".join(("BEGIN;", *rows, "COMMIT")), wanted.database)


def _not_in(column: str, names: Sequence[str]) -> str:
    return f"{column} <> ALL ({_array(names)})"


def _array(names: Sequence[str]) -> str:
    return f"ARRAY[{', '.join(map(quote_literal, names))}]::text[]"


_KNOWN_GENERATION = """
    INSERT INTO stellwerk.generations (service, generation, release)
    VALUES (%(service)s, %(generation)s, %(release)s)
    ON CONFLICT (service, generation) DO UPDATE SET created_at = now()
"""
# As hosts keep them: the newest few, and those that are in use.
_OLD_GENERATIONS = """
    DELETE FROM stellwerk.generations AS old WHERE service = %(service)s
       AND generation NOT IN (
            SELECT generation FROM stellwerk.generations WHERE service = %(service)s
             ORDER BY created_at DESC LIMIT %(kept)s)
       AND NOT EXISTS (
            SELECT FROM stellwerk.instances AS one
             WHERE one.service = old.service AND one.generation = old.generation)
       AND NOT EXISTS (
            SELECT FROM stellwerk.services AS one
             WHERE one.name = old.service AND old.generation IN (one.generation, one.stable))
"""
_RETIREMENT = """
    UPDATE stellwerk.instances AS one
       SET state = 'draining', purpose = 'retire', since = now()
     WHERE {elsewhere} AND one.purpose IS DISTINCT FROM 'retire'
       AND (SELECT coalesce(sum(desired.instances), 0) FROM stellwerk.desired
             WHERE desired.service = one.service)
        <= (SELECT count(*) FROM stellwerk.instances AS other
             WHERE other.service = one.service AND NOT {other_elsewhere} AND other.state = 'ready'
               AND (other.held OR other.service <> ALL ({balanced}) OR NOT EXISTS (
                    SELECT FROM unnest({balancers}) AS balancer WHERE NOT EXISTS (
                        SELECT FROM stellwerk.sightings AS seen
                         WHERE seen.service = other.service AND seen.port = other.port
                           AND seen.balancer = balancer AND seen.seen = 'up'))))
"""
_AGENTS_GONE = """
    DO $gone$ BEGIN
        DELETE FROM stellwerk.agents AS agent WHERE agent.role = {role} AND {elsewhere}
           AND NOT EXISTS (SELECT FROM stellwerk.instances AS one WHERE one.host = agent.host);
        IF FOUND THEN
            PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
              WHERE host(client_addr) <> ALL ({addresses}) AND usesysid IN (
                    SELECT member FROM pg_auth_members WHERE roleid = to_regrole({user}));
        END IF;
    END $gone$
"""
_REMOVAL = """
    DELETE FROM stellwerk.instances AS one
     WHERE {elsewhere} AND one.state = 'draining' AND (
            one.since < now() - interval '{seconds} s'
            OR NOT EXISTS (
                SELECT FROM stellwerk.sightings AS seen
                 WHERE seen.service = one.service AND seen.port = one.port
                   AND seen.seen <> 'out' AND NOT {strange}))
"""
