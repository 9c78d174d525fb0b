"""Plain values: events, entities, positions, stamps, errors. Imports nothing of the rest."""
