"""Audit both sides, and repair by marking dirty."""
