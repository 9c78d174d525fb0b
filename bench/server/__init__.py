"""A warm server: searches over HTTP beside searches in Python, many clients at once, and hostile ones."""
