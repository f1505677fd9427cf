-- Which vouchers correct a document, so that nobody reads all vouchers to find them. Row level security would let no index
-- on the JSON itself be used. A trigger notes it, so that every release does, also one that knows nothing of this.
CREATE FUNCTION finance_log.note_correction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO finance_log.claims (tenant_id, kind, value, stream_id)
    VALUES (NEW.tenant_id, 'corrects/' || (NEW.data->'terms'->>'corrects_id'), NEW.stream_id::text, NEW.stream_id)
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER correction_noted AFTER INSERT ON finance_log.events
    FOR EACH ROW WHEN (NEW.type = 'voucher.created/1' AND NEW.data->'terms'->>'corrects_id' IS NOT NULL)
    EXECUTE FUNCTION finance_log.note_correction();

-- What is in the log already. Its owner is held to tenants like everybody, but for this one statement.
ALTER TABLE finance_log.events NO FORCE ROW LEVEL SECURITY;
ALTER TABLE finance_log.claims NO FORCE ROW LEVEL SECURITY;
INSERT INTO finance_log.claims (tenant_id, kind, value, stream_id)
SELECT tenant_id, 'corrects/' || (data->'terms'->>'corrects_id'), stream_id::text, stream_id
FROM finance_log.events WHERE type = 'voucher.created/1' AND data->'terms'->>'corrects_id' IS NOT NULL
ON CONFLICT DO NOTHING;
ALTER TABLE finance_log.events FORCE ROW LEVEL SECURITY;
ALTER TABLE finance_log.claims FORCE ROW LEVEL SECURITY;
