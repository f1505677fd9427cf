"""Takes a service to production in tranches, and takes it back by itself when the new version is worse."""

__version__ = "1.1.0"
