"""Search joined with the live graph, at a stated freshness."""
