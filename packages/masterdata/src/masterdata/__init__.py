"""Customers, vendors and products; single and batch look-ups."""
