"""One conformance suite for each port."""
