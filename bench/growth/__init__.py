"""What grows with the graph: edits, searches, opening, incremental audits and memory at 10^4 to 10^6 entities."""
