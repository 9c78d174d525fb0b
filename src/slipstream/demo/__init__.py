"""The main job, shown end to end on the graph of the Python environment that runs it."""
