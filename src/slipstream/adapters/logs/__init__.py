"""Change log adapters."""
