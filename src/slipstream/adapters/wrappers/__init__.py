"""Behaviour around any port: failpoints, fences, notes, digests. Never a vendor's code."""
