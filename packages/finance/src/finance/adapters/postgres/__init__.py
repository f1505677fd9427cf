"""PostgreSQL: the event store, the read models, the projector between them."""
