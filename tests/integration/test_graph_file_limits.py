"""
Many types, hubs, long texts and a long log: neither work nor file nor memory grows faster than the data.

CI runs them small; `python -m bench.durability.limits` runs them at the sizes that docs/graph.md promises.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.domain.errors import PositionLostError
from slipstream.domain.events import PKGEvent
from slipstream.domain.positions import ORIGIN, Position
from slipstream.ports.feed import Retention
from tests.integration.graph_files import made, opened, run_raw
from tests.integration.graph_sizes import (
    adding_to_a_hub,
    many_long_texts,
    many_types,
    one_text_updated,
)

NOTHING_KEPT = Retention(kept_bytes=0, kept_s=0)


def test_a_thousand_types_of_each_kind(tmp_path: Path) -> None:
    found = many_types(tmp_path, 300, per_commit=3)
    assert found.entity_types == found.relationship_types == 300
    assert found.told == 3 * 300 + 100  # an entity, another one, a relationship each; a schema version a commit
    assert found.peak_bytes < 40_000_000


def test_a_relationship_of_a_hub_costs_what_the_first_one_did(tmp_path: Path) -> None:
    """Counted in steps of SQLite's machine, which no other process changes."""
    early, late = adding_to_a_hub(tmp_path, 10_000)
    assert late <= 1.1 * early


def test_a_long_text_that_changes_often_costs_the_file_one_text(tmp_path: Path) -> None:
    found = one_text_updated(tmp_path, updates=60, size=1_000_000)
    assert found.file_bytes < 4_000_000
    assert found.wal_bytes < 10_000_000
    assert found.log_bytes < 60 * 200
    assert found.peak_bytes < 25_000_000


def test_long_texts_cost_the_file_their_length(tmp_path: Path) -> None:
    found = many_long_texts(tmp_path, texts=500, size=50_000)
    assert found.file_bytes < 1.1 * 500 * 50_000
    assert found.log_bytes < 500 * 200
    assert found.peak_bytes < 25_000_000  # of 25 MB that are written and told


def test_texts_that_are_kept_in_the_log_are_read_a_few_megabytes_at_a_time(tmp_path: Path) -> None:
    graph = opened(tmp_path)
    for start in range(0, 2_000, 500):
        with graph.transaction() as tx:
            for number in range(start, start + 500):
                tx.create_entity("Note", f"n{number}", {"text": "x" * 16_000})
    page = graph.feed.read(ORIGIN, 10_000)
    assert 400 < len(page) < 600
    total, after = 0, ORIGIN
    while page := graph.feed.read(after, 10_000):
        total, after = total + len(page), Position(page[-1].position or 0)
    assert total == 2_001
    graph.close()


# ---------------------------------------------------------------- retention


def test_the_log_is_trimmed_at_its_slowest_consumer(tmp_path: Path) -> None:
    graph = with_a_log(tmp_path, 1_500)
    head = graph.feed.head()
    graph.feed.acknowledge("slow", Position(400))
    graph.feed.acknowledge("fast", head)
    assert graph.feed.trim(NOTHING_KEPT) == 400
    assert isinstance(graph.feed.read(Position(400), 1)[0], PKGEvent)
    with pytest.raises(PositionLostError, match="trimmed through 400"):
        graph.feed.read(Position(399), 1)
    graph.feed.acknowledge("slow", Position(300))  # an older one changes nothing
    assert graph.feed.trim(NOTHING_KEPT) == 0
    graph.feed.acknowledge("slow", None)
    assert graph.feed.trim(NOTHING_KEPT) == head - 401
    assert (graph.feed.head(), len(graph.feed.read(Position(head - 1), 10))) == (head, 1)
    graph.close()


def test_past_its_hard_limit_it_waits_for_nobody(tmp_path: Path) -> None:
    graph = with_a_log(tmp_path, 3_000)
    graph.feed.acknowledge("slow", ORIGIN)
    size = log_bytes(tmp_path)
    assert graph.feed.trim(Retention(kept_bytes=0, kept_s=0, limit_bytes=size)) == 0
    assert graph.feed.trim(Retention(kept_bytes=0, kept_s=0, limit_bytes=size // 2)) > 1_000
    assert size // 4 < log_bytes(tmp_path) <= size // 2
    with pytest.raises(PositionLostError, match="backfill"):
        graph.feed.read(ORIGIN, 1)
    graph.close()


def test_what_is_young_and_short_stays(tmp_path: Path) -> None:
    graph = with_a_log(tmp_path, 1_500)
    size = log_bytes(tmp_path)
    assert graph.feed.trim(Retention(kept_bytes=size, kept_s=3_600)) == 0
    assert graph.feed.trim(Retention(kept_bytes=size // 2, kept_s=3_600)) >= 500
    assert size // 2 <= log_bytes(tmp_path) < size
    run_raw(tmp_path, "UPDATE change SET at = at - 7200000 WHERE position <= 1200")
    graph.close()
    graph = opened(tmp_path)  # a process measures each row once
    graph.feed.trim(Retention(kept_bytes=size, kept_s=3_600))
    assert 1_000 < run_raw(tmp_path, "SELECT min(position) FROM change")[0][0] <= 1_201
    graph.close()


def test_no_position_is_given_twice(tmp_path: Path) -> None:
    """Not behind a log that was trimmed to its last row, and not when the file is rebuilt and opened again."""
    graph = with_a_log(tmp_path, 300)
    for _ in range(3):
        head = graph.feed.head()
        graph.feed.trim(NOTHING_KEPT)
        assert run_raw(tmp_path, "SELECT count(*), min(position) FROM change") == [(1, head)]
        assert graph.feed.trim(NOTHING_KEPT) == 0
        graph.close()
        run_raw(tmp_path, "VACUUM")
        graph = opened(tmp_path)
        assert graph.feed.head() == head
        with graph.transaction() as tx:
            tx.upsert_entity("Note", "n0", {"text": f"at {head}"})
        assert tx.position == head + 1
    graph.close()


def test_a_failed_commit_gives_its_position_back(tmp_path: Path) -> None:
    graph = made(tmp_path)
    head = graph.feed.head()
    with suppress(ZeroDivisionError), graph.transaction() as tx:
        tx.create_entity("Person", "eve")
        raise ZeroDivisionError
    with graph.transaction() as tx:
        tx.create_entity("Person", "eve")
    assert tx.position == head + 1
    graph.close()


def with_a_log(path: Path, entries: int) -> SqliteGraph:
    graph = opened(path)
    for start in range(0, entries, 500):
        with graph.transaction() as tx:
            for number in range(start, min(start + 500, entries)):
                tx.create_entity("Note", f"n{number}", {"text": f"note {number}"})
    return graph


def log_bytes(path: Path) -> int:
    size = "SELECT sum(100 + length(coalesce(old, '')) + length(coalesce(new, ''))) FROM change"
    return int(run_raw(path, size)[0][0])
