"""Issues and revokes tokens, publishes its keys, knows users, roles and tenants."""
