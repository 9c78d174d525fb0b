"""Word rows that each hide damage from an audit or its repair in one way: the tampering suite must fail them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.words import WordDeletion, WordRow, WordStamp, digest_of
from slipstream.ports.words import WordRows


class HonestRows:
    """Passes everything on: the base of the broken ones."""

    def __init__(self, inner: WordRows) -> None:
        self._inner = inner

    def put(self, rows: Sequence[WordRow], deletions: Sequence[WordDeletion] = ()) -> Sequence[RecordKey]:
        """Write and remove rows."""
        return self._inner.put(rows, deletions)

    def stamps(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, WordStamp]:
        """Return what is held of the keys."""
        return {key: self._shown(stamp) for key, stamp in self._inner.stamps(keys).items()}

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[WordStamp]:
        """Return stamps in the order of the keys."""
        return [self._shown(stamp) for stamp in self._inner.scan(after, limit)]

    def rows(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, WordRow]:
        """Return whole rows."""
        return self._inner.rows(keys)

    def count(self) -> int:
        """Count rows."""
        return self._inner.count()

    def clear(self) -> None:
        """Forget everything."""
        self._inner.clear()

    def _shown(self, stamp: WordStamp) -> WordStamp:
        return stamp


class RemembersWhatWasPut(HonestRows):
    """Answers with the rows as they were written, whatever became of them."""

    def __init__(self, inner: WordRows) -> None:
        super().__init__(inner)
        self._put: dict[RecordKey, WordRow] = {}

    def put(self, rows: Sequence[WordRow], deletions: Sequence[WordDeletion] = ()) -> Sequence[RecordKey]:
        """Write and remove rows."""
        self._put.update({row.key: row for row in rows})
        return super().put(rows, deletions)

    def rows(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, WordRow]:
        """Return what was written."""
        return {key: self._put.get(key, row) for key, row in super().rows(keys).items()}


class DigestsWhatItReads(HonestRows):
    """Tells the digest of the texts as they are, not the one that was written with them."""

    def rows(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, WordRow]:
        """Return rows that always fit their digests."""
        return {key: row._replace(digest=_digest(row)) for key, row in super().rows(keys).items()}


class HidesTheFuture(HonestRows):
    """Shows positions modulo 2**32, so that larger ones look old."""

    def rows(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, WordRow]:
        """Return rows of the past."""
        return {key: row._replace(position=_past(row.position)) for key, row in super().rows(keys).items()}

    def _shown(self, stamp: WordStamp) -> WordStamp:
        return stamp._replace(position=_past(stamp.position))


class KeepsDamagedTexts(HonestRows):
    """Does not write a row whose digest it holds already, and keeps rows that are removed to be written anew."""

    def put(self, rows: Sequence[WordRow], deletions: Sequence[WordDeletion] = ()) -> Sequence[RecordKey]:
        """Write what has another digest; never forget."""
        del deletions
        held = self.stamps([row.key for row in rows])
        return super().put([row for row in rows if row.key not in held or held[row.key].digest != row.digest])


class OverlooksForeignRows(HonestRows):
    """Counts and scans only what it has written itself."""

    def __init__(self, inner: WordRows) -> None:
        super().__init__(inner)
        self._hidden = "ghost"

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[WordStamp]:
        """Return the stamps of known rows."""
        return [stamp for stamp in super().scan(after, limit) if not stamp.key.id.startswith(self._hidden)]


def _past(position: Position) -> Position:
    return Position(position % 2**32)


def _digest(row: WordRow) -> bytes:
    return digest_of(row.entity_type, row.stemmer, row.name, row.aliases, row.body, row.names)


BROKEN_ROWS: Mapping[type[HonestRows], str] = {
    RemembersWhatWasPut: "body",
    DigestsWhatItReads: "name",
    HidesTheFuture: "position past the head",
    KeepsDamagedTexts: "body",
    OverlooksForeignRows: "foreign",
}
"""Each broken adapter, and the way of tampering that must show its fault."""
