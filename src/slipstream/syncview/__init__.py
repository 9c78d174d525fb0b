"""
How each entity stands between graph and index, written back beside the graph.

Holds the state of an entity and its writer. May touch: engine's names, domain, ports.
"""
