"""Reads GraphML, as APOC, Gephi, igraph, NetworkX, TinkerPop and yEd write it."""
