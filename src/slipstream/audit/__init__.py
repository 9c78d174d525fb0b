"""
Compare both sides, prove them equal, and repair what differs by marking it dirty.

Holds full and incremental audits, digests, repair, its brake and its schedule. May touch: engine, apply,
ports, domain.
"""
