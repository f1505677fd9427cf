CREATE TABLE masterdata.partners (
    tenant_id uuid NOT NULL,
    id        uuid NOT NULL,
    kind      text NOT NULL CHECK (kind IN ('customer', 'vendor')),
    code      text NOT NULL,
    name      text NOT NULL,
    tin       text CHECK (tin ~ '^[0-9]{12}$'),
    bin       text CHECK (bin ~ '^[0-9]{13}$'),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, kind, code)
);

CREATE TABLE masterdata.products (
    tenant_id    uuid NOT NULL,
    id           uuid NOT NULL,
    sku          text NOT NULL,
    name         text NOT NULL,
    unit         text NOT NULL,
    vat_category text NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, sku)
);

-- The tenant is set per transaction; without it nothing is seen and nothing can be written.
ALTER TABLE masterdata.partners ENABLE ROW LEVEL SECURITY;
ALTER TABLE masterdata.partners FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON masterdata.partners
    USING (tenant_id = nullif(current_setting('masterdata.tenant', true), '')::uuid);
ALTER TABLE masterdata.products ENABLE ROW LEVEL SECURITY;
ALTER TABLE masterdata.products FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON masterdata.products
    USING (tenant_id = nullif(current_setting('masterdata.tenant', true), '')::uuid);

GRANT USAGE ON SCHEMA masterdata TO masterdata_app;
GRANT SELECT, INSERT ON masterdata.partners, masterdata.products TO masterdata_app;
