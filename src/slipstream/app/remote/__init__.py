"""The same operations from other processes: asked of the one that runs the engine, through durable requests."""
