"""Conformance suites, strategies, fault wrappers and the simulator: shipped for authors of adapters."""
