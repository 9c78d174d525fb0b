"""Slipstream over HTTP: the page of metrics and the health check."""

from slipstream.http.server import MetricsServer, read_token, serve_metrics

__all__ = ["MetricsServer", "read_token", "serve_metrics"]
