"""Insights (reads) and operations (commands): the only thing the faces call."""
