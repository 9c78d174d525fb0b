"""Exporters: Prometheus and OpenTelemetry, each behind an extra."""
