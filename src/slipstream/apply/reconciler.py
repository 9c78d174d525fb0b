"""
The reconciler: read the present state of some keys on both sides, and make the index equal to the graph.

Three stages, so that they can run in a pipeline: `prepare` (read, render, fingerprint, compare), `embed`, and
`apply` (the fenced write). Nothing is held open between them.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, auto

from slipstream.domain.digests import is_as_asked, stamp_term, target_term
from slipstream.domain.entities import EntityState, RecordState
from slipstream.domain.errors import ConfigError, PoisonEventError, SlipstreamError, TransientError
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.requests import EmbeddingResult, Target
from slipstream.domain.schema import GraphSchema
from slipstream.domain.stamps import Deletion, KeyStamps, Stamp, VectorRecord, vector_checksum
from slipstream.domain.work import Claim, Lane, WorkItem
from slipstream.ports.clock import Clock
from slipstream.ports.embedding_service import EmbeddingService
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.telemetry import NO_SPAN, Span
from slipstream.recipes.in_force import RecipePair, Recipes
from slipstream.recipes.view_recipe import ViewRecipe

logger = logging.getLogger(__name__)

REEMBED_CONFIDENCE_GAIN = 0.1
"""By how much an extraction confidence must rise for a record to be embedded anew though its text is the same."""
_NOTHING = KeyStamps()


class _Other(Enum):
    """What becomes of the record beside the live one."""

    PLANNED = auto()
    DEFERRED = auto()
    ABSENT = auto()


@dataclass(slots=True)
class Prepared:
    """What is to be done to make some keys equal on both sides, as of `position`."""

    position: Position
    schema_version: int
    schema_hash: str
    recipes: RecipePair
    """What was in force: a batch that was prepared under other recipes is not written."""
    confidence_gain: float | None = None
    """A record whose extraction confidence rose by more is embedded anew, though its text is the same."""
    targets: list[Target] = field(default_factory=list)
    """Records that need a vector."""
    restamps: list[Stamp] = field(default_factory=list)
    deletions: list[Deletion] = field(default_factory=list)
    deferred: list[RecordKey] = field(default_factory=list)
    """Keys that the generation beside the live one still needs a vector of: nobody searches it, so it can wait."""
    unmade: dict[RecordKey, SlipstreamError] = field(default_factory=dict)
    """Keys whose model could not even tell its identity, with the error."""
    held: frozenset[RecordKey] = frozenset()
    """Keys that were taken out again, as their model is down."""
    unchanged: int = 0
    span: Span = NO_SPAN
    """The span of `prepare`, the parent of the later stages' spans."""

    @property
    def keys(self) -> set[RecordKey]:
        """The keys of which something is to be written."""
        written = [target.key for target in self.targets] + [stamp.key for stamp in self.restamps]
        return {*written, *(deletion.key for deletion in self.deletions), *self.deferred}

    def leave_out(self, keys: Collection[RecordKey]) -> None:
        """Forget what is planned for some keys: they are dealt with another time."""
        self.targets = [target for target in self.targets if target.key not in keys]
        self.restamps = [stamp for stamp in self.restamps if stamp.key not in keys]
        self.deletions = [deletion for deletion in self.deletions if deletion.key not in keys]
        self.deferred = [key for key in self.deferred if key not in keys]
        self.held = self.held.union(keys)

    def left(self, claims: Sequence[Claim]) -> list[Claim]:
        """Return the claims that were not taken out."""
        return [claim for claim in claims if claim.key not in self.held]

    def part(self, keys: Collection[RecordKey]) -> Prepared:
        """Return what is planned for some keys, as a batch of its own."""
        return replace(
            self,
            targets=[target for target in self.targets if target.key in keys],
            restamps=[stamp for stamp in self.restamps if stamp.key in keys],
            deletions=[deletion for deletion in self.deletions if deletion.key in keys],
            deferred=[key for key in self.deferred if key in keys],
            unchanged=0,
        )

    @property
    def planned(self) -> int:
        """How many writes there are to do, now or later."""
        return len(self.targets) + len(self.restamps) + len(self.deletions) + len(self.deferred)

    @property
    def later(self) -> list[WorkItem]:
        """The work that is left for the generation beside the live one."""
        return [WorkItem(key, Lane.MIGRATION, reason="next generation") for key in self.deferred]


@dataclass(frozen=True, slots=True)
class Applied:
    """What a write did, in records."""

    embedded: int
    cached: int
    restamped: int
    deleted: int
    unchanged: int
    fenced: int
    blocked: Sequence[RecordKey] = ()
    """Keys that were fenced off by a stored position past the graph's head, which no commit has written."""

    def counts(self) -> dict[str, int]:
        """Return the numbers by name."""
        found = {name: getattr(self, name) for name in ("embedded", "cached", "restamped", "deleted", "unchanged")}
        return {**found, "fenced": self.fenced, "blocked": len(self.blocked)}

    def warn_of_blocked(self) -> None:
        """Log the `blocked` keys as an error, if there are any."""
        if self.blocked:
            logger.error(
                "the index refuses %s: what it holds of them is past the graph's head, which no commit has written. "
                "The next audit reports it; repair that (`slipstream repair`)",
                ", ".join(key.encode() for key in self.blocked),
            )


class Reconciler:
    """Makes the index equal to the graph for given keys. Stateless: any number of them may run."""

    def __init__(
        self,
        graph: GraphReader,
        index: VectorIndex,
        service: EmbeddingService,
        recipes: Recipes,
        clock: Clock,
        *,
        confidence_gain: float | None = REEMBED_CONFIDENCE_GAIN,
    ) -> None:
        self._graph = graph
        self._index = index
        self._service = service
        self._recipes = recipes
        self._clock = clock
        self._confidence_gain = confidence_gain
        self._schema: tuple[GraphSchema, str] | None = None

    def _schema_identity(self) -> tuple[int, str]:
        schema = self._graph.schema()
        if self._schema is None or self._schema[0] is not schema:
            self._schema = (schema, schema.hash)  # digested once a version, not once a batch
        return schema.version, self._schema[1]

    def prepare(
        self,
        keys: Sequence[RecordKey],
        forced: frozenset[RecordKey] = frozenset(),
        *,
        live_only: bool = False,
        can_hold: bool = False,
    ) -> Prepared:
        """
        Read both sides and decide; computes no embedding and writes nothing.

        With `live_only` no vector is asked for that the generation beside the live one needs; its keys are deferred.
        With `can_hold` keys whose model can not tell its identity go into `unmade`; else its error is raised.
        Raises `PoisonEventError` when a key can not be rendered (the caller bisects), `TransientError` when a
        store is down.
        """
        pair = self._recipes.pair
        # Before the text: a schema version older than it is mended by the next restamp, a newer one would be wrong.
        schema_version, schema_hash = self._schema_identity()
        snapshot = self._graph.read(keys, pair.hops)
        held = self._index.stamps(keys)
        prepared = Prepared(snapshot.position, schema_version, schema_hash, pair, self._confidence_gain)
        states, is_alone = snapshot.states, pair.beside is None
        for key in dict.fromkeys(keys):
            state, stamps = states.get(key), held.get(key, _NOTHING)
            try:
                if state is None:
                    self._plan_removal(prepared, key, stamps)
                elif is_alone:
                    self._plan_alone(prepared, key, pair.live.target(state), stamps, force=key in forced)
                else:
                    self._plan_both(prepared, key, state, stamps, force=key in forced, live_only=live_only)
            except (TransientError, ConfigError) as error:
                if error.model_id is None or not can_hold:
                    raise
                prepared.unmade[key] = error
        return prepared

    @staticmethod
    def _plan_removal(prepared: Prepared, key: RecordKey, held: KeyStamps) -> None:
        if held.records or held.tombstone is None:
            # Also where nothing is held: another worker may be about to write what it read before the delete.
            prepared.deletions.append(Deletion(key, prepared.position))
        else:
            prepared.unchanged += 1

    def _plan_alone(
        self, prepared: Prepared, key: RecordKey, target: Target | None, held: KeyStamps, *, force: bool
    ) -> None:
        if target is None:
            self._plan_removal(prepared, key, held)
            return
        current: Stamp | None = None
        for stamp in held.records:
            if stamp.space == target.space:
                current = stamp
            else:
                prepared.deletions.append(Deletion(target.key, prepared.position, stamp.space))
        if _plan_target(prepared, target, current, force=force) is None:
            prepared.unchanged += 1

    def _plan_both(
        self, prepared: Prepared, key: RecordKey, state: RecordState, held: KeyStamps, *, force: bool, live_only: bool
    ) -> None:
        """Plan a key that two generations hold. Where they agree on a type, they share its record."""
        pair, before, entity_type = prepared.recipes, prepared.planned, _type(state)
        current = {stamp.space: stamp for stamp in held.records}
        target, home = pair.live.target(state), None if pair.beside is None else pair.beside.space_of(entity_type)
        planned: set[Space | None] = set()
        if target is not None:
            planned.add(target.space)
            _plan_target(prepared, target, current.get(target.space), force=force)
        is_waiting = pair.idle is not None
        if pair.other is not None and home not in planned:
            found = self._plan_other(prepared, pair.other, state, current, force=force, live_only=live_only)
            planned.update([home] if found is _Other.PLANNED else [])
            if found is _Other.DEFERRED:
                prepared.deferred.append(key)
                is_waiting = True
        for space, stamp in current.items():
            # A record that waits stays, unless it is of a type that the key no longer has: it may be live for that.
            if space not in planned and not (is_waiting and space == home and stamp.entity_type == entity_type):
                prepared.deletions.append(Deletion(key, prepared.position, space))
        prepared.unchanged += prepared.planned == before

    @staticmethod
    def _plan_other(
        prepared: Prepared,
        other: ViewRecipe,
        state: RecordState,
        current: Mapping[Space, Stamp],
        *,
        force: bool,
        live_only: bool,
    ) -> _Other:
        """Plan the record beside the live one."""
        planned = len(prepared.targets)
        try:
            target = other.target(state)
        except (PoisonEventError, ConfigError):
            if not live_only:
                raise
            return _Other.DEFERRED  # a recipe that fails must not keep the live one from going on
        if target is None:
            return _Other.ABSENT
        stored = current.get(target.space)
        _plan_target(prepared, target, stored, force=force)
        if live_only and len(prepared.targets) > planned:
            del prepared.targets[planned:]
            if force and stored is not None and not stored.needs_reembedding:
                # A flag on this record, not force on the work item: that would embed the live record a second time.
                prepared.restamps.append(stored._replace(needs_reembedding=True))
            return _Other.DEFERRED
        return _Other.PLANNED

    def embed(self, prepared: Prepared) -> Sequence[EmbeddingResult]:
        """Compute the vectors of the targets, in their order."""
        if not prepared.targets:
            return ()
        results = self._service.embed_batch([target.request for target in prepared.targets])
        if len(results) != len(prepared.targets):
            raise PoisonEventError(
                f"the embedding service returned {len(results)} results for {len(prepared.targets)} requests"
            )
        return results

    @property
    def shares_journal(self) -> bool:
        """Whether writes of the index are part of the journal's transactions."""
        return self._index.capabilities.transactional

    def apply(self, prepared: Prepared, results: Sequence[EmbeddingResult]) -> Applied:
        """Write vectors, deletions and stamps. Idempotent and fenced: repeat it after any failure."""
        now = self._clock.now()
        records = [
            VectorRecord(_stamp(prepared, target, result, now), result.embedding)
            for target, result in zip(prepared.targets, results, strict=True)
        ]
        fenced: list[RecordKey] = []
        if records:
            fenced += self._index.upsert(records)
        if prepared.deletions:
            # After the upserts: a record that moves between spaces must never be in neither.
            fenced += self._index.delete(prepared.deletions)
        if prepared.restamps:
            self._index.restamp(prepared.restamps)
        cached = sum(1 for result in results if result.cached)
        return Applied(
            embedded=len(records) - cached,
            cached=cached,
            restamped=len(prepared.restamps),
            deleted=len(prepared.deletions),
            unchanged=prepared.unchanged,
            fenced=len(fenced),
            blocked=self._blocked(fenced) if fenced else (),
        )

    def _blocked(self, fenced: Sequence[RecordKey]) -> Sequence[RecordKey]:
        held = self._index.stamps(fenced)
        head = self._graph.read([], {}).position  # read last, so that no commit of a stored stamp lies past it
        return [key for key, known in held.items() if _newest(known) > head]


def _stamp(prepared: Prepared, target: Target, result: EmbeddingResult, now: datetime) -> Stamp:
    key, entity_type, space, fingerprint, template_version, _, metadata, source, confidence, reason = target
    return Stamp(  # by place: a value for every field, by name, would take three times as long
        key,
        entity_type,
        prepared.position,
        fingerprint,
        space,
        prepared.schema_version,
        prepared.schema_hash,
        vector_checksum(result.embedding),
        now,
        template_version,
        confidence,
        confidence,
        result.quality_score,
        source,
        None,
        False,
        reason,
        metadata,
    )


def _plan_target(prepared: Prepared, target: Target, current: Stamp | None, *, force: bool) -> Target | Stamp | None:
    """Plan one record, and return what is to be written of it: all of it, its stamp, or nothing."""
    gained = _gained(current, target, prepared.confidence_gain)
    if (
        current is None
        or force
        or current.needs_reembedding
        or gained
        or current.fingerprint != target.fingerprint
        or current.position > prepared.position
    ):
        if force or gained or (current is not None and current.needs_reembedding):
            # A key may be forced twice, the second time by an unflagged mark: the reason of the first stays.
            why = gained or (current.reembedding_reason if current is not None else None)
            target = target._replace(request=target.request._replace(bypass_cache=True), reembedding_reason=why)
        prepared.targets.append(target)
        return target
    wanted = _restamped(current, target, prepared)
    if wanted is not None:
        prepared.restamps.append(wanted)
    return wanted


def _gained(current: Stamp | None, target: Target, bound: float | None) -> str | None:
    """
    Return why a record is embedded anew: its extraction confidence rose beyond the bound. None when it did not.

    The rise counts from the confidence at which the record was embedded, or from the stamped one if that is lower.
    """
    now = target.extraction_confidence
    if bound is None or current is None or now is None:
        return None
    held = (current.embedded_confidence, current.extraction_confidence)
    before = min((value for value in held if value is not None), default=None)
    # Rounded: 0.6 - 0.5 is not more than 0.1.
    if before is None or round(now - before, 9) <= bound:
        return None
    return f"extraction confidence rose from {before:g} to {now:g}"


def _newest(held: KeyStamps) -> Position:
    return max([*(stamp.position for stamp in held.records), held.tombstone or ORIGIN])


def _type(state: RecordState) -> str:
    return state.entity.type if isinstance(state, EntityState) else state.relationship.ref.type


def _restamped(current: Stamp, target: Target, prepared: Prepared) -> Stamp | None:
    """Return the stamp to store beside an unchanged vector, None when the stored one is right already."""
    is_known = current.schema_version > prepared.schema_version or (
        (current.schema_version, current.schema_hash) == (prepared.schema_version, prepared.schema_hash)
    )
    if is_known and (is_as_asked(current, target) or stamp_term(current) == target_term(target)):
        return None
    embedded = current.embedded_confidence
    return current._replace(
        embedded_confidence=current.extraction_confidence if embedded is None else embedded,
        position=prepared.position,
        entity_type=target.entity_type,
        schema_version=max(current.schema_version, prepared.schema_version),
        schema_hash=prepared.schema_hash,
        extraction_template_version=target.template_version,
        extraction_confidence=target.extraction_confidence,
        source_document_id=target.source_document_id,
        metadata=target.metadata,
    )
