"""
Protocols that adapters fulfil; each method says ordering, atomicity, idempotency and errors.

Holds no code but contracts and their values. May touch: domain.
"""
