CREATE TABLE auth.tenants (
    id   uuid PRIMARY KEY,
    name text NOT NULL UNIQUE
);

CREATE TABLE auth.users (
    id            uuid PRIMARY KEY,
    tenant_id     uuid NOT NULL REFERENCES auth.tenants,
    username      text NOT NULL,
    password_hash text NOT NULL,
    roles         text[] NOT NULL,
    internal      boolean NOT NULL DEFAULT false,
    UNIQUE (tenant_id, username)
);

-- A revoked token is refused until it would have expired; older rows are swept.
CREATE TABLE auth.revoked (
    token_id   uuid PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
CREATE INDEX revoked_by_expiry ON auth.revoked (expires_at);
