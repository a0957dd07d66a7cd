-- What is wanted, what is, and what happened. Owned by the superuser; grants are in grants.py.
CREATE TABLE stellwerk.migrations (
    version integer PRIMARY KEY CHECK (version > 0),
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE stellwerk.services (
    name text PRIMARY KEY,
    generation text NOT NULL,
    stable text,
    rollout bigint NOT NULL DEFAULT 0
);

-- Which generations hosts have been given, newest last: what `undo` and `rollback` choose from.
CREATE TABLE stellwerk.generations (
    service text NOT NULL REFERENCES stellwerk.services ON DELETE CASCADE,
    generation text NOT NULL,
    release text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (service, generation)
);

CREATE TABLE stellwerk.desired (
    service text NOT NULL REFERENCES stellwerk.services ON DELETE CASCADE,
    host text NOT NULL,
    instances integer NOT NULL CHECK (instances >= 0),
    changed_by text NOT NULL DEFAULT '',
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (service, host)
);

CREATE TABLE stellwerk.rollouts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    service text NOT NULL REFERENCES stellwerk.services ON DELETE CASCADE,
    generation text NOT NULL,
    previous text,
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'failed', 'done', 'replaced')),
    restart boolean NOT NULL DEFAULT false,
    max_unavailable integer NOT NULL DEFAULT 1 CHECK (max_unavailable >= 1),
    canary_seconds integer NOT NULL DEFAULT 0 CHECK (canary_seconds >= 0),
    canary_error_percent double precision NOT NULL DEFAULT 100,
    canary integer,
    canary_since timestamptz,
    canary_passed boolean NOT NULL DEFAULT false,
    started_by text NOT NULL DEFAULT '',
    started_at timestamptz NOT NULL DEFAULT now(),
    progressed_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    reason text NOT NULL DEFAULT '',
    failed_instance text NOT NULL DEFAULT '',
    journal text NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX rollouts_running ON stellwerk.rollouts (service) WHERE state = 'running';

CREATE TABLE stellwerk.instances (
    service text NOT NULL REFERENCES stellwerk.services ON DELETE CASCADE,
    port integer NOT NULL CHECK (port BETWEEN 1 AND 65535),
    host text NOT NULL,
    address text NOT NULL,
    generation text NOT NULL,
    rollout bigint NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT 'starting'
        CHECK (state IN ('starting', 'ready', 'draining', 'failed')),
    purpose text CHECK (purpose IN ('roll', 'retire')),
    held boolean NOT NULL DEFAULT false,
    since timestamptz NOT NULL DEFAULT now(),
    restarts integer NOT NULL DEFAULT 0,
    reason text NOT NULL DEFAULT '',
    PRIMARY KEY (service, port)
);

CREATE TABLE stellwerk.sightings (
    service text NOT NULL,
    port integer NOT NULL,
    balancer text NOT NULL,
    seen text NOT NULL CHECK (seen IN ('up', 'down', 'draining', 'out')),
    active integer NOT NULL DEFAULT 0,
    requests bigint NOT NULL DEFAULT 0,
    errors bigint NOT NULL DEFAULT 0,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (service, port, balancer),
    FOREIGN KEY (service, port) REFERENCES stellwerk.instances ON DELETE CASCADE
);

-- Heartbeats and samples are worth nothing after a crash, and cost no write-ahead log.
CREATE UNLOGGED TABLE stellwerk.agents (
    host text NOT NULL,
    role text NOT NULL CHECK (role IN ('apps', 'balancers')),
    seen_at timestamptz NOT NULL DEFAULT now(),
    release text NOT NULL DEFAULT '',
    status text NOT NULL DEFAULT '',
    PRIMARY KEY (host, role)
);

CREATE UNLOGGED TABLE stellwerk.samples (
    service text NOT NULL,
    port integer NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    cpu_percent double precision,
    memory_bytes bigint
);
CREATE INDEX samples_instance ON stellwerk.samples (service, port, at);
CREATE INDEX samples_at ON stellwerk.samples (at);

CREATE TABLE stellwerk.events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    kind text NOT NULL,
    service text NOT NULL DEFAULT '',
    port integer,
    host text NOT NULL DEFAULT '',
    detail text NOT NULL DEFAULT ''
);
CREATE INDEX events_at ON stellwerk.events (at);

-- Agents write events but may not take back what they wrote: only what is old can be removed.
CREATE FUNCTION stellwerk.prune_events() RETURNS void LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$ DELETE FROM stellwerk.events WHERE at < now() - interval '90 days' $$;

-- Listeners read the ledger again; the payload only says which table moved. Per row, as a statement
-- that changes no row would tell them too; PostgreSQL sends equal ones of a transaction once.
CREATE FUNCTION stellwerk.tell() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM pg_notify('stellwerk', TG_TABLE_NAME);
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION stellwerk.prune_events(), stellwerk.tell() FROM PUBLIC;
CREATE TRIGGER tell AFTER INSERT OR DELETE ON stellwerk.services
    FOR EACH ROW EXECUTE FUNCTION stellwerk.tell();
CREATE TRIGGER tell_changed AFTER UPDATE ON stellwerk.services
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION stellwerk.tell();
CREATE TRIGGER tell AFTER INSERT OR DELETE ON stellwerk.desired
    FOR EACH ROW EXECUTE FUNCTION stellwerk.tell();
CREATE TRIGGER tell_changed AFTER UPDATE ON stellwerk.desired
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION stellwerk.tell();
CREATE TRIGGER tell AFTER INSERT OR DELETE ON stellwerk.rollouts
    FOR EACH ROW EXECUTE FUNCTION stellwerk.tell();
CREATE TRIGGER tell_changed AFTER UPDATE ON stellwerk.rollouts
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION stellwerk.tell();
CREATE TRIGGER tell AFTER INSERT OR DELETE ON stellwerk.instances
    FOR EACH ROW EXECUTE FUNCTION stellwerk.tell();
CREATE TRIGGER tell_changed AFTER UPDATE ON stellwerk.instances
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION stellwerk.tell();
-- Counts of requests move all the time and are read when they are needed.
CREATE TRIGGER tell AFTER INSERT OR DELETE ON stellwerk.sightings
    FOR EACH ROW EXECUTE FUNCTION stellwerk.tell();
CREATE TRIGGER tell_changed AFTER UPDATE ON stellwerk.sightings
    FOR EACH ROW WHEN (OLD.seen IS DISTINCT FROM NEW.seen) EXECUTE FUNCTION stellwerk.tell();
