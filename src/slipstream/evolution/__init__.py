"""
What a schema evolution asks for: what differs, which records that selects, and their re-embedding.

Holds schema differences, selections, the schema-versioned store. May touch: domain, ports, recipes, apply.
"""
