"""Faults placed at chosen calls of a whole PKG: graph, journal, index, cache, and both kinds of index."""
