"""Backups of WordNet beside a plain copy of the same files."""
