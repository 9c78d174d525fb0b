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
import functools
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, Unpack

from slipstream import connect as connect_pkg
from slipstream import open as open_pkg
from slipstream.app.pkg import PKG
from slipstream.app.slipstream import Slipstream
from slipstream.engine.runner import Sync
from slipstream.ports.graph import GraphTransaction

if TYPE_CHECKING:
    from slipstream.app.backup.making import BackupOptions, BackupReport
    from slipstream.app.backup.parts import OnStep
    from slipstream.app.browsing import Change
    from slipstream.app.exporting import ExportReport
    from slipstream.app.table_export import TableSpec
    from slipstream.audit.findings import AuditReport
    from slipstream.domain.incidents import Incident
    from slipstream.domain.positions import Position
    from slipstream.engine.facts import SyncStatus
    from slipstream.events.import_state import ImportReport, OnProgress
    from slipstream.importers.options import ReadOptions

THREADS = 16
"""Calls of one facade that are under way at a time; further ones wait for their turn."""
_LOOK_S = 1.0
"""How long a stream of changes waits in a thread before it looks whether anybody still listens."""
_PAGE = 500

P = ParamSpec("P")
T = TypeVar("T")
Target = TypeVar("Target")


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


class _Beside(Generic[Target]):
    """An object for asyncio beside one for threads, to which its calls go."""

    def __init__(self, target: Target, threads: _Threads) -> None:
        self._target, self._threads = target, threads


def _awaited(
    call: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate[_Beside[Any], P], Coroutine[Any, Any, T]]:
    """Return the call of the same name, parameters and result that is made in a thread."""
    name = call.__name__

    @functools.wraps(call)
    async def run(self: _Beside[Any], /, *args: P.args, **kwargs: P.kwargs) -> T:
        done: T = await self._threads.run(getattr(self._target, name), *args, **kwargs)
        return done

    return run


def _gathered(call: Callable[Concatenate[Any, P], object]) -> Callable[Concatenate[AsyncTransaction, P], None]:
    """Return the mutation of the same name and parameters that is made when the block ends."""
    name = call.__name__

    @functools.wraps(call)
    def gather(self: AsyncTransaction, /, *args: P.args, **kwargs: P.kwargs) -> None:
        self.mutations.append(lambda tx: getattr(tx, name)(*args, **kwargs))

    return gather


class AsyncTransaction:
    """
    Mutations that commit together when the block ends, or not at all.

    They are gathered, and done in one thread at the end of the block: so no transaction is open while a task waits
    for something else, nothing can be read in it, and what they raise is raised there. `position` is known behind
    the block.
    """

    def __init__(self) -> None:
        self.mutations: list[Callable[[GraphTransaction], object]] = []
        self.position: Position | None = None

    create_entity = _gathered(GraphTransaction.create_entity)
    update_entity = _gathered(GraphTransaction.update_entity)
    upsert_entity = _gathered(GraphTransaction.upsert_entity)
    delete_entity = _gathered(GraphTransaction.delete_entity)
    relate = _gathered(GraphTransaction.relate)
    update_relationship = _gathered(GraphTransaction.update_relationship)
    unrelate = _gathered(GraphTransaction.unrelate)


class AsyncPKG(_Beside[PKG]):
    """The graph: mutations, transactions, Cypher and SQL. Each mutation returns the position of its commit."""

    @property
    def last_commit(self) -> Position:
        """The newest position committed through this object."""
        return self._target.last_commit

    create_entity = _awaited(PKG.create_entity)
    update_entity = _awaited(PKG.update_entity)
    upsert_entity = _awaited(PKG.upsert_entity)
    delete_entity = _awaited(PKG.delete_entity)
    relate = _awaited(PKG.relate)
    update_relationship = _awaited(PKG.update_relationship)
    unrelate = _awaited(PKG.unrelate)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncTransaction]:
        """Gather mutations, and commit them when the block ends; an exception forgets them."""
        gathered = AsyncTransaction()
        yield gathered
        gathered.position = await self._threads.run(self._commit, gathered)

    def _commit(self, gathered: AsyncTransaction) -> Position:
        with self._target.transaction() as tx:
            for mutation in gathered.mutations:
                mutation(tx)
        return tx.position

    query = _awaited(PKG.query)
    execute = _awaited(PKG.execute)
    query_sql = _awaited(PKG.query_sql)
    schema = _awaited(PKG.schema)
    counts = _awaited(PKG.counts)

    async def head(self) -> Position:
        """Return the position of the newest entry of the log."""
        return await self._threads.run(self._target.feed.head)


class AsyncSync(_Beside[Sync]):
    """The engine: waiting for it."""

    wait = _awaited(Sync.wait)

    async def drain(
        self, timeout_s: float | None = None, on_progress: Callable[[SyncStatus], None] | None = None
    ) -> bool:
        """Wait until nothing is left to do; False when the time ran out. `on_progress` is called in the loop."""
        return await self._threads.run_long(self._target.drain, on_progress, timeout_s=timeout_s)


class AsyncSlipstream(_Beside[Slipstream]):
    """
    The facade of a PKG for asyncio; `slipstream` is the one that it stands before.

    Calls run beside each other, at most 16 at a time. Callbacks of progress are called in the loop.
    """

    def __init__(self, slipstream: Slipstream, threads: _Threads) -> None:
        super().__init__(slipstream, threads)
        self._pkg, self._sync = AsyncPKG(slipstream.pkg, threads), AsyncSync(slipstream.sync, threads)

    @property
    def slipstream(self) -> Slipstream:
        """The facade that this one stands before: its calls block."""
        return self._target

    @property
    def pkg(self) -> AsyncPKG:
        """The graph: mutations, transactions, Cypher and SQL."""
        return self._pkg

    @property
    def sync(self) -> AsyncSync:
        """The engine: waiting for it."""
        return self._sync

    # ------------------------------------------------------------------ reading

    search = _awaited(Slipstream.search)
    why_not = _awaited(Slipstream.why_not)
    get = _awaited(Slipstream.get)
    find = _awaited(Slipstream.find)
    relationship = _awaited(Slipstream.relationship)
    entities = _awaited(Slipstream.entities)
    neighbours = _awaited(Slipstream.neighbours)
    changes = _awaited(Slipstream.changes)
    status = _awaited(Slipstream.status)
    explain = _awaited(Slipstream.explain)

    async def stream_changes(self, after: Position | None = None) -> AsyncIterator[Change]:
        """
        Yield the entries of the log behind a position as they are committed, without end; None: from now on.

        Raises `PositionLostError` when some of them are gone.
        """
        position = await self.pkg.head() if after is None else after
        feed = self._target.pkg.feed
        while True:
            page = await self.changes(position, limit=_PAGE)
            for change in page.items:
                position = change.position  # whoever stops listening here, and goes on later, misses nothing
                yield change
            if not page.items:
                position = page.next
                await self._threads.run(feed.wait, position, _LOOK_S)

    async def incident(self) -> Incident | None:
        """Return why graph and index do not belong together; None when they do."""
        return await self._threads.run(lambda: self._target.incident)

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
            self._target.verify, on_progress, incremental=incremental, deep=deep, hurry=hurry
        )

    async def import_files(
        self,
        *paths: Path | str,
        format: str | None = None,  # noqa: A002  (what the option of the command is called)
        options: ReadOptions | None = None,
        replace_source: str | None = None,
        confirm: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> ImportReport:
        """Import files that belong together, or a folder of notes; see `Slipstream.import_files`."""
        return await self._threads.run_long(
            functools.partial(self._target.import_files, *paths),
            on_progress,
            format=format,
            options=options,
            replace_source=replace_source,
            confirm=confirm,
        )

    repair = _awaited(Slipstream.repair)
    list_dead_letters = _awaited(Slipstream.list_dead_letters)
    replay_dead_letters = _awaited(Slipstream.replay_dead_letters)
    discard_dead_letters = _awaited(Slipstream.discard_dead_letters)
    erase = _awaited(Slipstream.erase)

    async def backup(
        self,
        destination: Path | str,
        keep: int | None = None,
        on_progress: OnStep | None = None,
        **options: Unpack[BackupOptions],
    ) -> BackupReport:
        """Make a backup while everything runs; see `Slipstream.backup`. `on_progress` is called in the loop."""
        return await self._threads.run_long(
            self._target.backup, on_progress, destination=destination, keep=keep, **options
        )

    async def export(self, path: Path | str, *, head: bool = True) -> ExportReport:
        """Write the graph as of one position, as JSON lines for `import`."""
        return await self._threads.run(self._target.export, path, head=head)

    async def export_table(self, path: Path | str, table: TableSpec) -> ExportReport:
        """Write the entities of one type as CSV or TSV; see `Slipstream.export_table`."""
        return await self._threads.run(self._target.export_table, path, table)


def _opening(make: Callable[P, Slipstream]) -> Callable[P, AbstractAsyncContextManager[AsyncSlipstream]]:
    """Return the call of the same parameters that makes a PKG in a thread; the block's end closes it."""

    @asynccontextmanager
    @functools.wraps(make)
    async def held(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[AsyncSlipstream]:
        threads = _Threads(THREADS)
        slipstream = await _made(threads, functools.partial(make, *args, **kwargs))
        try:
            yield AsyncSlipstream(slipstream, threads)
        finally:
            await threads.close(slipstream.close)

    return held


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


open = _opening(open_pkg)  # noqa: A001  (reads as aio.open)
"""Open the PKG in a directory as `slipstream.open` does, `wait` being called in the thread that opens."""
connect = _opening(connect_pkg)
"""Return the PKG at a URL or in a directory, as `slipstream.connect` does."""
