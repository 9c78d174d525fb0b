"""The same operations for other processes, which ask the one that runs the engine by durable requests."""
