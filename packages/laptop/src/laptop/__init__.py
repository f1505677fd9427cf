"""The production topology on one machine, as supervised processes. Runs the demo and serves the tests."""
