"""Every target of "as fast as the parts" in one run: what was reached, and whether that is enough."""
