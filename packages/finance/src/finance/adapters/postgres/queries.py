"""The SQL of what `views` reads. Of read models `{schema}` is the release's own."""

from finance.adapters.postgres.drilling import MOVEMENT

BALANCES = """
SELECT a.state::text, coalesce(sum(b.{base}debit_minor), 0) AS debit, coalesce(sum(b.{base}credit_minor), 0) AS credit
FROM {schema}.account a LEFT JOIN {schema}.{source} b ON b.tenant_id = a.tenant_id AND b.account_id = a.id::text
    AND ($2::text = $1 OR b.currency = $1)
    AND ($3::date IS NULL OR b.effective_date >= $3) AND ($4::date IS NULL OR b.effective_date <= $4){also}
WHERE $2 = $1 OR a.state->>'currency' = $1
    OR EXISTS (SELECT FROM {schema}.balance o WHERE o.tenant_id = a.tenant_id
        AND o.account_id = a.id::text AND o.currency = $1)
GROUP BY a.state, a.code ORDER BY a.code
"""
KNOWN = " AND ($5::timestamptz IS NULL OR b.posted_at <= $5)"
NOT_CLOSING = """ AND b.journal_type <> 'CLOSING' AND NOT EXISTS (SELECT FROM {schema}.journal o
        WHERE o.tenant_id = b.tenant_id AND o.id = b.original_id AND o.journal_type = 'CLOSING')"""
MOVED = """
FROM {schema}.movement m WHERE m.account_id = ANY($1::text[]) AND ($2::text IS NULL OR m.partner_id = $2)
    AND ($3::date IS NULL OR m.effective_date >= $3) AND ($4::date IS NULL OR m.effective_date <= $4)
    AND ($5::timestamptz IS NULL OR m.posted_at <= $5) AND ($6::text IS NULL OR m.currency = $6)
"""
BEYOND = " AND ($7::date IS NULL OR (m.effective_date, m.position, m.place) {side} ($7, $8::bigint, $9::int))"
"""What of `MOVED` stands after a place, or up to it."""
TAXED = """
SELECT m.account_id, m.tax_code, coalesce(o.journal_type, m.journal_type) AS journal_type,
    sum(m.base_debit_minor - m.base_credit_minor) AS net
FROM {schema}.movement m LEFT JOIN {schema}.journal o ON o.tenant_id = m.tenant_id AND o.id = m.original_id
WHERE (m.tax_code IS NOT NULL OR m.account_id = ANY($1::text[])) AND m.effective_date >= $2 AND m.effective_date <= $3
    AND ($4::timestamptz IS NULL OR m.posted_at <= $4)
GROUP BY 1, 2, 3
"""
FLOWS = """
SELECT account_id, sum(net) AS net FROM (
    SELECT m.account_id, m.base_credit_minor - m.base_debit_minor AS net,
        bool_or(m.account_id = ANY($1::text[])) OVER (PARTITION BY m.tenant_id, m.journal_id) AS touches
    FROM {schema}.movement m
    WHERE m.effective_date >= $2 AND m.effective_date <= $3 AND ($4::timestamptz IS NULL OR m.posted_at <= $4)
) moved WHERE touches AND account_id <> ALL($1::text[])
GROUP BY 1
"""
"""All lines of an entry have its day. No join: of tables just filled it was planned as one pass for each row."""
ALL_OF = """
FROM {schema}.movement m WHERE ($1::text IS NULL OR m.account_id = $1)
    AND ($2::date IS NULL OR m.effective_date >= $2) AND ($3::date IS NULL OR m.effective_date <= $3)
    AND ($4::timestamptz IS NULL OR m.posted_at <= $4) AND ($5::text IS NULL OR m.currency = $5)
"""
ALL_MOVED = f"""
SELECT {MOVEMENT}
{ALL_OF.replace("WHERE", "JOIN {schema}.account a ON a.tenant_id = m.tenant_id AND a.id::text = m.account_id WHERE")}
ORDER BY a.code, m.effective_date, m.position, m.place
"""
BESIDE = """
SELECT p.stream_id::text AS journal_id, e.stream_id::text, e.kind, e.type, e.version, e.position, e.actor, e.data::text
FROM finance_log.events p JOIN finance_log.events e ON e.tx = p.tx AND e.tenant_id = p.tenant_id
WHERE p.tenant_id = finance_log.tenant() AND p.stream_id = ANY($1::uuid[]) AND p.type = 'journal.posted/1'
    AND (e.kind <> 'journal' OR e.position = p.position)
ORDER BY e.position
"""
HISTORIES = """
SELECT stream_id::text, kind, type, version, position, actor, data::text FROM finance_log.events
WHERE tenant_id = finance_log.tenant() AND stream_id = ANY($1::uuid[]) ORDER BY stream_id, version
"""
LINES_OF_ENTRIES = """
SELECT j.journal_id, l.state::text FROM unnest($1::text[]) AS j (journal_id)
JOIN finance_log.claims c ON c.tenant_id = finance_log.tenant() AND c.kind = 'matched/' || j.journal_id
JOIN {schema}.bankline b ON b.tenant_id = c.tenant_id AND b.id = c.stream_id
    AND b.state->'match'->'journal_ids' ? j.journal_id
CROSS JOIN LATERAL jsonb_array_elements_text(b.state->'match'->'line_ids') WITH ORDINALITY AS x (line_id, place)
JOIN {schema}.bankline l ON l.tenant_id = b.tenant_id AND l.id = x.line_id::uuid
ORDER BY b.booked_on, b.position, x.place
"""
ITEMS = """
SELECT m.partner_id, coalesce(m.item_id, m.journal_id::text) AS item_id,
    sum(m.base_debit_minor - m.base_credit_minor) AS net, coalesce(min(m.due_date), min(m.effective_date)) AS due_date
FROM {schema}.movement m WHERE m.account_id = ANY($1::text[]) AND m.effective_date <= $2
    AND ($3::timestamptz IS NULL OR m.posted_at <= $3)
GROUP BY 1, 2 HAVING sum(m.base_debit_minor - m.base_credit_minor) <> 0
"""
SUMS = """
SELECT account_id, currency, sum(debit_minor - credit_minor) AS minor,
    sum(base_debit_minor - base_credit_minor) AS base_minor
FROM {schema}.balance WHERE effective_date <= $1 GROUP BY 1, 2
"""
LATER = """
SELECT j.position, j.state::text FROM {schema}.journal j WHERE EXISTS (SELECT FROM {schema}.movement m
    WHERE m.tenant_id = j.tenant_id AND m.journal_id = j.id AND m.effective_date <= $3 AND m.posted_at > $4)
    AND ($5::bigint IS NULL OR j.position > $5)
ORDER BY j.position LIMIT $1 OFFSET $2
"""
LATER_COUNT = """
SELECT count(DISTINCT m.journal_id) AS count FROM {schema}.movement m WHERE m.effective_date <= $1 AND m.posted_at > $2
"""
HOLDINGS = """
SELECT b.account_id, sum(CASE WHEN a.state->>'currency' = $2 THEN b.base_debit_minor - b.base_credit_minor
    WHEN b.currency = a.state->>'currency' THEN b.debit_minor - b.credit_minor END) AS holding
FROM {schema}.balance b JOIN {schema}.account a ON a.tenant_id = b.tenant_id AND a.id::text = b.account_id
WHERE b.account_id = ANY($1::text[]) GROUP BY b.account_id
"""
SERIES = """
SELECT series, count(*) AS count, max(sequence) AS last,
    coalesce(jsonb_agg(jsonb_build_array(before + 1, sequence - 1) ORDER BY sequence)
        FILTER (WHERE sequence > before + 1), '[]')::text AS missing,
    coalesce(jsonb_agg(sequence) FILTER (WHERE sequence = before), '[]')::text AS repeated
FROM (
    SELECT series, sequence, lag(sequence, 1, 0) OVER (PARTITION BY series ORDER BY sequence) AS before
    FROM {schema}.number WHERE fiscal_year = $1
) n
GROUP BY series ORDER BY series
"""
