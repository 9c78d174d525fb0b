"""CocoIndex in live mode over LanceDB: a feed of our own, memoised components, batched embedding."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cocoindex as coco
import lancedb as lance
import numpy as np
import numpy.typing as npt
from cocoindex.connectors import lancedb
from cocoindex.resources.schema import VectorSchema

from bench.peers.work import DIMENSION, Graph, Hit, Node, Told, embed

_TABLE = "nodes"
_BATCH = 1_000
_DATABASE: Any = coco.ContextKey("lance_db")
_SCHEMA = VectorSchema(dtype=np.dtype(np.float32), size=DIMENSION)


@dataclass
class Row:
    """A row of the table."""

    id: str
    text: str
    embedding: Annotated[npt.NDArray[np.float32], _SCHEMA]


@coco.fn.as_async(batching=True, max_batch_size=_BATCH)  # type: ignore[untyped-decorator]
def _embedded(texts: list[str]) -> list[npt.NDArray[np.float32]]:
    return list(embed(texts))


@coco.fn(memo=True)  # type: ignore[untyped-decorator]
async def _process(node: tuple[str, str], table: Any) -> None:
    identity, text = node
    table.declare_row(row=Row(id=identity, text=text, embedding=await _embedded(text)))


class Feed:
    """The nodes as a live map: scannable, and it tells of changes while somebody watches."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.ready = threading.Event()
        self._changes: asyncio.Queue[tuple[Mapping[str, str | None], asyncio.Event] | None] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[tuple[str, tuple[str, str]]]:
        """Yield every node."""
        for identity, text in list(self.texts.items()):
            yield identity, (identity, text)

    async def watch(self, subscriber: Any) -> None:
        """Have everything processed once, then pass on what `change` tells, until `end`."""
        await subscriber.update_all()
        await subscriber.mark_ready()
        self.ready.set()
        while (change := await self._changes.get()) is not None:
            texts, done = change
            handles = [await _passed(subscriber, identity, text) for identity, text in texts.items()]
            for handle in handles:
                await handle.ready()
            done.set()

    async def change(self, texts: Mapping[str, str | None]) -> None:
        """Tell of new texts (None: deleted), and wait until they are in the table."""
        done = asyncio.Event()
        await self._changes.put((texts, done))
        await done.wait()

    async def end(self) -> None:
        """Let `watch` return."""
        await self._changes.put(None)


async def _passed(subscriber: Any, identity: str, text: str | None) -> Any:
    if text is None:
        return await subscriber.delete(identity)
    return await subscriber.update(identity, (identity, text))


class Peer:
    """An app in live mode on an event loop of its own, and a second connection for searching."""

    def __init__(self, directory: Path) -> None:
        self.settings = f"live mode, LiveMapView feed, memoised, embedding in batches of {_BATCH:,}, exact search"
        directory.mkdir(parents=True, exist_ok=True)
        self._uri = str(directory / "lance")
        self._feed = Feed()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._app = self._run(self._made(directory))
        self._live: Future[Any] | None = None
        self._connection = lance.connect(self._uri)

    def load(self, graph: Graph) -> None:
        """Start live mode with everything in the feed, and wait until it is ready."""
        self._feed.texts = {node.id: node.text for node in graph.nodes}
        self._start()

    def edit(self, nodes: Sequence[Node]) -> None:
        """Tell of new texts, and wait for them."""
        self._change({node.id: node.text for node in nodes})

    def delete(self, nodes: Sequence[Node], remaining: Sequence[Node]) -> None:
        """Tell of nodes that are gone, and wait for it."""
        del remaining
        self._change({node.id: None for node in nodes})

    def search(self, text: str, k: int) -> Sequence[Hit]:
        """Search the newest version of the table, exactly."""
        rows = self._connection.open_table(_TABLE).search(embed([text])[0]).metric("cosine").limit(k).to_list()
        return [Hit(row["id"], 1.0 - row["_distance"]) for row in rows]

    def damage(self, removed: Node, changed: Node) -> None:
        """Write into the table by LanceDB's own client."""
        table = self._connection.open_table(_TABLE)
        table.delete(f"id = '{removed.id}'")
        table.update(where=f"id = '{changed.id}'", values={"embedding": embed(["another text"])[0].tolist()})

    def look(self, remaining: Sequence[Node]) -> Told:
        """Start live mode anew, which scans everything."""
        del remaining
        self._restart()
        return Told(False, "live mode started anew: it scans the source and compares with its own ledger")

    def rebuild(self, remaining: Sequence[Node]) -> str | None:
        """Process everything anew, whatever is memoised."""
        del remaining
        self._restart(full_reprocess=True)
        return "live mode started anew with full_reprocess=True"

    def close(self) -> None:
        """End the live mode and the loop."""
        self._stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)

    async def _made(self, directory: Path) -> Any:
        environment = coco.Environment(coco.Settings(db_path=directory / "cocoindex"))
        connection = await lancedb.connect_async(self._uri)
        environment.context_provider.provide(_DATABASE, connection)
        schema = await lancedb.TableSchema.from_class(Row, primary_key=["id"])

        @coco.fn  # type: ignore[untyped-decorator]
        async def keep_up() -> None:
            table = await lancedb.mount_table_target(_DATABASE, _TABLE, schema)
            await coco.mount_each(_process, self._feed, table)

        return coco.App(coco.AppConfig("peers", environment=environment), keep_up)

    def _change(self, texts: Mapping[str, str | None]) -> None:
        for identity, text in texts.items():
            if text is None:
                del self._feed.texts[identity]
            else:
                self._feed.texts[identity] = text
        self._run(self._feed.change(texts))

    def _start(self, **options: Any) -> None:
        self._feed.ready.clear()

        async def live() -> None:
            await self._app.update(live=True, **options)

        self._live = asyncio.run_coroutine_threadsafe(live(), self._loop)
        while not self._feed.ready.wait(timeout=0.001):
            if self._live.done():
                self._live.result()

    def _stop(self) -> None:
        if self._live is not None:
            self._run(self._feed.end())
            self._live.result(timeout=60)
            self._live = None

    def _restart(self, **options: Any) -> None:
        self._stop()
        self._start(**options)

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
