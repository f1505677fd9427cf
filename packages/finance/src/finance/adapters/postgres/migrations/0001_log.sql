-- The event log: the only shared truth. Everything else can be thrown away and made anew.
-- The roles finance_app (commands and queries) and finance_projector (replay) exist already; neither owns
-- anything here, and neither can see around row level security.

CREATE TABLE finance_log.tenants (
    tenant_id uuid PRIMARY KEY,
    name      text NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE finance_log.events (
    position       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- A serial number is not the order of commits: readers order by (tx, position) and stop at the oldest
    -- transaction still running.
    tx             xid8 NOT NULL DEFAULT pg_current_xact_id(),
    tenant_id      uuid NOT NULL,
    stream_id      uuid NOT NULL,
    version        integer NOT NULL CHECK (version > 0),
    kind           text NOT NULL,
    type           text NOT NULL,
    data           jsonb NOT NULL,
    effective_date date,
    actor          text NOT NULL,
    recorded_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (tenant_id, stream_id, version)
);
CREATE INDEX events_in_commit_order ON finance_log.events (tx, position);

-- Numbers are drawn under the lock of their row and fall back with the transaction: no gap, none twice.
CREATE TABLE finance_log.counters (
    tenant_id   uuid NOT NULL,
    series      text NOT NULL,
    fiscal_year text NOT NULL,
    last        integer NOT NULL,
    PRIMARY KEY (tenant_id, series, fiscal_year)
);

-- Values that only one stream of a tenant may have, such as an account code.
CREATE TABLE finance_log.claims (
    tenant_id uuid NOT NULL,
    kind      text NOT NULL,
    value     text NOT NULL,
    stream_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, kind, value)
);

-- The answer to every request that came with an idempotency key, written with what it answers.
CREATE TABLE finance_log.answers (
    tenant_id   uuid NOT NULL,
    key         text NOT NULL CHECK (length(key) BETWEEN 1 AND 200),
    digest      bytea NOT NULL,
    kind        text NOT NULL,
    state       jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, key)
);

CREATE FUNCTION finance_log.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the event log is append-only: % is refused', TG_OP USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON finance_log.events
    FOR EACH ROW EXECUTE FUNCTION finance_log.refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON finance_log.events
    FOR EACH STATEMENT EXECUTE FUNCTION finance_log.refuse_change();

-- The tenant is set per transaction. Unset, the comparison is with NULL: nothing is seen, nothing is written.
CREATE FUNCTION finance_log.tenant() RETURNS uuid LANGUAGE sql STABLE AS
    $$ SELECT nullif(current_setting('finance.tenant', true), '')::uuid $$;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['tenants', 'events', 'counters', 'claims', 'answers'] LOOP
        EXECUTE format('ALTER TABLE finance_log.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE finance_log.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own ON finance_log.%I USING (tenant_id = finance_log.tenant())', name);
    END LOOP;
END $$;
CREATE POLICY replay ON finance_log.events FOR SELECT TO finance_projector USING (true);
CREATE POLICY replay ON finance_log.tenants FOR SELECT TO finance_projector USING (true);

GRANT USAGE ON SCHEMA finance_log TO finance_app, finance_projector;
GRANT SELECT ON finance_log.tenants TO finance_app, finance_projector;
GRANT SELECT, INSERT ON finance_log.events, finance_log.claims, finance_log.answers TO finance_app;
GRANT SELECT, INSERT, UPDATE ON finance_log.counters TO finance_app;
GRANT SELECT ON finance_log.events TO finance_projector;

-- Each release makes its own read schema.
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO finance_projector', current_database()); END $$;
