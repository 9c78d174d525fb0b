"""
Plain values, and the rules on them: events, entities, positions, stamps, errors.

Holds nothing that does I/O. May touch: nothing of the rest.
"""
