"""How a roll-out and a number get into the ledger: by a connection, or by the deploy's psql.

The values of the placeholders (`%(service)s`) are parameters of a connection; psql is sent them as
literals.
"""

from typing import Final

# Rows that refer to the service may be added meanwhile; a second locker waits.
LOCK: Final = "SELECT 1 FROM stellwerk.services WHERE name = %(service)s FOR NO KEY UPDATE"
SET_DESIRED: Final = """
    WITH changed AS (
        INSERT INTO stellwerk.desired AS known (service, host, instances, changed_by, changed_at)
        VALUES (%(service)s, %(host)s, %(instances)s, %(by)s, now())
        ON CONFLICT (service, host) DO UPDATE SET instances = EXCLUDED.instances,
            changed_by = EXCLUDED.changed_by, changed_at = EXCLUDED.changed_at
        WHERE known.instances <> EXCLUDED.instances
        RETURNING service, host, instances, changed_by)
    INSERT INTO stellwerk.events (kind, service, host, detail)
    SELECT 'desired', service, host, instances || ' wanted by ' || changed_by FROM changed
"""
REPLACE_ROLLOUT: Final = """
    UPDATE stellwerk.rollouts
    SET state = 'replaced', finished_at = coalesce(finished_at, clock_timestamp())
    WHERE service = %(service)s AND state IN ('running', 'failed')
"""
START_ROLLOUT: Final = """
    INSERT INTO stellwerk.rollouts
        (service, generation, previous, restart, max_unavailable, canary_seconds,
         canary_error_percent, started_by, started_at, progressed_at)
    SELECT name, %(generation)s, stable, %(restart)s, %(max_unavailable)s, %(canary_seconds)s,
         %(canary_error_percent)s, %(by)s, clock_timestamp(), clock_timestamp()
    FROM stellwerk.services WHERE name = %(service)s
    RETURNING id
"""
DECLARE: Final = """
    WITH declared AS (
        UPDATE stellwerk.services SET generation = %(generation)s, rollout = %(rollout)s
        WHERE name = %(service)s)
    INSERT INTO stellwerk.events (kind, service, detail)
    VALUES ('rollout', %(service)s, %(generation)s || ' started by ' || %(by)s)
"""
