"""Index and journal adapters."""
