"""
The facade for asyncio: the same calls, each in a thread of a pool of its own.

    from slipstream import aio

    async with aio.connect("http://127.0.0.1:8420", token="…") as slip:
        position = await slip.pkg.create_entity("Person", "ada", {"name": "Ada Lovelace"})
        hits = await slip.search("first programmer", after=position)

A task that is cancelled stops waiting at once. What it had asked for goes on in its thread, and ends where it next
tells progress (an audit, a repair, an export); a commit that was begun is done.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from slipstream.app.backup.making import BackupReport
    from slipstream.app.browsing import Change, ChangePage, NeighbourPage
    from slipstream.app.explaining import Explanation
    from slipstream.app.exporting import ExportReport
    from slipstream.app.slipstream import Slipstream
    from slipstream.audit.findings import AuditReport
    from slipstream.domain.entities import Direction, Entity, EntityPage, Properties, Relationship
    from slipstream.domain.incidents import Incident
    from slipstream.domain.keys import RecordKey
    from slipstream.domain.positions import Position
    from slipstream.domain.schema import GraphSchema
    from slipstream.domain.stamps import MetadataValue
    from slipstream.domain.work import DeadLetter
    from slipstream.engine.facts import SyncStatus
    from slipstream.ports.graph import GraphTransaction
    from slipstream.search.hits import SearchResults

THREADS = 16
"""Calls of one facade that are under way at a time; further ones wait for their turn."""
_LOOK_S = 1.0
"""How long a stream of changes waits in a thread before it looks whether anybody still listens."""
_PAGE = 500

P = ParamSpec("P")
T = TypeVar("T")


class _GivenUpError(Exception):
    """Raised in a callback of progress: nobody waits for this call any more."""


class _Threads:
    """Runs calls in a few threads, for whoever awaits them."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="slipstream-aio")

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a call returns, or raise what it raises."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: call(*args, **kwargs))

    async def run_long(self, call: Callable[..., T], on_progress: Callable[..., None] | None, **kwargs: Any) -> T:
        """Do the same for a call that tells progress; once its task is cancelled, it ends where it next does."""
        loop, given_up = asyncio.get_running_loop(), threading.Event()

        def tell(*args: Any) -> None:
            if given_up.is_set():
                raise _GivenUpError
            if on_progress is not None:
                loop.call_soon_threadsafe(on_progress, *args)

        try:
            return await self.run(call, on_progress=tell, **kwargs)
        except asyncio.CancelledError:
            given_up.set()
            raise

    async def close(self, call: Callable[[], None]) -> None:
        """Make a last call, even if the task was cancelled, and end the threads."""
        try:
            await asyncio.shield(self.run(call))
        finally:
            self._pool.shutdown(wait=False)


@dataclass(frozen=True, slots=True)
class Mutation:
    """One call of an `AsyncTransaction`: its name and its arguments."""

    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def apply(self, tx: GraphTransaction) -> None:
        """Make the call."""
        getattr(tx, self.name)(*self.args, **self.kwargs)


class AsyncTransaction:
    """
    Mutations that commit together when the block ends, or not at all.

    They are gathered, and done in one thread at the end of the block: so no transaction is open while a task waits
    for something else, and nothing can be read in it. `position` is known behind the block.
    """

    def __init__(self) -> None:
        self.mutations: list[Mutation] = []
        self.position: Position | None = None

    def create_entity(self, entity_type: str, entity_id: str, properties: Properties | None = None) -> None:
        """Create an entity."""
        self._add("create_entity", entity_type, entity_id, properties)

    def update_entity(self, entity_id: str, properties: Properties) -> None:
        """Merge properties into an entity; None removes one."""
        self._add("update_entity", entity_id, properties)

    def upsert_entity(self, entity_type: str, entity_id: str, properties: Properties) -> None:
        """Make the entity have exactly this type and these properties."""
        self._add("upsert_entity", entity_type, entity_id, properties)

    def delete_entity(self, entity_id: str) -> None:
        """Delete an entity and its relationships."""
        self._add("delete_entity", entity_id)

    def relate(
        self,
        source_id: str,
        relationship_type: str,
        target_id: str,
        properties: Properties | None = None,
        *,
        discriminator: str = "",
        replace: bool = False,
    ) -> None:
        """Create a relationship."""
        self._add(
            *("relate", source_id, relationship_type, target_id, properties),
            discriminator=discriminator,
            replace=replace,
        )

    def update_relationship(self, relationship_id: str, properties: Properties) -> None:
        """Merge properties into a relationship."""
        self._add("update_relationship", relationship_id, properties)

    def unrelate(self, relationship_id: str) -> None:
        """Delete a relationship."""
        self._add("unrelate", relationship_id)

    def _add(self, name: str, *args: Any, **kwargs: Any) -> None:
        self.mutations.append(Mutation(name, args, kwargs))


class AsyncPKG:
    """The graph: mutations, transactions, Cypher and SQL. Each mutation returns the position of its commit."""

    def __init__(self, slipstream: Slipstream, threads: _Threads) -> None:
        self._pkg, self._threads = slipstream.pkg, threads

    @property
    def last_commit(self) -> Position:
        """The newest position committed through this object."""
        return self._pkg.last_commit

    async def create_entity(self, entity_type: str, entity_id: str, properties: Properties | None = None) -> Position:
        """Create an entity; raises `AlreadyExistsError` when the id is taken, under whatever type."""
        return await self._threads.run(self._pkg.create_entity, entity_type, entity_id, properties)

    async def update_entity(self, entity_id: str, properties: Properties) -> Position:
        """Merge properties into an entity (None removes one); raises `NotFoundError`."""
        return await self._threads.run(self._pkg.update_entity, entity_id, properties)

    async def upsert_entity(self, entity_type: str, entity_id: str, properties: Properties) -> Position:
        """Make the entity have exactly this type and these properties, whatever was there before."""
        return await self._threads.run(self._pkg.upsert_entity, entity_type, entity_id, properties)

    async def delete_entity(self, entity_id: str) -> Position:
        """Delete an entity and its relationships; raises `NotFoundError`."""
        return await self._threads.run(self._pkg.delete_entity, entity_id)

    async def relate(
        self,
        source_id: str,
        relationship_type: str,
        target_id: str,
        properties: Properties | None = None,
        *,
        discriminator: str = "",
        replace: bool = False,
    ) -> Position:
        """Create a relationship; raises `NotFoundError` for a missing endpoint, `AlreadyExistsError` for a twin."""
        return await self._threads.run(
            self._pkg.relate,
            source_id,
            relationship_type,
            target_id,
            properties,
            discriminator=discriminator,
            replace=replace,
        )

    async def update_relationship(self, relationship_id: str, properties: Properties) -> Position:
        """Merge properties into a relationship; raises `NotFoundError`."""
        return await self._threads.run(self._pkg.update_relationship, relationship_id, properties)

    async def unrelate(self, relationship_id: str) -> Position:
        """Delete a relationship; raises `NotFoundError`."""
        return await self._threads.run(self._pkg.unrelate, relationship_id)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncTransaction]:
        """Gather mutations, and commit them when the block ends; an exception forgets them."""
        gathered = AsyncTransaction()
        yield gathered
        gathered.position = await self._threads.run(self._commit, gathered.mutations)

    def _commit(self, mutations: Sequence[Mutation]) -> Position:
        with self._pkg.transaction() as tx:
            for mutation in mutations:
                mutation.apply(tx)
        return tx.position

    async def query(self, cypher: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """Run a read-only Cypher query; raises `InvalidInputError` (field `cypher`) when it would write."""
        return await self._threads.run(self._pkg.query, cypher, **parameters)

    async def execute(self, cypher: str, /, **parameters: Any) -> Position:
        """Run Cypher that writes, and return the position of its commit."""
        return await self._threads.run(self._pkg.execute, cypher, **parameters)

    async def query_sql(self, statement: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """Run read-only SQL over the tables of the graph file (docs/graph.md)."""
        return await self._threads.run(self._pkg.query_sql, statement, **parameters)

    async def head(self) -> Position:
        """Return the position of the newest entry of the log."""
        return await self._threads.run(self._pkg.feed.head)

    async def schema(self) -> GraphSchema:
        """Return the current schema version."""
        return await self._threads.run(self._pkg.schema)

    async def counts(self) -> Mapping[str, int]:
        """Return how many entities and relationships there are, by type."""
        return await self._threads.run(self._pkg.counts)


class AsyncSync:
    """The engine: waiting for it."""

    def __init__(self, slipstream: Slipstream, threads: _Threads) -> None:
        self._sync, self._threads = slipstream.sync, threads

    async def wait(self, position: Position, timeout_s: float | None = None) -> bool:
        """Wait until everything up to the position is in the index; False when the time ran out."""
        return await self._threads.run(self._sync.wait, position, timeout_s)

    async def drain(
        self, timeout_s: float | None = None, on_progress: Callable[[SyncStatus], None] | None = None
    ) -> bool:
        """Wait until nothing is left to do; False when the time ran out. `on_progress` is called in the loop."""
        return await self._threads.run_long(self._sync.drain, on_progress, timeout_s=timeout_s)


class AsyncSlipstream:
    """
    The facade of a PKG for asyncio; `slipstream` is the one that it stands before.

    Calls run beside each other, at most 16 at a time. Callbacks of progress are called in the loop.
    """

    def __init__(self, slipstream: Slipstream, threads: _Threads) -> None:
        self.slipstream, self._threads = slipstream, threads
        self._pkg, self._sync = AsyncPKG(slipstream, threads), AsyncSync(slipstream, threads)

    @property
    def pkg(self) -> AsyncPKG:
        """The graph: mutations, transactions, Cypher and SQL."""
        return self._pkg

    @property
    def sync(self) -> AsyncSync:
        """The engine: waiting for it."""
        return self._sync

    # ------------------------------------------------------------------ reading

    async def search(
        self,
        text: str,
        k: int = 10,
        *,
        entity_type: str | None = None,
        after: Position | None = None,
        min_schema_version: int | None = None,
        expand: int = 0,
        metadata: Mapping[str, MetadataValue] | None = None,
        timeout_s: float = 10.0,
    ) -> SearchResults:
        """Return the `k` live records nearest in meaning; with `after`, wait until that commit is in the index."""
        return await self._threads.run(
            self.slipstream.search,
            text,
            k,
            entity_type=entity_type,
            after=after,
            min_schema_version=min_schema_version,
            expand=expand,
            metadata=metadata,
            timeout_s=timeout_s,
        )

    async def get(self, entity_id: str) -> Entity:
        """Return an entity; raises `NotFoundError`."""
        return await self._threads.run(self.slipstream.get, entity_id)

    async def find(self, entity_ids: Sequence[str]) -> list[Entity]:
        """Return those of the entities that exist, in their order."""
        return await self._threads.run(self.slipstream.find, entity_ids)

    async def relationship(self, relationship_id: str) -> Relationship:
        """Return a relationship; raises `NotFoundError`."""
        return await self._threads.run(self.slipstream.relationship, relationship_id)

    async def entities(
        self, entity_type: str | None = None, *, after: str | None = None, limit: int = 100
    ) -> EntityPage:
        """Return the next entities, of a type if one is given; `after` is a page's `next`."""
        return await self._threads.run(self.slipstream.entities, entity_type, after=after, limit=limit)

    async def neighbours(
        self,
        entity_id: str,
        *,
        relationship_type: str | None = None,
        direction: Direction | str = "both",
        after: str | None = None,
        limit: int = 100,
    ) -> NeighbourPage:
        """Return the next neighbours of an entity; `after` is a page's `next`."""
        return await self._threads.run(
            self.slipstream.neighbours,
            entity_id,
            relationship_type=relationship_type,
            direction=direction,
            after=after,
            limit=limit,
        )

    async def changes(self, after: Position, *, limit: int = 100) -> ChangePage:
        """Return the next entries of the log behind a position; raises `PositionLostError` when some are gone."""
        return await self._threads.run(self.slipstream.changes, after, limit=limit)

    async def stream_changes(self, after: Position | None = None) -> AsyncIterator[Change]:
        """
        Yield the entries of the log behind a position as they are committed, without end; None: from now on.

        Raises `PositionLostError` when some of them are gone.
        """
        position = await self.pkg.head() if after is None else after
        feed = self.slipstream.pkg.feed
        while True:
            page = await self.changes(position, limit=_PAGE)
            for change in page.items:
                position = change.position  # whoever stops listening here, and goes on later, misses nothing
                yield change
            if not page.items:
                position = page.next
                await self._threads.run(feed.wait, position, _LOOK_S)

    async def status(self) -> SyncStatus:
        """Return how far the index is behind the graph."""
        return await self._threads.run(self.slipstream.status)

    async def incident(self) -> Incident | None:
        """Return why graph and index do not belong together; None when they do."""
        return await self._threads.run(lambda: self.slipstream.incident)

    async def explain(self, entity_id: str | RecordKey) -> Explanation:
        """Return why a record is as it is; raises `NotFoundError`."""
        return await self._threads.run(self.slipstream.explain, entity_id)

    # ------------------------------------------------------------------ upkeep

    async def verify(
        self,
        on_progress: Callable[[int], None] | None = None,
        *,
        incremental: bool = False,
        deep: int | None = None,
        hurry: bool = False,
    ) -> AuditReport:
        """Compare graph and index, and return what differs; see `Slipstream.verify`."""
        return await self._threads.run_long(
            self.slipstream.verify, on_progress, incremental=incremental, deep=deep, hurry=hurry
        )

    async def repair(self, report: AuditReport | None = None, *, confirm: str | None = None) -> int:
        """Mark everything divergent dirty; returns how many keys. See `Slipstream.repair` for what is raised."""
        return await self._threads.run(self.slipstream.repair, report, confirm=confirm)

    async def list_dead_letters(self, ids: Sequence[str] | None = None) -> list[DeadLetter]:
        """Return the dead letters: all, or those with these ids."""
        return await self._threads.run(self.slipstream.list_dead_letters, ids)

    async def replay_dead_letters(self, ids: Sequence[str] | None = None) -> int:
        """Give dead letters (all, or those with these ids) another try; returns how many were accepted."""
        return await self._threads.run(self.slipstream.replay_dead_letters, ids)

    async def discard_dead_letters(self, ids: Sequence[str] | None = None) -> int:
        """Forget dead letters (all, or those with these ids); returns how many there were."""
        return await self._threads.run(self.slipstream.discard_dead_letters, ids)

    async def backup(self, destination: Path | str, keep: int | None = None, **options: Any) -> BackupReport:
        """Make a backup while everything runs; see `Slipstream.backup`."""
        return await self._threads.run(self.slipstream.backup, destination, keep, **options)

    async def export(self, path: Path | str, *, head: bool = True) -> ExportReport:
        """Write the graph as of one position, as JSON lines for `import`."""
        return await self._threads.run(self.slipstream.export, path, head=head)


@asynccontextmanager
async def open(directory: Path | str, **options: Any) -> AsyncIterator[AsyncSlipstream]:  # noqa: A001  (reads as aio.open)
    """Open the PKG in a directory as `slipstream.open` does, with the engine running; the block's end closes it."""
    import slipstream

    async with _held(lambda: slipstream.open(directory, **options)) as opened:
        yield opened


@asynccontextmanager
async def connect(
    place: Path | str, *, token: str | None = None, timeout_s: float = 30.0
) -> AsyncIterator[AsyncSlipstream]:
    """Return the PKG at a URL or in a directory, as `slipstream.connect` does; the block's end closes it."""
    import slipstream

    async with _held(lambda: slipstream.connect(place, token=token, timeout_s=timeout_s)) as connected:
        yield connected


@asynccontextmanager
async def _held(make: Callable[[], Slipstream]) -> AsyncIterator[AsyncSlipstream]:
    threads = _Threads(THREADS)
    slipstream = await _made(threads, make)
    try:
        yield AsyncSlipstream(slipstream, threads)
    finally:
        await threads.close(slipstream.close)


async def _made(threads: _Threads, make: Callable[[], Slipstream]) -> Slipstream:
    """Open in a thread; if the task is cancelled meanwhile, what was opened is closed, and not left behind."""
    making = asyncio.ensure_future(threads.run(make))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        making.add_done_callback(_closed)
        raise


def _closed(making: asyncio.Future[Slipstream]) -> None:
    if not making.cancelled() and making.exception() is None:
        making.result().close()
