"""`ReembeddingService`: what a schema evolution changes in texts, and embedding records anew, selectively."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from slipstream.apply.direct import DirectWriter
from slipstream.apply.records import flag, move_stamps, remove
from slipstream.domain.errors import ConfigError, InvalidInputError, NotFoundError
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.schema import GraphSchema
from slipstream.domain.stamps import Deletion
from slipstream.domain.work import WorkItem
from slipstream.evolution.changes import SchemaChanges, changes_told, schema_changes, schema_from_data
from slipstream.evolution.reembedders import EngineReembedder, OwnReembedder, Reembedder, Settle
from slipstream.evolution.selector import ReembeddingSelector, SelectedPage, selected_pages, selector_of
from slipstream.ports.clock import Clock
from slipstream.ports.costs import measured_cost, rendered
from slipstream.ports.embedding_service import EmbeddingService
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import Journal
from slipstream.ports.scans import PAGE
from slipstream.recipes.in_force import Recipes
from slipstream.recipes.view_recipe import ViewRecipe
from slipstream.views.viewset import ViewSet

logger = logging.getLogger(__name__)

_PROBE_TEXTS = 64
"""Texts that are rendered, counted and embedded to tell what all of them would cost."""


class Reembedded(Protocol):
    """What the service needs of a `SchemaVersionedEmbeddingStore`."""

    @property
    def index(self) -> VectorIndex:
        """The vector index below the store."""
        ...

    @property
    def journal(self) -> Journal:
        """Where unfinished work is kept."""
        ...

    @property
    def clock(self) -> Clock:
        """The store's clock."""
        ...

    def schema(self) -> GraphSchema:
        """Return the current schema version."""
        ...

    def schema_at(self, version: int) -> GraphSchema | None:
        """Return a schema version, None when it is not known."""
        ...

    def evolve_schema(self, version: int, told: GraphSchema | None = None) -> None:
        """Note that the schema has reached a version, and what its types are, where that is told."""
        ...


@dataclass(frozen=True, slots=True)
class ReembeddingProgress:
    """How far a re-embedding is."""

    done: int
    total: int | None
    """None while the index is still being looked through."""
    rate_per_s: float
    eta_s: float | None


@dataclass(frozen=True, slots=True)
class ReembeddingResult:
    """What a re-embedding has done."""

    selected: int
    """Records that were selected, by this call or by the earlier one that it resumed."""
    elapsed_s: float
    failed: Mapping[RecordKey, str] = field(default_factory=dict)
    """Without an engine: what could not be embedded and why; it is kept, and tried by the next call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReembeddingPlan:
    """What a re-embedding would do and cost; tokens and seconds are estimated from `sampled` of the texts."""

    records: Mapping[str, int]
    """By type; entities that are named but have no record are counted under ""."""
    texts: int
    sampled: int
    tokens: int
    embed_s: float


Progress = Callable[[ReembeddingProgress], None]


class ReembeddingService:
    """
    Compares schema versions, and embeds anew what is selected: all of it, durably, resumably.

    With the `reembedder` of a running engine the work is done there, in the migration lane. Without one it is done in
    the calling thread, which takes a graph (`pkg_client`) to read texts from.
    """

    def __init__(
        self,
        embedding_store: Reembedded,
        embedding_service: EmbeddingService,
        pkg_client: GraphReader | None = None,
        *,
        views: ViewSet | Recipes | None = None,
        reembedder: Reembedder | None = None,
    ) -> None:
        self._store, self._service, self._graph = embedding_store, embedding_service, pkg_client
        self._recipes = (
            views if isinstance(views, Recipes) else Recipes(ViewRecipe(views or ViewSet(), embedding_service))
        )
        self._reembedder = reembedder
        if reembedder is None and pkg_client is not None:
            self._reembedder = OwnReembedder(embedding_store.index, embedding_store.journal, self._reconcile)

    def _reconcile(self, items: Sequence[WorkItem], settle: Settle) -> None:
        store, forced = self._store, frozenset(item.key for item in items if item.force)
        writer = DirectWriter(store.index, store.journal, self._service, self._recipes, store.clock)
        writer.reconcile(self._read_from(), [item.key for item in items], forced=forced, settle=settle)

    def _read_from(self) -> GraphReader:
        if self._graph is None:
            raise ConfigError("there is no graph to read texts from: pass pkg_client")
        return self._graph

    def _working(self) -> Reembedder:
        if self._reembedder is None:
            raise ConfigError("there is no graph to read texts from: pass pkg_client")
        return self._reembedder

    # ------------------------------------------------------------------ schema versions

    def changes(
        self, old: int | GraphSchema | Mapping[str, Any], new: int | GraphSchema | Mapping[str, Any]
    ) -> SchemaChanges:
        """
        Compare two schema versions: by number, as values, or as the `old_data` and `new_data` of an event.

        Raises `NotFoundError` for a version that is not known, `InvalidInputError` for malformed data.
        """
        return schema_changes(self._schema(old), self._schema(new), self._recipes)

    def detect_schema_changes(
        self, old_version: int | GraphSchema | Mapping[str, Any], new_version: int | GraphSchema | Mapping[str, Any]
    ) -> dict[str, Any]:
        """
        Return what `changes` does as plain data.

        Keys: `old_version, new_version, new_entity_types, removed_entity_types, new_relationship_types,
        removed_relationship_types, changed_properties` (type to added, removed and retyped ones), `views_affected,
        views_stale, requires_reembedding`.
        """
        return self.changes(old_version, new_version).as_dict()

    def _schema(self, given: int | GraphSchema | Mapping[str, Any]) -> GraphSchema:
        if isinstance(given, GraphSchema):
            return given
        if isinstance(given, Mapping):
            return schema_from_data(given)
        found = self._store.schema_at(given)
        if found is None:
            raise NotFoundError(
                f"schema version {given} is not known: the present one is {self._store.schema().version}"
            )
        return found

    def follow(self, event: PKGEvent, position: Position) -> int:
        """
        Do what a schema evolution asks for, and return how many records it concerns, as far as that is known yet.

        The records of removed types go; those whose text can differ are compared and, where it does, embedded anew;
        all others get the new version into their stamp. A running engine does this in the background. Without a graph
        no text is known: records are flagged instead, and the next event of each brings it up to date.
        """
        told = event.new_data or {}
        newer = schema_from_data({"version": event.schema_version, **told}) if "entity_types" in told else None
        self._store.evolve_schema(event.schema_version, newer)
        concerned = self._concern(event, position)
        if not isinstance(self._reembedder, EngineReembedder):
            self._move_stamps()
        return concerned

    def _concern(self, event: PKGEvent, position: Position) -> int:
        try:
            changes = changes_told(event, self._store.schema_at, self._recipes)
        except InvalidInputError as error:
            logger.warning("schema evolution %s does not tell what it changes: %s", event.event_id, error)
            everything = ReembeddingSelector(schema_version=max(1, event.schema_version))
            return 0 if self._reembedder is None else self._compare(everything, "schema evolution")
        reason = f"schema version {changes.new_version}"
        if self._reembedder is None:
            return self._forget(changes.removed_types, position) + self._flag(changes.views_affected, reason)
        types = (*changes.views_affected, *changes.removed_types)
        return self._compare(ReembeddingSelector(entity_types=types), reason) if types else 0

    def _compare(self, selector: ReembeddingSelector, reason: str) -> int:
        reembedder = self._working()
        added = reembedder.selections.add(selector, reason, force=False)
        if not isinstance(reembedder, EngineReembedder):
            self._work(reembedder, added.id, PAGE, None)
        return reembedder.selections.marked(added.id)

    def _move_stamps(self) -> None:
        """Move the stamps of what is up to date to the current schema version, as the engine's maintenance does."""
        schema = self._store.schema()
        after = None
        while page := self._store.index.scan(after, PAGE):
            older = [s for s in page if s.schema_version < schema.version and not s.needs_reembedding]
            move_stamps(self._store.index, older, schema)
            after = page[-1].key

    def _forget(self, types: Sequence[str], position: Position) -> int:
        """Remove the records of types that are gone."""
        gone = 0
        for page in self._of_types(types):
            remove(self._store.index, [Deletion(s.key, max(position, s.position)) for s in page.stamps])
            gone += len(page.keys)
        return gone

    def _flag(self, types: Sequence[str], reason: str) -> int:
        flagged = 0
        for page in self._of_types(types):
            flag(self._store.index, page.stamps, reason)
            flagged += len(page.keys)
        return flagged

    def _of_types(self, types: Sequence[str]) -> Iterator[SelectedPage]:
        if types:
            yield from selected_pages(self._store.index, ReembeddingSelector(entity_types=tuple(types)), PAGE)

    # ------------------------------------------------------------------ re-embedding

    def plan(self, selector: ReembeddingSelector) -> ReembeddingPlan:
        """Return what re-embedding would do and cost; changes nothing."""
        fixed = selector.at(self._store.clock.now())
        counts: Counter[str] = Counter()
        probe: list[RecordKey] = []
        for page in selected_pages(self._store.index, fixed, PAGE):
            types = {stamp.key: stamp.entity_type for stamp in page.stamps}
            counts.update(types.get(key, "") for key in page.keys)
            probe += page.keys[: max(0, _PROBE_TEXTS - len(probe))]
        requests = rendered(self._read_from(), self._recipes, probe)
        cost = measured_cost(self._service, self._store.clock, requests)
        texts = sum(counts.values())
        full = cost.scaled_to(texts)
        return ReembeddingPlan(
            records=dict(sorted(counts.items())),
            texts=texts,
            sampled=cost.texts,
            tokens=full.tokens,
            embed_s=full.embed_s,
        )

    def trigger_reembedding(
        self,
        schema_version: int | None = None,
        entity_ids: Sequence[str] | None = None,
        *,
        selector: ReembeddingSelector | None = None,
        reason: str = "requested",
        batch_size: int = 100,
        on_progress: Progress | None = None,
    ) -> ReembeddingResult:
        """
        Embed all selected records anew, past the cache, and return when that is done.

        By schema version (that or older), by entity ids, or by any selector; without any of them whatever has been
        marked (`mark_for_reembedding`). Highest extraction confidence first. Durable from the start: after a crash,
        or an interrupt, the engine goes on by itself, and calling again without a selector goes on where it was.
        Raises `UnavailableError` when the engine does not run. During an outage it waits for the engine, or, without
        one, raises `TransientError`.
        """
        if batch_size < 1:
            raise InvalidInputError(f"must be at least 1, not {batch_size}", field="batch_size")
        reembedder = self._working()
        if selector is None and schema_version is None and entity_ids is None:
            selector = ReembeddingSelector(needs_reembedding=True)
        chosen = selector_of(selector, schema_version=schema_version, entity_ids=entity_ids)
        added = reembedder.selections.add(
            chosen.at(self._store.clock.now()), reason, force=True, page_size=batch_size
        )
        return self._work(reembedder, added.id, batch_size, on_progress)

    def resume(self, *, batch_size: int = 100, on_progress: Progress | None = None) -> ReembeddingResult:
        """Go on with what an earlier process has left, and return when it is done; nothing new is selected."""
        reembedder = self._working()
        last = max((selection.id for selection in reembedder.selections.due), default=0)
        return self._work(reembedder, last, batch_size, on_progress)

    def _work(
        self, reembedder: Reembedder, selection_id: int, batch_size: int, on_progress: Progress | None
    ) -> ReembeddingResult:
        tell = on_progress or _ignore
        clock = self._store.clock
        began = clock.monotonic()
        reembedder.begin()
        while reembedder.selections.is_due(selection_id):
            reembedder.advance(batch_size)
            tell(ReembeddingProgress(0, None, 0.0, None))
        total, began_work = reembedder.left(), clock.monotonic()
        while left := reembedder.left():
            done, passed_s = max(0, total - left), clock.monotonic() - began_work
            rate = done / passed_s if passed_s > 0 else 0.0
            tell(ReembeddingProgress(done, total, rate, left / rate if rate else None))
            reembedder.advance(batch_size)
        tell(ReembeddingProgress(total, total, 0.0, 0.0))
        return ReembeddingResult(
            reembedder.selections.marked(selection_id), clock.monotonic() - began, dict(reembedder.failed)
        )


def _ignore(progress: ReembeddingProgress) -> None:
    del progress
