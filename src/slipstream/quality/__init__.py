"""
How good the vectors are: one generation beside another, and each record by itself.

Holds metrics, comparisons, the tracking of records. May touch: recipes, domain, ports.
"""
