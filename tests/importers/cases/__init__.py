"""The cases of the formats."""
