"""Graph adapters."""
