-- Run as the owner with the event store's schema as search_path. Rights are in rights.py.
CREATE TABLE event_store_migrations (
    version integer PRIMARY KEY CHECK (version > 0),
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- Transaction numbers of PostgreSQL start again in a cluster that a dump is restored into; this is
-- added to them, so that what is appended there still comes after what was restored.
CREATE TABLE event_order (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    shift bigint NOT NULL DEFAULT 0
);
INSERT INTO event_order DEFAULT VALUES;

CREATE TABLE events (
    transaction_id bigint NOT NULL,
    position bigint GENERATED ALWAYS AS IDENTITY,
    aggregate_id text NOT NULL CHECK (length(aggregate_id) BETWEEN 1 AND 200),
    version bigint NOT NULL CHECK (version > 0),
    event_type text NOT NULL CHECK (length(event_type) BETWEEN 1 AND 100),
    "timestamp" timestamptz NOT NULL DEFAULT clock_timestamp(),
    payload jsonb NOT NULL,
    PRIMARY KEY (transaction_id, position)
);
COMMENT ON TABLE events IS
    'Appended to by append_events() only. Its order is (transaction_id, position); followers read what is below event_bound().';

-- The same as in indexes.py, which builds them without blocking where they are lost or different.
-- On an empty table they cost nothing, and versions are unique from the first event on.
CREATE UNIQUE INDEX events_aggregate_version ON events (aggregate_id, version);
CREATE INDEX events_type_timestamp ON events (event_type, "timestamp");
CREATE INDEX events_timestamp ON events ("timestamp" DESC);

-- Events are ordered by the number of their transaction, which is given before it commits: one of a
-- smaller number may become visible later. Appending transactions therefore hold a shared lock, taken
-- before they have a number, and followers read below the least number of those that hold it.
CREATE FUNCTION append_events(
    aggregate text, expected_version bigint, event_types text[], payloads jsonb[]
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    present bigint;
    last_transaction bigint;
    own_transaction bigint;
    appended bigint;
BEGIN
    IF cardinality(event_types) = 0 OR cardinality(event_types) <> cardinality(payloads) THEN
        RAISE EXCEPTION 'as many payloads as event types are needed, and one at least'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF pg_current_xact_id_if_assigned() IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'
            AND classid = 0 AND objid = 1592678375 AND objsubid = 1
    ) THEN
        RAISE EXCEPTION 'the transaction has written before it appends'
            USING ERRCODE = 'SW002', HINT = 'Append first, and write everything else after it.';
    END IF;
    PERFORM pg_advisory_xact_lock_shared(1592678375);
    SELECT version, transaction_id INTO present, last_transaction
        FROM events WHERE aggregate_id = aggregate ORDER BY version DESC LIMIT 1;
    present := coalesce(present, 0);
    IF present <> coalesce(expected_version, present) THEN
        RAISE EXCEPTION 'aggregate % is at version %, not %', aggregate, present, expected_version
            USING ERRCODE = 'SW001';
    END IF;
    SELECT pg_current_xact_id()::text::bigint + shift INTO own_transaction FROM event_order;
    -- Only where this transaction appended before: its number is as old as that.
    IF last_transaction > own_transaction THEN
        RAISE EXCEPTION 'aggregate % was appended to meanwhile', aggregate USING ERRCODE = 'SW001';
    END IF;
    INSERT INTO events (transaction_id, aggregate_id, version, event_type, payload)
        SELECT own_transaction, aggregate, present + number, event_type, payload
        FROM unnest(event_types, payloads) WITH ORDINALITY AS given (event_type, payload, number)
        ORDER BY number
        ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS appended = ROW_COUNT;
    IF appended <> cardinality(event_types) THEN
        RAISE EXCEPTION 'aggregate % was appended to meanwhile', aggregate USING ERRCODE = 'SW001';
    END IF;
    RETURN present + appended;
END $$;

-- Below this number no event will be added any more. To be asked in a statement before the one that
-- reads: what has released its lock by then is visible to the next snapshot, what has not is counted
-- here, and what takes it later gets a number from the end of this snapshot on.
CREATE FUNCTION event_bound() RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER
    SET search_path FROM CURRENT AS $$
    WITH present AS (
        SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS following
    ), running AS (
        -- pg_locks has the lower half of the number only.
        SELECT (following - own.transactionid::text::bigint) & 4294967295 AS age
        FROM present, pg_locks AS append
        JOIN pg_locks AS own ON own.virtualtransaction = append.virtualtransaction
        WHERE append.locktype = 'advisory' AND append.granted AND append.classid = 0
            AND append.objid = 1592678375 AND append.objsubid = 1
            AND append.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND own.locktype = 'transactionid' AND own.mode = 'ExclusiveLock' AND own.granted
    )
    SELECT following + shift - coalesce((SELECT max(age) FROM running WHERE age < 2147483648), 0)
    FROM present, event_order
$$;
REVOKE EXECUTE ON FUNCTION append_events, event_bound FROM PUBLIC;

CREATE TABLE assets (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    symbol text NOT NULL UNIQUE CHECK (symbol ~ '^[A-Z0-9.]{1,12}$'),
    name text NOT NULL
);

CREATE TABLE portfolios (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    user_id bigint NOT NULL,
    name text NOT NULL,
    initial_value_eur numeric(18, 2) NOT NULL CHECK (initial_value_eur >= 0),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX portfolios_user ON portfolios (user_id, id);

CREATE TABLE portfolio_snapshots (
    portfolio_id bigint NOT NULL REFERENCES portfolios ON DELETE CASCADE,
    snapshot_date date NOT NULL,
    value_eur numeric(18, 2) NOT NULL,
    PRIMARY KEY (portfolio_id, snapshot_date)
);
CREATE INDEX portfolio_snapshots_date ON portfolio_snapshots (snapshot_date);

CREATE TABLE trades (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    portfolio_id bigint NOT NULL REFERENCES portfolios ON DELETE CASCADE,
    asset_id bigint NOT NULL REFERENCES assets,
    side text NOT NULL CHECK (side IN ('buy', 'sell')),
    quantity numeric(18, 4) NOT NULL CHECK (quantity > 0),
    price_eur numeric(18, 4) NOT NULL CHECK (price_eur > 0),
    executed_at timestamptz NOT NULL
);
CREATE INDEX trades_portfolio ON trades (portfolio_id, executed_at DESC, id DESC);
CREATE INDEX trades_asset ON trades (asset_id);

-- Empty tables fill it at once, so that it can be read and refreshed concurrently from now on. A
-- gain on nothing is unknown, not infinite.
CREATE MATERIALIZED VIEW mv_portfolio_performance_summary AS
SELECT
    portfolio.id AS portfolio_id,
    portfolio.name AS portfolio_name,
    portfolio.user_id,
    snapshot.value_eur AS current_value_eur,
    portfolio.initial_value_eur,
    round(
        100 * (snapshot.value_eur - portfolio.initial_value_eur)
        / nullif(portfolio.initial_value_eur, 0), 4
    ) AS gain_percent,
    snapshot.snapshot_date
FROM portfolios AS portfolio
JOIN portfolio_snapshots AS snapshot ON snapshot.portfolio_id = portfolio.id
WHERE snapshot.snapshot_date = current_date;
CREATE UNIQUE INDEX mv_portfolio_performance_summary_portfolio
    ON mv_portfolio_performance_summary (portfolio_id);

CREATE TABLE view_refreshes (
    view text PRIMARY KEY,
    started_at timestamptz NOT NULL,
    refreshed_at timestamptz,
    seconds double precision,
    failures bigint NOT NULL DEFAULT 0,
    reason text NOT NULL DEFAULT ''
);
COMMENT ON TABLE view_refreshes IS
    'The last refresh of each view: begun, completed, how long it took; failures in a row and why.';
