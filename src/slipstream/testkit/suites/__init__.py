"""One conformance suite a port."""
