"""The benchmark: what the engine does, measured in one run against the raw parts that it is made of."""
