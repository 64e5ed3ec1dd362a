//! What every binary needs: configuration, telemetry, shutdown.
