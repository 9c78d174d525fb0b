"""
Commit until found by words, and what word rows add to a load: `python -m bench.keyword_freshness`.

    uv run --locked --all-extras python -m bench.keyword_freshness            # 20,000 synsets, 300 commits, 3 pairs
    uv run --locked --all-extras python -m bench.keyword_freshness --synsets 3000 --commits 100 --pairs 1

WordNet's first synsets (as `bench.wordnet` fetches them) are a graph whose vectors the packaged MiniLM makes. Each
commit brings a word of its own. It is timed from the moment before it until the word index answers for its word, by
`match`, and for its name, by `named`: alone, and beside an import that goes on in the same process, apart for the
time in which it writes the graph and the time in which only the model is at work. The same commits are waited for by
vector too, with the follower and without it, in turns: it must not slow that down.

`share` is how much longer a load with the static model takes with the follower than without it, in pairs, each until
everything is searchable; `cpu_share` the same by processor time, which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from bench.result_files import interruptible, say, write_result
from bench.wordnet.data import Dump, fetch, write_dump
from slipstream.app.composition import open_pkg
from slipstream.app.config import Config, ModelsConfig
from slipstream.app.slipstream import Slipstream
from slipstream.bench.machine import load_average
from slipstream.domain.word_queries import Term
from slipstream.engine.words import WordFollower
from slipstream.ports.words import WordSearch

SYNSETS, COMMITS, PAIRS = 20_000, 300, 3
P95_MS_TARGET, SHARE_TARGET = 20.0, 0.15
_PATIENCE_S = 600.0
_GAP_S = (0.03, 0.07)
"""Commits come about 20 times a second, at no regular times."""


def main() -> None:
    """Measure, print and write the figures."""
    options = _options()
    with interruptible("slipstream-keyword-freshness-") as folder:
        before, data = load_average(), fetch(options.cache or folder / "wordnet")
        dump = write_dump(data, folder / "wordnet.jsonl", options.synsets)
        found: dict[str, Any] = {"load_before": before, "synsets": options.synsets, "commits": options.commits}
        if not options.only_load:
            found |= _freshness(dump, folder, options.commits)
        if not options.only_freshness:
            found |= _load(dump, folder, options.pairs)
        found["met"] = _met(found)
        print(json.dumps(found, indent=1))
        if options.record:
            say(f"written: {write_result('keyword-freshness', found, folder)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.keyword_freshness", description="How fresh words are.")
    parser.add_argument("--synsets", type=int, default=SYNSETS)
    parser.add_argument("--commits", type=int, default=COMMITS)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--cache", type=Path, help="a folder that keeps WordNet")
    parser.add_argument("--only-freshness", action="store_true")
    parser.add_argument("--only-load", action="store_true")
    parser.add_argument("--record", action="store_true", help="write a file into bench/results")
    return parser.parse_args()


def _met(found: dict[str, Any]) -> dict[str, bool]:
    met = {}
    if "alone_ms" in found:
        met = {"alone": found["alone_ms"]["p95"] <= P95_MS_TARGET}
        met["beside_import"] = found["beside_import_ms"]["p95"] <= P95_MS_TARGET
    return met | ({"share": found["share"] <= SHARE_TARGET} if "share" in found else {})


# ---------------------------------------------------------------------- freshness


class _Commits:
    """Commits entities with words of their own, and times each until it is found."""

    def __init__(self, slip: Slipstream) -> None:
        self._slip, self._rng, self._number = slip, random.Random(1), 0
        assert slip.sync.words is not None
        words = slip.sync.words.writer.words
        assert isinstance(words, WordSearch)
        self._index: WordSearch = words

    def found(self) -> float:
        """Commit, and return the seconds until word and name are found."""
        self._pause()
        began, word = time.perf_counter(), self._commit()
        if not self._slip.sync.wait_for_words(self._slip.pkg.last_commit, _PATIENCE_S):
            raise RuntimeError("the word rows stand still")
        hits = self._index.match(Term(word), None, 10)
        names = self._index.named(word, None, 10)
        took_s = time.perf_counter() - began
        if [hit.key.id for hit in hits] != [word] or [hit.key.id for hit in names] != [word]:
            raise RuntimeError(f"{word} was waited for, and is not found")
        return took_s

    def embedded(self) -> float:
        """Commit, and return the seconds until it is searchable by its vector."""
        self._pause()
        began = time.perf_counter()
        self._commit()
        if not self._slip.sync.wait(self._slip.pkg.last_commit, _PATIENCE_S):
            raise RuntimeError("the index stands still")
        return time.perf_counter() - began

    def _pause(self) -> None:
        time.sleep(self._rng.uniform(*_GAP_S))

    def _commit(self) -> str:
        self._number += 1
        word = f"word{self._rng.randrange(10**6)}x{self._number}"
        text = {"name": word, "description": f"{word} is committed as number {self._number}, to be found at once"}
        self._slip.pkg.create_entity("Noun", word, text)
        return word


def _freshness(dump: Dump, folder: Path, count: int) -> dict[str, Any]:
    with open_pkg(folder / "fresh", create=True) as slip:
        commits = _Commits(slip)
        for _ in range(20):
            commits.found()
        slip.sync.drain()
        say(f"{count} commits alone")
        alone = [commits.found() for _ in range(count)]
        slip.sync.drain()
        vectors = _vectors(slip, commits, count)
        say(f"commits beside an import of {dump.entities:,} entities")
        writing, embedding = _beside(slip, commits, dump, count)
        return {
            "alone_ms": _told(alone),
            **vectors,
            "beside_import_ms": _told([*writing, *embedding]),
            "beside_writing_ms": _told(writing),
            "beside_model_ms": _told(embedding),
        }


def _vectors(slip: Slipstream, commits: _Commits, count: int) -> dict[str, Any]:
    say("the same by vector, with the follower and without it")
    taken: dict[str, list[float]] = {"vector_with_words_ms": [], "vector_without_words_ms": []}
    for number in range(2 * max(1, count // 60)):
        with _follower(off=number % 2 == 1):
            name = "vector_without_words_ms" if number % 2 else "vector_with_words_ms"
            taken[name] += [commits.embedded() for _ in range(20)]
        slip.sync.drain()
    return {name: _told(times) for name, times in taken.items()}


def _beside(slip: Slipstream, commits: _Commits, dump: Dump, count: int) -> tuple[list[float], list[float]]:
    """Return the times of commits while an import writes the graph, and while only the model is at work."""
    importing = threading.Thread(target=slip.import_files, args=(dump.path,))
    writing: list[float] = []
    embedding: list[float] = []
    importing.start()
    while importing.is_alive():
        writing.append(commits.found())
    while len(embedding) < count and slip.sync.status().pending > 1_000:
        embedding.append(commits.found())
    if len(embedding) < count:
        say(f"the import was over after {len(embedding)} commits: take more synsets")
    return writing, embedding


def _told(times_s: list[float]) -> dict[str, float]:
    if len(times_s) < 2:
        return {"count": len(times_s)}
    cuts = statistics.quantiles(times_s, n=100, method="inclusive")
    told = {f"p{at}": round(1000 * cuts[at - 1], 2) for at in (50, 95, 99)}
    return {"count": len(times_s), **told}


# ---------------------------------------------------------------------- the load


@contextmanager
def _follower(*, off: bool) -> Iterator[None]:
    """With `off`, have nothing follow the log for word rows."""
    if not off:
        yield
        return
    with (
        mock.patch.object(WordFollower, "guarded_step", return_value=False),
        mock.patch.object(WordFollower, "rest", lambda _self, _halt, pause: pause(0.05)),
        mock.patch.object(WordFollower, "is_settled", return_value=True),
    ):
        yield


def _load(dump: Dump, folder: Path, pairs: int) -> dict[str, Any]:
    runs: list[dict[str, float]] = []
    for number in range(pairs):
        run: dict[str, float] = {}
        for off in (False, True) if number % 2 else (True, False):
            with _follower(off=off):
                took_s, cpu_s = _loaded(dump, folder / f"load-{number}-{off}")
            name = "without" if off else "with"
            run |= {f"{name}_s": round(took_s, 3), f"{name}_cpu_s": round(cpu_s, 3)}
        say(f"pair {number + 1}: {run}")
        runs.append(run)
    share = statistics.median(run["with_s"] / run["without_s"] for run in runs) - 1
    cpu_share = statistics.median(run["with_cpu_s"] / run["without_cpu_s"] for run in runs) - 1
    return {"loads": runs, "share": round(share, 4), "cpu_share": round(cpu_share, 4)}


def _loaded(dump: Dump, directory: Path) -> tuple[float, float]:
    """Return the seconds, and those of the processor, that a load takes until everything is searchable."""
    config = Config(models=ModelsConfig(default="wordllama-l2"))
    with open_pkg(directory, create=True, config=config) as slip:
        slip.embedding.embed_query("warm", slip.embedding.spec_for("Noun").id)
        slip.sync.drain()
        began, cpu_began = time.perf_counter(), time.process_time()
        slip.import_files(dump.path)
        slip.sync.drain()
        return time.perf_counter() - began, time.process_time() - cpu_began


if __name__ == "__main__":
    main()
