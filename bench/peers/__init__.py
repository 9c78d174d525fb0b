"""Slipstream beside other ways to keep a vector index up to date, on the same work, in one run."""
