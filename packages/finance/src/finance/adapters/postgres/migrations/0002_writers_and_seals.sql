-- Which release wrote an event, and that no event was changed since somebody looked.

-- The name a connection gives itself: "finance 1.1.0 green". A default, so that a release which knows nothing of the
-- column fills it too; what was there before has none. A proof counts by it, nothing decides by it.
ALTER TABLE finance_log.events ADD COLUMN writer text;
ALTER TABLE finance_log.events ALTER COLUMN writer SET DEFAULT current_setting('application_name');

-- A chain: each seal covers the events of the transactions from `since` (included) to `until` (not included), and its
-- digest goes over the digest before it. Whoever changes an event must change all seals from there on, and whatever
-- was told of them elsewhere.
CREATE TABLE finance_log.seals (
    since     xid8 PRIMARY KEY,
    until     xid8 NOT NULL CHECK (until > since),
    events    bigint NOT NULL CHECK (events > 0),
    digest    bytea NOT NULL CHECK (length(digest) = 32),
    sealed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON finance_log.seals
    FOR EACH ROW EXECUTE FUNCTION finance_log.refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON finance_log.seals
    FOR EACH STATEMENT EXECUTE FUNCTION finance_log.refuse_change();
GRANT SELECT, INSERT ON finance_log.seals TO finance_projector;
