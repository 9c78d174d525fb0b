"""One package or module a vendor; vendor imports are lazy, behind extras."""
