"""Protocols that adapters fulfil; each method says ordering, atomicity, idempotency and errors."""
