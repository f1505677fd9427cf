"""What the second service needed too: settings, token check, telemetry. Knows no service."""
