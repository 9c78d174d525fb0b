"""Formats that events and graphs come in: read without side effects, every refusal names its field."""
