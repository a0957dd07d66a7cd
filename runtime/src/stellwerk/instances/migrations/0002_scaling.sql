-- What app hosts have room for, and what the scaler remembers, measures, decides and is told.
ALTER TABLE stellwerk.agents
    ADD COLUMN cores integer CHECK (cores > 0),
    ADD COLUMN memory_bytes bigint CHECK (memory_bytes > 0),
    ADD COLUMN free_memory_bytes bigint CHECK (free_memory_bytes >= 0);

-- What is remembered of a service from one judgement to the next, whoever leads, and between what
-- bounds it was judged.
CREATE TABLE stellwerk.scaling_states (
    service text PRIMARY KEY REFERENCES stellwerk.services ON DELETE CASCADE,
    judged_at timestamptz NOT NULL,
    minimum integer NOT NULL,
    maximum integer NOT NULL,
    state jsonb NOT NULL
);

-- What operators have told the scaler: to leave a service alone, or to have so many for a while.
CREATE TABLE stellwerk.scaling_orders (
    service text PRIMARY KEY REFERENCES stellwerk.services ON DELETE CASCADE,
    instances integer CHECK (instances > 0),
    until timestamptz,
    given_by text NOT NULL DEFAULT '',
    given_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (instances IS NULL OR until IS NOT NULL)
);

CREATE TABLE stellwerk.scaling_decisions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    service text NOT NULL,
    before integer NOT NULL,
    after integer NOT NULL,
    sentence text NOT NULL,
    inputs jsonb NOT NULL
);
CREATE INDEX scaling_decisions_service ON stellwerk.scaling_decisions (service, id);
CREATE INDEX scaling_decisions_at ON stellwerk.scaling_decisions (at);

-- The services' own metrics, from the health answers of their instances.
CREATE UNLOGGED TABLE stellwerk.scaling_samples (
    service text NOT NULL,
    port integer NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    metrics jsonb NOT NULL
);
CREATE INDEX scaling_samples_at ON stellwerk.scaling_samples (at);

-- The scaler cannot take back what it decided: only what is old can be removed. Of judgements that
-- changed nothing there is one per service and interval.
CREATE FUNCTION stellwerk.prune_scaling() RETURNS void LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
        DELETE FROM stellwerk.scaling_decisions
        WHERE at < now() - CASE WHEN before = after THEN interval '1 day' ELSE interval '90 days' END
    $$;
REVOKE EXECUTE ON FUNCTION stellwerk.prune_scaling() FROM PUBLIC;
