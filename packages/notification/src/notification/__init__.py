"""A stub that says so: it will turn events and rollout news into messages, once."""
