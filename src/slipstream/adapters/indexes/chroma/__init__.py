"""
The vector index in Chroma: embedded in a directory, or on a server.

One writer at a time: the adapter compares positions itself, because Chroma has no conditional upsert. An embedded
directory is locked, its log is never purged, and a broken segment is rebuilt from that log on opening.
"""

from slipstream.adapters.indexes.chroma.index import ChromaIndex

__all__ = ["ChromaIndex"]
