"""
Which text stands for an entity, and what that text depends on. Pure.

Holds declarations, templates, rendering. May touch: domain.
"""
