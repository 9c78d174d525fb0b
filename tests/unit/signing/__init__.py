"""Signed documents and the key of a PKG."""
