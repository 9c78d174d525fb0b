"""Both embedding caches: what is kept, for how long, and what damage does."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from slipstream.adapters.embedders.cache import SqliteEmbeddingCache
from slipstream.adapters.embedders.memory_cache import MemoryEmbeddingCache
from slipstream.domain.errors import ConfigError, UnavailableError
from slipstream.domain.stamps import Vector
from slipstream.ports.embedder import EmbeddingCache

LIMIT_BYTES = 1 << 20
Open = Callable[[], EmbeddingCache]


def vector(seed: int, dimension: int = 384) -> Vector:
    return np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)


def vectors(start: int, count: int) -> dict[str, Vector]:
    return {f"key{number}": vector(number) for number in range(start, start + count)}


@pytest.fixture(params=["memory", "sqlite"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EmbeddingCache]:
    made: EmbeddingCache
    made = (
        MemoryEmbeddingCache(500) if request.param == "memory" else SqliteEmbeddingCache(tmp_path / "c", LIMIT_BYTES)
    )
    yield made
    made.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "embeddings.cache"


class TestBothCaches:
    def test_vectors_come_back_bit_for_bit(self, cache: EmbeddingCache) -> None:
        assert isinstance(cache, EmbeddingCache)
        kept = vectors(0, 20)
        cache.put(kept)
        got = cache.get([*kept, "absent", "key0"])
        assert got.keys() == kept.keys()
        assert all(np.array_equal(got[key], kept[key]) and got[key].dtype == np.float32 for key in kept)

    def test_nothing_asked_nothing_given(self, cache: EmbeddingCache) -> None:
        cache.put({})
        assert cache.get([]) == {}

    def test_a_vector_is_replaced(self, cache: EmbeddingCache) -> None:
        cache.put({"a": vector(1)})
        cache.put({"a": vector(2)})
        np.testing.assert_array_equal(cache.get(["a"])["a"], vector(2))

    def test_many_keys_at_once(self, cache: EmbeddingCache) -> None:
        cache.put({f"k{number}": vector(number, 8) for number in range(500)})
        assert len(cache.get([f"k{number}" for number in range(2_000)])) == 500

    def test_what_was_used_stays_when_the_rest_is_evicted(self, cache: EmbeddingCache) -> None:
        cache.put(vectors(0, 50))
        for start in range(1_000, 3_000, 100):
            assert cache.get(["key7"]), f"evicted at {start} though it was in use"
            cache.put(vectors(start, 100))
        assert cache.get(["key8"]) == {}
        assert len(cache.get([f"key{number}" for number in range(2_900, 3_000)])) == 100

    def test_changing_what_came_out_does_not_change_what_is_kept(self, cache: EmbeddingCache) -> None:
        cache.put({"a": vector(1)})
        with pytest.raises(ValueError, match="read-only"):
            cache.get(["a"])["a"][0] = 0

    def test_several_threads(self, cache: EmbeddingCache) -> None:
        def use(thread: int) -> int:
            for number in range(20):
                cache.put({f"{thread}/{number}": vector(number)})
                cache.get([f"{other}/{number}" for other in range(4)])
            got = cache.get([f"{thread}/{number}" for number in range(20)])
            return sum(np.array_equal(got[f"{thread}/{number}"], vector(number)) for number in range(20))

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(use, range(4))) == [20] * 4

    def test_a_closed_cache_says_so(self, cache: EmbeddingCache) -> None:
        cache.close()
        cache.close()
        with pytest.raises(UnavailableError, match="closed"):
            cache.get(["a"])
        with pytest.raises(UnavailableError, match="closed"):
            cache.put({"a": vector(1)})


def test_useless_limits_are_refused(path: Path) -> None:
    with pytest.raises(ConfigError, match="entries_max"):
        MemoryEmbeddingCache(0)
    with pytest.raises(ConfigError, match="size_limit_bytes"):
        SqliteEmbeddingCache(path, 1_000)


def test_a_reopened_file_still_has_them(path: Path) -> None:
    first = SqliteEmbeddingCache(path)
    first.put(vectors(0, 5))
    first.close()
    second = SqliteEmbeddingCache(path)
    assert len(second.get(["key0", "key4"])) == 2
    second.close()


def test_the_file_stays_within_its_limit(path: Path) -> None:
    cache = SqliteEmbeddingCache(path, LIMIT_BYTES)
    for start in range(0, 4_000, 50):
        cache.put(vectors(start, 50))
    assert path.stat().st_size < LIMIT_BYTES * 1.2
    cache.close()


def test_a_lower_limit_shrinks_the_file_when_it_is_opened(path: Path) -> None:
    large = SqliteEmbeddingCache(path, 8 * LIMIT_BYTES)
    large.put(vectors(0, 3_000))
    large.close()
    assert path.stat().st_size > 4 * LIMIT_BYTES
    small = SqliteEmbeddingCache(path, LIMIT_BYTES)
    small.close()
    assert path.stat().st_size < LIMIT_BYTES * 1.2


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE vectors SET vector = zeroblob(1536) WHERE key = 'key1'",
        "UPDATE vectors SET vector = substr(vector, 1, 100) WHERE key = 'key1'",
        "UPDATE vectors SET vector = 'text' WHERE key = 'key1'",
        "REPLACE INTO vectors SELECT 'key1', vector, checksum, used FROM vectors WHERE key = 'key2'",
    ],
)
def test_a_damaged_entry_counts_as_absent(path: Path, damage: str) -> None:
    cache = SqliteEmbeddingCache(path)
    cache.put(vectors(0, 3))
    with sqlite3.connect(path) as raw:
        raw.execute(damage)
    raw.close()
    assert set(cache.get(["key0", "key1", "key2"])) == {"key0", "key2"}
    cache.close()


def test_a_file_that_is_no_database_is_put_aside(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is not SQLite" * 500)
    with caplog.at_level(logging.WARNING):
        cache = SqliteEmbeddingCache(path)
    assert "damaged" in caplog.text
    assert path.with_name("embeddings.cache.damaged").read_bytes().startswith(b"this is not")
    cache.put(vectors(0, 2))
    assert len(cache.get(["key0", "key1"])) == 2
    cache.close()


def test_damage_under_an_open_cache_costs_only_the_entries(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = SqliteEmbeddingCache(path)
    before.put(vectors(0, 2_000))
    before.close()
    size = path.stat().st_size
    with path.open("r+b") as file:  # every page but the first, which opening reads
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    with caplog.at_level(logging.WARNING):
        cache = SqliteEmbeddingCache(path)
        assert cache.get([f"key{number}" for number in range(100)]) == {}
        cache.put(vectors(0, 3))
        assert len(cache.get(["key0", "key2"])) == 2
    assert "damaged" in caplog.text
    cache.close()


def test_a_file_of_something_else_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE precious (data)")
    raw.close()
    with pytest.raises(ConfigError, match="something else"):
        SqliteEmbeddingCache(path)
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT count(*) FROM precious").fetchone() == (0,)
    raw.close()


def test_a_path_that_can_not_be_opened_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a file"):
        SqliteEmbeddingCache(tmp_path)


def test_a_locked_file_costs_the_write_and_no_more(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = SqliteEmbeddingCache(path, busy_timeout_ms=1)
    cache.put(vectors(0, 1))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with caplog.at_level(logging.WARNING):
        cache.put(vectors(1, 1))
        assert set(cache.get(["key0", "key1"])) == {"key0"}
    assert "going on without" in caplog.text
    other.execute("ROLLBACK")
    other.close()
    cache.put(vectors(1, 1))
    assert set(cache.get(["key0", "key1"])) == {"key0", "key1"}
    cache.close()


_PROCESS = """
import sys, numpy as np
from slipstream.adapters.embedders.cache import SqliteEmbeddingCache
path, name = sys.argv[1:]
for round in range(10):
    cache = SqliteEmbeddingCache(path)
    for number in range(10):
        cache.put({f"{name}/{round}/{number}": np.full(384, round * 10 + number + 1, np.float32)})
        cache.get([f"{other}/{round}/{number}" for other in "ab"])
    cache.close()
"""


def test_two_processes_share_a_file(path: Path) -> None:
    running = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", _PROCESS, str(path), name], stderr=subprocess.PIPE)
        for name in "ab"
    ]
    for process in running:
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said.decode()) == (0, "")
    cache = SqliteEmbeddingCache(path)
    for name in "ab":
        keys = {f"{name}/{n // 10}/{n % 10}": float(n + 1) for n in range(100)}
        assert {key: float(kept[0]) for key, kept in cache.get(list(keys)).items()} == keys
    cache.close()
