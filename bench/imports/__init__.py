"""Imports until searchable, beside the bare parser and the bare stores on the same data."""
