"""The GraphQL face: resolvers, permissions, and how refusals and faults are told."""
