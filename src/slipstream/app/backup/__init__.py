"""Backup and restore of a PKG: made while everything runs, audited before it counts, put back in one step."""
