"""
Signed documents: what is signed of one, the key of a PKG, and how anybody verifies it without the PKG.

Holds the canonical form, signatures by Ed25519, the key's files. May touch: domain.
"""
