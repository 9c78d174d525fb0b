"""Why a record is not among the hits of a search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from slipstream.domain.entities import RecordState
from slipstream.domain.keys import KeyKind, RecordKey, entity_key, relationship_key
from slipstream.domain.stamps import Stamp
from slipstream.domain.words import NameKind, fold
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import DeadLetters
from slipstream.search.arms import VECTOR, Arms, Asking
from slipstream.search.explaining import Shares
from slipstream.search.explanations import ArmShare, Reason, WhyNot
from slipstream.search.fusing import Fused
from slipstream.search.joining import Joined, Joining
from slipstream.search.words import SearchedWords

DEPTH_MAX = 12_800
"""How many hits of each arm are looked through for a record, at most."""

Fusing = Callable[[int], Fused]
"""Returns what the arms find at a depth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """One record, and one search that may have it."""

    asking: Asking
    arms: Arms
    joining: Joining
    graph: GraphReader
    index: VectorIndex
    words: SearchedWords | None
    letters: DeadLetters | None
    fused: Fusing
    shares: Callable[[Fused], Shares]

    def reason(self, entity_id: str, joined: Sequence[Joined], found: Fused, depth: int) -> WhyNot:
        """Return why the record is not among `joined`, or at which rank it is."""
        key, state = self._state(entity_id)
        if state is None:
            return self._gone(entity_id, key)
        rank = _rank(joined, key)
        if rank is not None:
            return self._told(entity_id, "found", f"it is hit number {rank}", rank, self._shares(found, key))
        if (told := self._filtered(key, state)) is not None:
            return self._told(entity_id, "filtered", f"a filter leaves it out: {told}")
        return self._ranked(entity_id, key, depth) or self._not_found(entity_id, key)

    def _state(self, entity_id: str) -> tuple[RecordKey, RecordState | None]:
        keys = [entity_key(entity_id), relationship_key(entity_id)]
        states = self.graph.read(keys, self.arms.live.recipe.hops()).states
        key = next((key for key in keys if key in states), keys[0])
        return key, states.get(key)

    def _gone(self, entity_id: str, key: RecordKey) -> WhyNot:
        held = self.index.stamps([key]).get(key)
        if held is not None and (held.records or held.tombstone is not None):
            return self._told(entity_id, "deleted", "it was deleted from the graph")
        return self._told(entity_id, "unknown", "the graph has no such record: look at the spelling of its id")

    def _filtered(self, key: RecordKey, state: RecordState) -> str | None:
        if (told := self.joining.refusal(state)) is not None:
            return told
        least, stamp = self.asking.where.schema_version_min, self._stamp(key)
        if least is not None and stamp is not None and stamp.schema_version < least:
            return f"it was embedded at version {stamp.schema_version} of the schema, not at {least} or later"
        return None

    def _ranked(self, entity_id: str, key: RecordKey, depth: int) -> WhyNot | None:
        """Look for it ever further behind; returns None where no arm has it."""
        while True:
            fused = self.fused(depth)
            at = next((at for at, each in enumerate(fused.candidates, 1) if each.key == key), None)
            if at is not None:
                rank = _rank(self.joining.first(at, fused.candidates), key)
                if rank is None:
                    return None
                rank = max(rank, self.asking.k + 1)
                line = f"it is number {rank}, and {self.asking.k} hits were asked for: raise k, or say more of it"
                return self._told(entity_id, "rank", line, rank, self._shares(fused, key))
            if fused.is_exhausted or depth >= DEPTH_MAX:
                return None
            depth = min(4 * depth, DEPTH_MAX)

    def _not_found(self, entity_id: str, key: RecordKey) -> WhyNot:
        letters = self.letters.find([key.encode()]) if self.letters is not None else ()
        if letters:
            return self._told(entity_id, "dead_letter", f"{letters[0].error}: see `slipstream dead-letters`")
        by_vectors = self.asking.by_vectors and VECTOR not in self.arms.degraded
        if by_vectors and self._stamp(key) is None:
            line = "it has no vector yet, and none of its words is in the query: wait, or look at `slipstream status`"
            return self._told(entity_id, "not_yet_embedded", line)
        words = self.arms.words
        if words is not None and words.conditions is not None:
            line = (
                "the query says what hits must have or must not, and it does not fit: leave out quotes, fields or -"
            )
            return self._told(entity_id, "filtered", line)
        if by_vectors:
            return self._told(entity_id, "rank", f"it is not among the first {DEPTH_MAX:,} hits of any arm")
        if not self._has_words(key):
            line = "its words are not indexed yet: wait, or look at `slipstream status`"
            return self._told(entity_id, "not_yet_in_words", line)
        return self._told(entity_id, "no_such_word", self._no_such_word())

    def _no_such_word(self) -> str:
        if self.asking.options.mode == "exact":
            return "none of its names, aliases and keys is this text, nor is its id"
        line = "none of the words that were looked for is in it"
        if VECTOR in self.arms.degraded:
            line += "; and no model answers, so that it can not be found by its meaning"
        return line

    def _has_words(self, key: RecordKey) -> bool:
        if self.words is None or key.kind is KeyKind.RELATIONSHIP:
            return self.words is not None  # a relationship has no name of its own that could be asked for
        named = self.words.index.named(fold(key.id), None, 100)
        return any(hit.key == key and hit.name.kind == NameKind.ID for hit in named)

    def _stamp(self, key: RecordKey) -> Stamp | None:
        held = self.index.stamps([key]).get(key)
        spaces = {scope.space for scope in self.arms.live.scopes}
        return None if held is None else next((each for each in held.records if each.space in spaces), None)

    def _shares(self, fused: Fused, key: RecordKey) -> tuple[ArmShare, ...]:
        return tuple(self.shares(fused).of(key))

    @staticmethod
    def _told(
        entity_id: str, reason: Reason, line: str, rank: int | None = None, arms: tuple[ArmShare, ...] = ()
    ) -> WhyNot:
        return WhyNot(entity_id, reason, line, rank, arms)


def _rank(joined: Sequence[Joined], key: RecordKey) -> int | None:
    return next((rank for rank, each in enumerate(joined, 1) if each.candidate.key == key), None)
