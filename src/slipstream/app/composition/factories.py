"""The one table of adapters: what each name in the configuration opens. Nothing else names an adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from slipstream.adapters.alerts.log import LogSink
from slipstream.adapters.alerts.memory_file import AlertFile
from slipstream.adapters.alerts.webhook import WebhookSink
from slipstream.adapters.clock import SystemClock
from slipstream.adapters.disk import free_bytes
from slipstream.adapters.embedders.cache import SqliteEmbeddingCache
from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.adapters.graphs.sqlite.glimpse import GRAPH_FACTS
from slipstream.adapters.graphs.sqlite.layout import APPLICATION_ID, LAYOUT_VERSION
from slipstream.adapters.graphs.sqlite.sql import SqliteSql
from slipstream.adapters.graphs.staging import checked_ref
from slipstream.adapters.graphs.values import check_id, check_properties, check_type_name
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.adapters.indexes.sqlite.glimpse import JOURNAL_FACTS
from slipstream.adapters.indexes.sqlite.lease import LeaseTiming
from slipstream.adapters.indexes.sqlite.schema import APPLICATION_ID as INDEX_APPLICATION_ID
from slipstream.adapters.indexes.sqlite.schema import SCHEMA_VERSION
from slipstream.adapters.indexes.sqlite.store import LOCK_NAME
from slipstream.adapters.rerankers.onnx import OnnxReranker
from slipstream.adapters.sqlite.glimpse import FileGlimpse as FileGlimpse  # noqa: PLC0414  (named here by others too)
from slipstream.adapters.sqlite.lockfile import holder_of
from slipstream.adapters.wrappers.digesting import DigestingIndex
from slipstream.adapters.wrappers.fenced import FencedSealedIndex, SealedVectorIndex
from slipstream.app.backup.auditing import OpenCopy
from slipstream.app.backup.parts import BackupParts, FileNames
from slipstream.app.client.transaction import Checks
from slipstream.app.config import OLD_KIND, AlertsConfig, Config, OnnxConfig, OpenAIConfig
from slipstream.app.pkg import GraphPorts
from slipstream.app.remote.parts import StorePorts
from slipstream.domain.erasure import Erased, Swept
from slipstream.domain.errors import ConfigError, InvalidInputError, UnavailableError
from slipstream.domain.metrics import MetricsSnapshot
from slipstream.domain.models import ModelSpec
from slipstream.ports.alerts import AlertMemory, AlertSink
from slipstream.ports.clock import Clock
from slipstream.ports.embedder import Embedder, EmbeddingCache
from slipstream.ports.erasing import Erasing, Forgetful
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import DeadLetters
from slipstream.ports.rerankers import Reranker
from slipstream.ports.selfcheck import SelfCheck
from slipstream.ports.telemetry import Exposition
from slipstream.ports.words import OwnWords, WordIndex

GRAPH_FILE, INDEX_FILE, ALERTS_FILE, OLD_GRAPH = "graph.db", "index.db", "alerts.state", "graph.lbug"
DATA_FOLDER, CACHE_FILE, LOCK_FILE = ".slipstream", "embeddings.cache", LOCK_NAME


def graph_checks() -> Checks:
    """Return what every graph accepts, for who sends mutations elsewhere."""
    return Checks(check_type_name, check_id, check_properties, checked_ref)


def open_sqlite_graph(config: Config, data: Path, clock: Clock) -> GraphPorts:
    """Open the graph file and what answers questions over it."""
    from slipstream.adapters.cypher.kglite import KgliteCypher

    limits = config.query
    graph = SqliteGraph(data / GRAPH_FILE, clock=clock)
    cypher = KgliteCypher(
        graph.path,
        memory_bytes=limits.memory_mb * 1024 * 1024,
        timeout_s=limits.timeout_s,
        rows_max=limits.rows_max,
    )
    with ExitStack() as stack:
        stack.callback(graph.close)
        stack.callback(cypher.close)
        return GraphPorts(
            reader=graph,
            writer=graph,
            feed=graph.feed,
            marks=graph,
            sync_view=graph.sync_view,
            cypher=cypher,
            sql=SqliteSql(graph.path, timeout_s=limits.timeout_s, rows_max=limits.rows_max),
            selfcheck=graph.selfcheck,
            erasing=graph.erasing,
            close=stack.pop_all().close,
        )


def open_sqlite_index(config: Config, data: Path, store: StorePorts) -> VectorIndex:  # noqa: ARG001 - the table's shape
    """Return the index that shares the file and the fence of the journal."""
    return store.index


def open_chroma(config: Config, data: Path, store: StorePorts) -> VectorIndex:  # noqa: ARG001 - the table's shape
    """Open the embedded Chroma index."""
    from slipstream.adapters.indexes.chroma import ChromaIndex

    index = ChromaIndex.embedded(data / "chroma")
    if index.was_changed:
        store.terms.forget()
    return _digesting(index, store)


def open_chroma_server(config: Config, data: Path, store: StorePorts) -> VectorIndex:  # noqa: ARG001 - likewise
    """Connect to the Chroma server."""
    from slipstream.adapters.indexes.chroma import ChromaIndex

    return _digesting(ChromaIndex.server(config.index.host, config.index.port), store)


def _digesting(index: SealedVectorIndex, store: StorePorts) -> VectorIndex:
    """Return an index of another store, fenced by the lease, with its digests kept in our store."""
    return DigestingIndex(FencedSealedIndex(index, store.lease.renew), store.terms)


GRAPHS: Mapping[str, Callable[[Config, Path, Clock], GraphPorts]] = {"sqlite": open_sqlite_graph}
INDEXES: Mapping[str, Callable[[Config, Path, StorePorts], VectorIndex]] = {
    "sqlite": open_sqlite_index,
    "chroma": open_chroma,
    "chroma-server": open_chroma_server,
}


def selfcheck_of(index: VectorIndex) -> SelfCheck | None:
    """Return the self-check of an index in a store of its own, None when it has none."""
    found = getattr(index, "selfcheck", None)
    return found if isinstance(found, SelfCheck) else None


def erasing_of(index: VectorIndex) -> Erasing | None:
    """Return what erases from an index in a store of its own, None when its adapter can not."""
    found = getattr(index, "erasing", None)
    return found if isinstance(found, Erasing) else None


def forget_files(data: Path, cache: EmbeddingCache | None, erased: Erased, rehearse: bool) -> list[Swept]:
    """Remove the copies of the graph and the vectors of texts that can be made again; return what was there."""
    del erased  # any of them may hold it: they tell neither by id nor by text
    mirrors = [path for path in data.glob(f"{GRAPH_FILE}.cypher*") if path.is_file()]
    known = sorted(data.glob(f"{CACHE_FILE}*"))
    cached = 0
    if not rehearse:
        for path in mirrors:
            path.unlink(missing_ok=True)
        if isinstance(cache, Forgetful):
            cached = cache.forget()
        else:
            for path in known:
                path.unlink(missing_ok=True)
    return [
        Swept(place="saved mirror for Cypher", searched=len(mirrors), removed=len(mirrors)),
        Swept(place="cache of embeddings", searched=len(known), removed=cached, note="emptied: it names no texts"),
    ]


def words_in(index: VectorIndex, store: StorePorts) -> WordIndex:
    """Return the word index of an index that has its own, else that of the journal's file."""
    return index.words if isinstance(index, OwnWords) else store.words


EMBEDDED_FOR_ONE = frozenset({"chroma"})
"""Indexes that only one process at a time can open: other processes ask that one."""


def open_store(data: Path, silence_s_max: float) -> StorePorts:
    """Open the file of the journal, which holds the index too unless another index is configured."""
    timing = LeaseTiming(silence_s_max=silence_s_max, beat_s=min(1.0, silence_s_max / 10))
    store = SqliteStore(data / INDEX_FILE, shared=True, timing=timing)
    return StorePorts(
        index=store.index,
        journal=store.journal,
        letters=store.journal,
        messages=store.journal,
        audits=store.audits,
        terms=store.terms,
        words=store.words,
        chores=(store.codes,),
        guest_journal=store.guest,
        guest_letters=store.guest,
        guest_messages=store.guest,
        lease=store.lease,
        requests=store.requests,
        watch=store.watch,
        selfcheck=store.selfcheck,
        erasing=store.erasing,
        close=store.close,
    )


def is_graph_there(data: Path) -> bool:
    """Whether there is a graph in a PKG's directory, and something in its file."""
    path = data / GRAPH_FILE
    return path.exists() and not (path.is_file() and path.stat().st_size == 0)


def refuse_old_graph(data: Path) -> None:
    """Raise `ConfigError` for a PKG whose graph is in a format that is no longer read."""
    if (data / OLD_GRAPH).exists():
        raise ConfigError(f"{data / OLD_GRAPH}: {OLD_KIND}")


def system_clock() -> Clock:
    """Return the clock of this machine."""
    return SystemClock()


def open_cache(config: Config, data: Path) -> EmbeddingCache | None:
    """Open the cache of embeddings on disk; None when it is switched off."""
    if config.models.cache_mb == 0:
        return None
    return SqliteEmbeddingCache(data / CACHE_FILE, config.models.cache_mb * 1024 * 1024)


def alert_sinks(config: AlertsConfig) -> dict[str, AlertSink]:
    """Return where alerts are told."""
    sinks: dict[str, AlertSink] = {"log": LogSink()}
    if config.webhook is not None:
        try:
            sinks["webhook"] = WebhookSink(config.webhook, token_file=config.webhook_token_file)
        except InvalidInputError as error:
            raise InvalidInputError(str(error).removeprefix("url: "), field="alerts.webhook") from None
    return sinks


def alert_memory(data: Path, owns: Callable[[], bool]) -> AlertMemory:
    """Return where the state of the alerts is kept: apart from graph and index, which they watch."""
    return AlertFile(data / ALERTS_FILE, owns)


def glimpses(data: Path) -> Mapping[FileGlimpse, Mapping[str, str]]:
    """Return looks into graph and journal, with the query for each fact; the caller closes them."""
    return {FileGlimpse(data / GRAPH_FILE): GRAPH_FACTS, FileGlimpse(data / INDEX_FILE): JOURNAL_FACTS}


def lock_holder(data: Path) -> str | None:
    """Return which process runs the engine, as its lock says; None when nobody does."""
    return holder_of(data / LOCK_FILE)


@dataclass(frozen=True, slots=True)
class StoreFile:
    """What a file of ours says that it is."""

    application_id: int
    version: int
    """The layout that this version writes."""


STORE_FILES: Mapping[str, StoreFile] = {
    GRAPH_FILE: StoreFile(APPLICATION_ID, LAYOUT_VERSION),
    INDEX_FILE: StoreFile(INDEX_APPLICATION_ID, SCHEMA_VERSION),
}


def graph_layout_faults(data: Path) -> list[str]:
    """Return the triggers, indexes and tables of a graph file that another program has changed."""
    from slipstream.adapters.graphs.sqlite.opening import what_is_wrong

    with FileGlimpse(data / GRAPH_FILE) as file:
        return file.ask(lambda connection: what_is_wrong(connection, file.path))


def lock_touched(data: Path) -> float:
    """Return when the holder of the lock was heard of, in seconds since 1970; raises `OSError`."""
    return (data / LOCK_FILE).stat().st_mtime


def sqlite_library() -> tuple[str, list[str]]:
    """Return the version of SQLite, and what it lacks of that which the files of a PKG need."""
    from slipstream.adapters.sqlite.copying import SQLITE_VERSION
    from slipstream.adapters.sqlite.glimpse import lacking

    return SQLITE_VERSION, lacking()


def room_of(data: Path) -> Callable[[], int]:
    """Return what tells how many bytes are free for the PKG."""
    return partial(free_bytes, data)


def packaged_models() -> Mapping[ModelSpec, Callable[[], Embedder]]:
    """Return the models that are packages, each made, and its extra needed, only when it is first used."""
    from slipstream.adapters.embedders import minilm
    from slipstream.adapters.embedders.wordllama import WORDLLAMA_SPEC, WordLlamaEmbedder

    return {
        minilm.MINILM_SPEC: minilm.MiniLMEmbedder,
        minilm.MINILM_INT8_SPEC: minilm.MiniLMInt8Embedder,
        minilm.MINILM_BF16_SPEC: minilm.MiniLMBf16Embedder,
        WORDLLAMA_SPEC: WordLlamaEmbedder,
    }


def model_for_new() -> str:
    """Return the packaged model for a new PKG: the one that this machine's processor runs fastest."""
    from slipstream.adapters.embedders.minilm import fastest_minilm

    return fastest_minilm().id


def onnx_reranker(directory: Path) -> Reranker:
    """Return a cross-encoder from a directory, which is read when it is asked for the first time."""
    return OnnxReranker(directory)


def onnx_model(name: str, local: OnnxConfig) -> Embedder:
    """Load a model from a local directory."""
    from slipstream.adapters.embedders.minilm import OnnxEmbedder

    return OnnxEmbedder(local.directory, id=name)


def openai_model(name: str, server: OpenAIConfig) -> Embedder:
    """Connect to a model of an OpenAI-compatible server."""
    from slipstream.adapters.embedders.openai import OpenAIEmbedder, RequestLimits, TooLong

    return OpenAIEmbedder(
        server.base_url,
        name,
        api_key=_key(server.api_key_file),
        version=server.version,
        served_as=server.model,
        dimension=server.dimension,
        limits=RequestLimits(
            texts_max=server.texts_max,
            bytes_max=server.bytes_max,
            tokens_max=server.tokens_max,
            characters_max=server.characters_max,
            too_long=TooLong(server.too_long),
        ),
        timeout_s=server.timeout_s,
    )


def _key(path: Path | None) -> str | None:
    try:
        return None if path is None else path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        # Not chained: the decoder's error would carry the key.
        raise ConfigError(f"api_key_file {path} can not be read ({reason}): write the key into it") from None


def metrics_page(metrics: Callable[[], MetricsSnapshot]) -> Exposition:
    """Return the page of metrics; raises `ConfigError` when the extra `metrics` is not installed."""
    from slipstream.adapters.telemetry.prometheus import PrometheusExposition

    return PrometheusExposition(metrics)


def forgetful_letters() -> DeadLetters:
    """Return a place for dead letters that nobody will look at."""
    from slipstream.adapters.indexes.memory import MemoryJournal

    return MemoryJournal()


def backup_parts(opened_copy: Callable[[Path, Config], AbstractContextManager[OpenCopy]]) -> BackupParts:
    """Return what backup and restore see of the outside."""
    from slipstream.adapters.graphs.sqlite.pinned import PinnedSqliteGraph
    from slipstream.adapters.indexes.sqlite.pinned import PinnedSqliteStore, make_ready
    from slipstream.adapters.sqlite.copying import SQLITE_VERSION, PinnedFile, problems_of
    from slipstream.adapters.sqlite.lockfile import lock_file
    from slipstream.adapters.swapping import exchange

    return BackupParts(
        names=FileNames(data=DATA_FOLDER, graph=GRAPH_FILE, index=INDEX_FILE, cache=CACHE_FILE),
        sqlite_version=SQLITE_VERSION,
        clock=SystemClock(),
        pin_graph=PinnedSqliteGraph,
        pin_index=PinnedSqliteStore,
        pin_file=PinnedFile,
        problems_of=problems_of,
        make_ready=make_ready,
        has_vectors=lambda config: config.index.adapter == "sqlite",
        opened_copy=opened_copy,
        held_alone=_held_alone,
        exchange=exchange,
        lock_at=lock_file,
    )


@contextmanager
def _held_alone(data: Path) -> Iterator[None]:
    """Keep everybody out of a data folder; raises `UnavailableError` when a process has it open, naming it."""
    from slipstream.adapters.indexes.sqlite.store import LOCK_NAME
    from slipstream.adapters.sqlite.copying import held_alone
    from slipstream.adapters.sqlite.lockfile import lock_file

    lock = lock_file(data / LOCK_NAME)
    if not lock.lock():
        owner = (data / LOCK_NAME).read_text(encoding="utf-8", errors="replace").strip() or "another one"
        raise UnavailableError(f"process {owner} runs the engine of {data.parent}: end it, and try again")
    with ExitStack() as stack:
        stack.callback(lock.unlock)
        for path in (data / GRAPH_FILE, data / INDEX_FILE):
            if path.exists():
                stack.enter_context(held_alone(path))
        yield
