"""
Search joined with the live graph, at a stated freshness.

Holds arms, the join and the searcher. May touch: domain, ports, views.
"""
