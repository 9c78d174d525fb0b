"""Backup and restore of a PKG: made while everything runs, audited before it counts, swapped in by one step."""
