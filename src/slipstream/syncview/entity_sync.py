"""How entities stand between graph and index right now, put together from stamps, work and dead letters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from slipstream.domain.entities import EntityState, RecordState
from slipstream.domain.errors import PoisonEventError
from slipstream.domain.keys import RecordKey
from slipstream.domain.stamps import KeyStamps, Stamp
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import DeadLetters
from slipstream.ports.recipe import Recipe
from slipstream.ports.sync_view import EntitySync, SyncState

_LETTERS_PAGE = 1_000
_NOTHING = KeyStamps()


class EntitySyncReader:
    """
    Reads the state of entities; writes nothing.

    A stamp is trusted to reflect the graph at its position; whether it really does, audits find out.
    """

    def __init__(
        self,
        graph: GraphReader,
        index: VectorIndex,
        letters: DeadLetters,
        recipe: Recipe,
        is_pending: Callable[[Sequence[RecordKey]], Sequence[bool]],
    ) -> None:
        self._graph, self._index, self._letters = graph, index, letters
        self._recipe, self._is_pending = recipe, is_pending

    def read(self, keys: Sequence[RecordKey]) -> dict[RecordKey, SyncState]:
        """Return the state of each entity; those that the graph does not hold are absent."""
        pending = {key for key, is_dirty in zip(keys, self._is_pending(keys), strict=True) if is_dirty}
        held = self._index.stamps(keys)
        dead = self._dead_among(keys)
        bare = [key for key in keys if not held.get(key, _NOTHING).records]
        # The graph is asked only where there is no record: a record stands for an entity that exists.
        found = self._graph.read(bare, self._recipe.hops()).states if bare else {}
        states: dict[RecordKey, SyncState] = {}
        for key in keys:
            records = held.get(key, _NOTHING).records
            if records:
                states[key] = _of_records(key, records, is_pending=key in pending, is_dead=key in dead)
            elif (state := found.get(key)) is not None:
                states[key] = self._of_bare(key, state, is_pending=key in pending, is_dead=key in dead)
        return states

    def _dead_among(self, keys: Sequence[RecordKey]) -> set[RecordKey]:
        if not self._letters.letter_count():
            return set()
        wanted, dead = set(keys), set[RecordKey]()
        after: str | None = None
        while page := self._letters.letters(after, _LETTERS_PAGE):
            dead.update(letter.key for letter in page if letter.key in wanted and letter.key is not None)
            after = page[-1].id
        return dead

    def _of_bare(self, key: RecordKey, state: RecordState, *, is_pending: bool, is_dead: bool) -> SyncState:
        entity_type = state.entity.type if isinstance(state, EntityState) else state.relationship.ref.type
        if is_dead or is_pending:
            status = EntitySync.DEAD_LETTER if is_dead else EntitySync.PENDING
        else:
            status = EntitySync.DIVERGENT if self._is_covered(state) else EntitySync.UNCOVERED
        return SyncState(key.id, entity_type, status)

    def _is_covered(self, state: RecordState) -> bool:
        try:
            return self._recipe.target(state) is not None
        except PoisonEventError:  # covered by a view that fails on it
            return True


def _of_records(key: RecordKey, records: Sequence[Stamp], *, is_pending: bool, is_dead: bool) -> SyncState:
    newest = max(records, key=lambda stamp: stamp.position)
    if is_dead:
        status = EntitySync.DEAD_LETTER
    elif is_pending or newest.needs_reembedding:
        status = EntitySync.PENDING
    else:
        status = EntitySync.FRESH if len(records) == 1 else EntitySync.DIVERGENT
    verified = max(newest.created_at, newest.last_validated or newest.created_at)
    return SyncState(
        key.id,
        newest.entity_type,
        status,
        newest.space.model_id,
        newest.schema_version,
        newest.position,
        newest.created_at,
        verified,
    )
