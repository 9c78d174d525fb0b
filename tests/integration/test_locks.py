"""The locks of `docs/locks.md` are all there are, taken in its order, and over no port's call but as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from slipstream.adapters.graphs.sqlite.feed import SqliteFeed
from slipstream.adapters.graphs.sqlite.graph import SqliteGraph
from slipstream.adapters.indexes.chroma import ChromaIndex
from slipstream.adapters.indexes.sqlite.audits import SqliteAudits
from slipstream.adapters.indexes.sqlite.index import SqliteIndex
from slipstream.adapters.indexes.sqlite.journal import SqliteJournal
from slipstream.adapters.indexes.sqlite.words import SqliteWords
from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config, IndexConfig
from slipstream.app.slipstream import Slipstream
from slipstream.domain.keys import entity_key
from slipstream.engine.settings import SyncSettings
from slipstream.evolution.selector import ReembeddingSelector
from slipstream.report.engine_metrics import metrics_of
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import View
from tests.architecture.sources import ROOT
from tests.locks import LockWatch, lock_sites

PORTS = (SqliteJournal, SqliteAudits, SqliteGraph, SqliteFeed, SqliteIndex, SqliteWords, ChromaIndex)
WAIT_S = 120.0
MET = frozenset({
    "SqliteAudits.keep", "SqliteFeed.head", "SqliteFeed.read", "SqliteGraph.read", "SqliteGraph.scan",
    "SqliteJournal.bury", "SqliteJournal.get", "SqliteJournal.put_work", "SqliteJournal.set",
    "SqliteJournal.transaction", "SqliteJournal.work", "SqliteWords.put", "SqliteWords.stamps",
})  # fmt: skip
"""What was called for sure, whoever came first."""
TAKEN = frozenset({
    "apply/words.py _lock", "audit/auditor.py _one_at_a_time", "engine/backfill.py _lock", "engine/state.py changed",
    "engine/state.py writing", "evolution/selections.py _lock", "migration/migrations.py _stepping",
    "report/alerts.py _delivering", "syncview/writeback.py _turn",
})  # fmt: skip
_ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \|(?: ([^|]+) \|)?$", re.MULTILINE)


class Choking(HashEmbedder):
    """Can not embed one text."""

    def embed(self, texts):  # type: ignore[no-untyped-def]
        if any("poison" in text for text in texts):
            raise ValueError("can not embed this")
        return super().embed(texts)


def _rows() -> list[tuple[str, str]]:
    """Return each lock of the page, in its order, with what it says of ports; of adapters it says nothing."""
    text = (ROOT / "docs" / "locks.md").read_text(encoding="utf-8")
    return [(name, ports.strip()) for name, _, ports in _ROW.findall(text)]


def _is_against(first: str, second: str, place: dict[str, int]) -> bool:
    """Whether two locks were taken against the page's order, which says nothing of two within adapters."""
    return place[first] > place[second] and not (first.startswith("adapters/") and second.startswith("adapters/"))


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
    slip.repair()
    metrics_of(slip.sync)
    assert slip.search("name 3", k=3, expand=1)
    assert slip.replay_dead_letters() == 1
    assert slip.sync.wait(slip.pkg.update_entity("p01", {"name": "another"}), WAIT_S)
    assert slip.sync.drain(WAIT_S)
    assert slip.discard_dead_letters() == 1


def _migrate(slip: Slipstream) -> None:
    routes = {"default": HashEmbedder().spec.id}
    declared = slip.migrations.declare([View("Person", "{{ name }}, a person")], routes)
    slip.pkg.delete_entity("bad")
    slip.migrations.start(declared)
    assert slip.sync.drain(WAIT_S)
    slip.migrations.cut_over(veto=tuple)
    slip.migrations.drop()
    assert slip.sync.drain(WAIT_S)


@pytest.mark.parametrize("adapter", ["sqlite", "chroma"])
def test_locks_are_taken_in_order_and_over_no_port(
    adapter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = LockWatch()
    watch.install(monkeypatch, PORTS)
    config = Config(index=IndexConfig.model_validate({"adapter": adapter}))
    settings = SyncSettings(attempts_max=2, backoff_base_s=0.01, backoff_max_s=0.02, pending_max=40, log_page=16)
    options = Options(embedders=(Choking(dimension=16),), settings=settings)
    with open_pkg(tmp_path, config=config, options=options) as slip:
        _everything(slip)
        _migrate(slip)
    rows = _rows()
    place = {name: number for number, (name, _) in enumerate(rows)}
    against = {pair for pair in watch.orders if _is_against(*pair, place) or pair[::-1] in watch.orders}
    silent = {name for name, ports in rows if ports == "none"}
    index = {"sqlite": "SqliteIndex", "chroma": "ChromaIndex"}[adapter]
    assert watch.called >= MET | {f"{index}.{name}" for name in ("stamps", "upsert", "delete", "scan")}
    assert watch.taken >= TAKEN
    assert against == set()
    assert {call for call in watch.calls if call[0] in silent} == set()


def test_every_lock_is_listed_and_no_other() -> None:
    assert sorted(name for name, _ in _rows()) == sorted(lock_sites())


def test_the_watch_notices_an_order_and_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    class Port:
        def read(self) -> None:
            """Do nothing."""

    watch = LockWatch()
    watch.install(monkeypatch, (Port,))
    first, second = watch.lock("first"), watch.lock("second")
    with first, second:
        Port().read()
    with second, first:
        pass
    assert watch.orders == {("first", "second"), ("second", "first")}
    assert watch.calls == {("first", "Port.read"), ("second", "Port.read")}
