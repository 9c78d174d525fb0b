"""What a server's index holds, and the dead letters: for reading, and to mark records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Never, cast

from slipstream.app.client.graph import refused
from slipstream.app.remote.calling import Caller
from slipstream.app.remote.indexing import asked_index
from slipstream.domain.errors import UnsupportedError
from slipstream.domain.keys import RecordKey
from slipstream.domain.work import DeadLetter, LetterSize
from slipstream.evolution.store import EmbeddingMatch, SchemaVersionedEmbeddingStore
from slipstream.ports.clock import Clock
from slipstream.ports.journal import Journal

_VECTORS = "vectors are searched and stored where the index is: call `search`"


class WireStore(SchemaVersionedEmbeddingStore):
    """The embeddings of a server's PKG: their metadata can be read, and keys marked; vectors stay where they are."""

    def __init__(self, caller: Caller, clock: Clock) -> None:
        def mark(keys: Sequence[RecordKey], reason: str, force: bool) -> None:
            caller.call("sync.mark", keys, reason=reason, force=force)

        super().__init__(
            asked_index(caller),
            refused("embedding models", _VECTORS),
            cast("Journal", _NoJournal()),  # nothing else is asked of it: what would is refused
            clock,
            schema=lambda: caller.call("pkg.schema"),
            schema_at=lambda version: caller.call("pkg.schema_at", version),
            mark=mark,
        )

    def query_embeddings(self, *args: Any, **kwargs: Any) -> list[EmbeddingMatch]:
        """Raise: vectors are not sent."""
        _refuse("query_embeddings", args, kwargs, instead=_VECTORS)

    def store_embedding(self, *args: Any, **kwargs: Any) -> str:
        """Raise: vectors are not sent."""
        _refuse("store_embedding", args, kwargs, instead=_VECTORS)

    def delete_embedding(self, *args: Any, **kwargs: Any) -> None:
        """Raise: only the server writes its index."""
        _refuse("delete_embedding", args, kwargs, instead="delete the entity: the index follows")

    def mark_for_reembedding(self, *args: Any, **kwargs: Any) -> int:
        """Raise: what is marked is chosen in the server."""
        _refuse("mark_for_reembedding", args, kwargs, instead="call `reembedding.trigger_reembedding`")


class _NoJournal:
    """Stands in for the engine's journal, of which nothing is known here."""

    def get(self, name: str) -> None:
        """Return None: nothing is known."""
        del name


class WireLetters:
    """The dead letters of a server's PKG, for reading; the facade replays and discards them."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def letters(self, after: str | None, limit: int) -> Sequence[DeadLetter]:
        """Return letters ordered by id behind `after`."""
        found: Sequence[DeadLetter] = self._caller.call("dead_letters.letters", after, limit)
        return found

    def find(self, ids: Sequence[str]) -> Sequence[DeadLetter]:
        """Return the letters with these ids."""
        found: Sequence[DeadLetter] = self._caller.call("list_dead_letters", list(ids))
        return found

    def letter_count(self) -> int:
        """Return how many letters there are."""
        return int(self._caller.call("status").dead_letters)

    def refused_size(self) -> LetterSize:
        """Raise: it is the server's to count."""
        _refuse("refused_size", instead="read `list_dead_letters`")

    def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Raise: letters are kept where events fail."""
        _refuse("bury", letters, instead="they are kept by the server")

    def remove(self, ids: Sequence[str]) -> int:
        """Raise: they are forgotten by `discard_dead_letters`."""
        _refuse("remove", ids, instead="call `discard_dead_letters`")

    def remove_keys(self, keys: Sequence[RecordKey]) -> int:
        """Raise: they are forgotten by `discard_dead_letters`."""
        _refuse("remove_keys", keys, instead="call `discard_dead_letters`")


def _refuse(name: str, *what: object, instead: str) -> Never:
    del what
    raise UnsupportedError(f"{name} can not be had from a server: {instead}")
