-- How much CPU each service used in all, in percent of a core, as sums over looks at it: what
-- forecasts learn from. In steps of five minutes, of which any steps of the settings can be made.
CREATE TABLE stellwerk.scaling_loads (
    service text NOT NULL,
    at timestamptz NOT NULL,
    cpu_percent double precision NOT NULL CHECK (cpu_percent >= 0),
    looks integer NOT NULL CHECK (looks > 0),
    PRIMARY KEY (service, at)
);
