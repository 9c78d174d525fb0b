"""The engine: planner, ledger, pipeline, retries, dead letters, checkpoints."""
