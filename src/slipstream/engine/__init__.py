"""
The engine: every committed change becomes the smallest write that makes the index equal to the graph.

The life of a change: `intake` → `planner` → `ledger` → `loop` (reconcile, apply) → `progress`. May touch:
what lies below it, down to domain; never a vendor.
"""
