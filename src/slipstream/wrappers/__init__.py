"""Behaviour around any port: retry, timeout, faults. Never adapter code."""
