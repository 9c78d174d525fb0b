"""Real graphs to try things on: the knowledge graph of the Python environment itself. Reads, never imports."""
