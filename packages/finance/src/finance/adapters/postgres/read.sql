-- The read models of one release. Made and owned by it, thrown away with it; never shared.
CREATE SCHEMA IF NOT EXISTS {schema};

CREATE TABLE IF NOT EXISTS {schema}.checkpoint (
    single   boolean PRIMARY KEY DEFAULT true CHECK (single),
    tx       xid8   NOT NULL DEFAULT '0',
    position bigint NOT NULL DEFAULT 0
);
INSERT INTO {schema}.checkpoint DEFAULT VALUES ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS {schema}.account (
    tenant_id uuid, id uuid, position bigint NOT NULL, version integer NOT NULL, state jsonb NOT NULL,
    code text NOT NULL, account_type text NOT NULL, active boolean NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS account_by_code ON {schema}.account (tenant_id, code);

CREATE TABLE IF NOT EXISTS {schema}.approval (
    tenant_id uuid, id uuid, position bigint NOT NULL, version integer NOT NULL, state jsonb NOT NULL,
    document_id text NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS approval_newest ON {schema}.approval (tenant_id, position);

CREATE TABLE IF NOT EXISTS {schema}.authority (
    tenant_id uuid, id uuid, position bigint NOT NULL, version integer NOT NULL, state jsonb NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE IF NOT EXISTS {schema}.bankfile (
    tenant_id uuid, id uuid, position bigint NOT NULL, version integer NOT NULL, state jsonb NOT NULL,
    account_id text NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE IF NOT EXISTS {schema}.bankline (
    tenant_id uuid, id uuid, position bigint NOT NULL, version integer NOT NULL, state jsonb NOT NULL,
    account_id text NOT NULL, status text NOT NULL, currency text NOT NULL, booked_on date NOT NULL,
    amount_minor bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS bankline_by_day ON {schema}.bankline (tenant_id, account_id, status, booked_on);

CREATE TABLE IF NOT EXISTS {schema}.folder (
    tenant_id uuid, id uuid, position bigint NOT NULL, version integer NOT NULL, state jsonb NOT NULL,
    document_id text NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE IF NOT EXISTS {schema}.invoice (
    tenant_id uuid, id uuid, position bigint NOT NULL, version integer NOT NULL, state jsonb NOT NULL,
    status text NOT NULL, customer_id text NOT NULL, due_date date NOT NULL,
    number text, turned text GENERATED ALWAYS AS (reverse(number)) STORED, dated date NOT NULL, currency text NOT NULL, total_minor bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS invoice_newest ON {schema}.invoice (tenant_id, position);

CREATE TABLE IF NOT EXISTS {schema}.payment (
    tenant_id uuid, id uuid, position bigint NOT NULL, version integer NOT NULL, state jsonb NOT NULL,
    status text NOT NULL, invoice_id text, method text NOT NULL, partner_id text,
    number text, turned text GENERATED ALWAYS AS (reverse(number)) STORED, dated date NOT NULL, currency text NOT NULL, total_minor bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS payment_newest ON {schema}.payment (tenant_id, position);
CREATE INDEX IF NOT EXISTS payment_by_invoice ON {schema}.payment (tenant_id, invoice_id);

CREATE TABLE IF NOT EXISTS {schema}.voucher (
    tenant_id uuid, id uuid, position bigint NOT NULL, version integer NOT NULL, state jsonb NOT NULL,
    status text NOT NULL, voucher_kind text NOT NULL, partner_id text NOT NULL, due_date date NOT NULL,
    number text, turned text GENERATED ALWAYS AS (reverse(number)) STORED, dated date NOT NULL, currency text NOT NULL, total_minor bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS voucher_newest ON {schema}.voucher (tenant_id, position);

CREATE TABLE IF NOT EXISTS {schema}.journal (
    tenant_id uuid, id uuid, position bigint NOT NULL, version integer NOT NULL, state jsonb NOT NULL,
    status text NOT NULL, journal_type text NOT NULL, fiscal_period text NOT NULL,
    number text, turned text GENERATED ALWAYS AS (reverse(number)) STORED, dated date NOT NULL, currency text NOT NULL, total_minor bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS journal_newest ON {schema}.journal (tenant_id, position);
CREATE INDEX IF NOT EXISTS journal_by_period ON {schema}.journal (tenant_id, fiscal_period, position);

-- Lists are searched by partner, day, amount, and by how a number begins or ends. Row level security lets only operators
-- that leak nothing use an index: a pattern is asked for as a range, of the number or of the number turned round, and
-- amounts are no numeric (listing.py).
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['invoice', 'payment', 'voucher', 'journal'] LOOP
        EXECUTE format('CREATE INDEX IF NOT EXISTS %1$s_by_day ON {schema}.%1$I (tenant_id, dated, position)', name);
        EXECUTE format('CREATE INDEX IF NOT EXISTS %1$s_by_total ON {schema}.%1$I (tenant_id, total_minor)', name);
        EXECUTE format('CREATE INDEX IF NOT EXISTS %1$s_by_number ON {schema}.%1$I
            (tenant_id, number text_pattern_ops) WHERE number IS NOT NULL', name);
        EXECUTE format('CREATE INDEX IF NOT EXISTS %1$s_by_number_end ON {schema}.%1$I
            (tenant_id, turned text_pattern_ops) WHERE number IS NOT NULL', name);
    END LOOP;
END $$;
CREATE INDEX IF NOT EXISTS invoice_by_customer ON {schema}.invoice (tenant_id, customer_id, position);
CREATE INDEX IF NOT EXISTS payment_by_partner ON {schema}.payment (tenant_id, partner_id, position);
CREATE INDEX IF NOT EXISTS voucher_by_partner ON {schema}.voucher (tenant_id, partner_id, position);
CREATE INDEX IF NOT EXISTS invoice_open ON {schema}.invoice (tenant_id, due_date)
    WHERE status IN ('APPROVED', 'PARTIALLY_PAID');
CREATE INDEX IF NOT EXISTS voucher_open ON {schema}.voucher (tenant_id, due_date)
    WHERE status IN ('APPROVED', 'PARTIALLY_PAID');
CREATE INDEX IF NOT EXISTS journal_drafts ON {schema}.journal (tenant_id, position) WHERE status = 'DRAFT';

CREATE TABLE IF NOT EXISTS {schema}.period (
    tenant_id uuid, id uuid, position bigint NOT NULL, version integer NOT NULL, state jsonb NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE IF NOT EXISTS {schema}.policy (
    tenant_id uuid, id uuid, position bigint NOT NULL, version integer NOT NULL, state jsonb NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE IF NOT EXISTS {schema}.rate (
    tenant_id uuid, id uuid, position bigint NOT NULL, version integer NOT NULL, state jsonb NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE IF NOT EXISTS {schema}.tax (
    tenant_id uuid, id uuid, position bigint NOT NULL, version integer NOT NULL, state jsonb NOT NULL,
    code text NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE IF NOT EXISTS {schema}.year (
    tenant_id uuid, id uuid, position bigint NOT NULL, version integer NOT NULL, state jsonb NOT NULL,
    fiscal_year text NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE IF NOT EXISTS {schema}.template (
    tenant_id uuid, id uuid, position bigint NOT NULL, version integer NOT NULL, state jsonb NOT NULL,
    status text NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

-- The numbers that documents have. Nothing here forbids a double: it is what the report is to find.
CREATE TABLE IF NOT EXISTS {schema}.number (
    tenant_id uuid, series text, fiscal_year text, sequence integer, document_id text NOT NULL,
    PRIMARY KEY (tenant_id, fiscal_year, series, sequence, document_id)
);

-- What was posted to each account on each day, in minor units of its currency and of that of the books. No sum of entries is too large for it: one tenant's
-- figures must not stop the read models of all.
CREATE TABLE IF NOT EXISTS {schema}.balance (
    tenant_id uuid, account_id text, currency text, effective_date date,
    debit_minor numeric(38) NOT NULL, credit_minor numeric(38) NOT NULL,
    base_debit_minor numeric(38) NOT NULL, base_credit_minor numeric(38) NOT NULL,
    PRIMARY KEY (tenant_id, account_id, currency, effective_date)
);

-- What each line of a posted entry did: for reports by account, partner and item, dated and known until any day.
CREATE TABLE IF NOT EXISTS {schema}.movement (
    tenant_id uuid, journal_id uuid, place integer, position bigint NOT NULL, posted_at timestamptz NOT NULL,
    account_id text NOT NULL, effective_date date NOT NULL, currency text NOT NULL,
    debit_minor bigint NOT NULL, credit_minor bigint NOT NULL,
    base_debit_minor bigint NOT NULL, base_credit_minor bigint NOT NULL,
    number text NOT NULL, description text NOT NULL, journal_type text NOT NULL, original_id uuid,
    document_id text, partner_id text, item_id text, due_date date, tax_code text,
    PRIMARY KEY (tenant_id, journal_id, place)
);
CREATE INDEX IF NOT EXISTS movement_by_account ON {schema}.movement (tenant_id, account_id, effective_date, position);
CREATE INDEX IF NOT EXISTS movement_by_tax ON {schema}.movement (tenant_id, effective_date) WHERE tax_code IS NOT NULL;
CREATE INDEX IF NOT EXISTS movement_by_day ON {schema}.movement (tenant_id, effective_date);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['account', 'approval', 'authority', 'bankfile', 'bankline', 'folder', 'invoice', 'payment', 'voucher', 'journal', 'period', 'policy', 'rate', 'tax', 'template', 'year', 'number', 'balance', 'movement'] LOOP
        EXECUTE format('ALTER TABLE {schema}.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE {schema}.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('DROP POLICY IF EXISTS own ON {schema}.%I', name);
        EXECUTE format('DROP POLICY IF EXISTS replay ON {schema}.%I', name);
        EXECUTE format('CREATE POLICY own ON {schema}.%I FOR SELECT TO finance_app
            USING (tenant_id = finance_log.tenant())', name);
        EXECUTE format('CREATE POLICY replay ON {schema}.%I TO finance_projector USING (true)', name);
        EXECUTE format('GRANT SELECT ON {schema}.%I TO finance_app', name);
    END LOOP;
END $$;
GRANT USAGE ON SCHEMA {schema} TO finance_app;
