"""Whether word rows are as the graph says: made anew from the graph, by the writer's own rule, and compared whole."""

from __future__ import annotations

from slipstream.app.pkg import PKG
from slipstream.apply.words import WordWriter
from slipstream.domain.words import WordRow

_ALL = 100_000


def wrong_word_rows(graph: PKG, writer: WordWriter) -> list[str]:
    """Return the keys whose rows are missing, too many, or hold something else than the graph says."""
    keys = [row.key for row in graph.scan(None, _ALL)]
    snapshot = graph.read(keys, {})
    made = {key: writer.views.row(key, state, snapshot.position) for key, state in snapshot.states.items()}
    held = writer.words.rows([stamp.key for stamp in writer.words.scan(None, _ALL)])
    return sorted(key.encode() for key in made.keys() | held.keys() if _told(made.get(key)) != _told(held.get(key)))


def _told(row: WordRow | None) -> tuple[object, ...] | None:
    """Return all of a row but the position at which it was read."""
    return None if row is None else (*row[:2], *row[3:7], frozenset(row.names), row.digest)
