"""No port is called while the engine's condition is held: who waits for the frontier waits for no store."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slipstream.adapters.graphs.sqlite.feed import SqliteFeed
from slipstream.adapters.graphs.sqlite.graph import SqliteGraph
from slipstream.adapters.indexes.chroma import ChromaIndex
from slipstream.adapters.indexes.sqlite.audits import SqliteAudits
from slipstream.adapters.indexes.sqlite.index import SqliteIndex
from slipstream.adapters.indexes.sqlite.journal import SqliteJournal
from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config, IndexConfig
from slipstream.app.slipstream import Slipstream
from slipstream.domain.keys import entity_key
from slipstream.engine.settings import SyncSettings
from slipstream.engine.state import Changes
from slipstream.evolution.selector import ReembeddingSelector
from slipstream.report.engine_metrics import metrics_of
from slipstream.testkit.embedders import HashEmbedder

PORTS = (SqliteJournal, SqliteAudits, SqliteGraph, SqliteFeed, SqliteIndex, ChromaIndex)
WAIT_S = 120.0
MET = frozenset({
    "SqliteAudits.keep", "SqliteFeed.head", "SqliteFeed.read", "SqliteGraph.read", "SqliteGraph.scan",
    "SqliteJournal.bury", "SqliteJournal.get", "SqliteJournal.put_work", "SqliteJournal.set",
    "SqliteJournal.transaction", "SqliteJournal.work",
})  # fmt: skip
"""What was called for sure, whoever came first."""


class Choking(HashEmbedder):
    """Can not embed one text."""

    def embed(self, texts):  # type: ignore[no-untyped-def]
        if any("poison" in text for text in texts):
            raise ValueError("can not embed this")
        return super().embed(texts)


class Watched:
    """Notes every call of a port by a thread that holds a condition of an engine."""

    def __init__(self) -> None:
        self.conditions: list[Changes] = []
        self.called: set[str] = set()
        self.caught: set[str] = set()

    def wrapped(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            self.called.add(name)
            if any(condition.is_mine for condition in self.conditions):
                caller = next(f for f in inspect.stack() if "/slipstream/" in f.filename)
                self.caught.add(f"{name}, by {caller.function}")
            return method(*args, **kwargs)

        return call


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    watched = Watched()
    for port in PORTS:
        for name, method in vars(port).items():
            if inspect.isfunction(method) and not name.startswith("_"):
                monkeypatch.setattr(port, name, watched.wrapped(f"{port.__name__}.{name}", method))
    return watched


def _everything(slip: Slipstream) -> None:
    """Let the engine meet all that it can: bursts, failures, marks, selections, a migration, audits, a backlog."""
    with slip.pkg.transaction() as tx:
        for number in range(60):
            tx.create_entity("Person", f"p{number:02}", {"name": f"name {number}"})
        tx.relate("p00", "KNOWS", "p01")
        tx.create_entity("Person", "bad", {"name": "poison"})
    assert slip.sync.drain(WAIT_S)
    assert slip.sync.status().dead_letters == 1
    slip.sync.engine.mark([entity_key(f"p{number:02}") for number in range(60)], reason="all of them")
    assert slip.sync.drain(WAIT_S)
    slip.reembedding.trigger_reembedding(selector=ReembeddingSelector(entity_types=("Person",)))
    slip.sync.engine.request_full_scan()
    slip.pkg.delete_entity("p59")
    assert slip.sync.drain(WAIT_S, on_progress=lambda _: None)
    slip.verify(hurry=True)
    metrics_of(slip.sync)
    assert slip.replay_dead_letters() == 1
    assert slip.sync.wait(slip.pkg.update_entity("p01", {"name": "another"}), WAIT_S)
    assert slip.sync.drain(WAIT_S)
    assert slip.discard_dead_letters() == 1


@pytest.mark.parametrize("adapter", ["sqlite", "chroma"])
def test_no_port_is_called_while_the_condition_is_held(adapter: str, tmp_path: Path, watched: Watched) -> None:
    config = Config(index=IndexConfig.model_validate({"adapter": adapter}))
    settings = SyncSettings(attempts_max=2, backoff_base_s=0.01, backoff_max_s=0.02, pending_max=40, log_page=16)
    options = Options(embedders=(Choking(dimension=16),), settings=settings)
    with open_pkg(tmp_path, config=config, options=options) as slip:
        watched.conditions.append(slip.sync.engine.changed)
        _everything(slip)
    index = {"sqlite": "SqliteIndex", "chroma": "ChromaIndex"}[adapter]
    met = {f"{index}.{name}" for name in ("stamps", "upsert", "delete", "scan")}
    assert watched.called >= met | MET
    assert watched.caught == set()
