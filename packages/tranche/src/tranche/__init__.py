"""Takes a service to production in tranches, and takes it back by itself when the new version is worse."""
