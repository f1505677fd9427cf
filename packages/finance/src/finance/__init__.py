"""A general ledger with invoices and payments, event-sourced, for many tenants."""
