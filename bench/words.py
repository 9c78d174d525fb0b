"""
The word index alone, on WordNet: `python -m bench.words`.

    uv run --locked --all-extras python -m bench.words --data FOLDER    # where Debian's package is, or is put

Times are of the processor: what a row costs to make and to write in batches of a thousand, and each kind of query.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from bench.result_files import interruptible, say, write_result
from bench.wordnet.data import Synset, fetch, synsets
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.bench.machine import load_average
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.word_queries import AnyOf, Phrase, Term
from slipstream.domain.words import WordFields, WordRow, fold, word_row, words_of
from slipstream.ports.words import WordIndex

BATCH = 1_000
K = 50


def main() -> None:
    """Measure as the arguments say, and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.words", description="The word index alone.")
    parser.add_argument("--data", type=Path, help="a folder with WordNet's package, fetched there if need be")
    parser.add_argument("--sizes", type=int, nargs="+", default=[30_000, 117_659])
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--output", type=Path, help="the JSON file (default: a new one in bench/results)")
    options = parser.parse_args()
    with interruptible("slipstream-words-") as folder:
        data = fetch(options.data or folder)
        found: dict[str, Any] = {"load_before": load_average()}
        for size in options.sizes:
            found[str(size)] = _measured(folder / f"{size}.db", list(islice(synsets(data), size)), options.queries)
            say(f"{size}: {found[str(size)]}")
        say(f"written: {write_result('words', found, folder, path=options.output)}")


def _measured(path: Path, entries: Sequence[Synset], queries: int) -> dict[str, Any]:
    began = time.process_time()
    rows = [_row(entry) for entry in entries]
    made_s = time.process_time() - began
    store = SqliteStore(path)
    try:
        began = time.process_time()
        for at in range(0, len(rows), BATCH):
            store.words.put(rows[at : at + BATCH])
        written_s = time.process_time() - began
        asked = _queries(store.words, random.Random(7).sample(rows, min(queries, len(rows))))
        figures = {name: _percentiles(calls) for name, calls in asked.items()}
    finally:
        store.close()
    size = path.stat().st_size
    return {
        "row_us": round(made_s / len(rows) * 1e6, 2),
        "put_us": round(written_s / len(rows) * 1e6, 2),
        "mb_per_10_000": round(size / len(rows) / 100, 3),
        "query_ms_p50_p95": figures,
    }


def _row(entry: Synset) -> WordRow:
    name, *aliases = entry.name.split(", ")
    fields = WordFields(entry.type, entry.id, name, tuple(aliases), (), entry.gloss)
    return word_row(entity_key(entry.id), Position(1), fields)


def _queries(words: WordIndex, rows: Sequence[WordRow]) -> dict[str, list[Callable[[], object]]]:
    def any_of(text: str) -> AnyOf:
        return AnyOf(tuple(Term(word) for word in dict.fromkeys(words_of(text))))

    def misspelled(text: str) -> str:
        folded = fold(text)
        return folded[: len(folded) // 2] + folded[len(folded) // 2 + 1 :]

    asked: dict[str, Callable[[WordRow], object]] = {
        "exact": lambda row: words.named(fold(row.name), None, K),
        "name": lambda row: words.match(any_of(row.name), None, K),
        "phrase": lambda row: words.match(Phrase(tuple(words_of(row.body)[:3])), None, K),
        "all words of a text": lambda row: words.match(any_of(row.body), None, K),
        "typed": lambda row: words.match(any_of(row.name), frozenset({row.entity_type}), K),
        "frequencies": lambda row: words.frequencies(words_of(row.body)),
        "alike names": lambda row: words.alike_names(misspelled(row.name), K),
        "alike words": lambda row: words.alike_words(misspelled(words_of(row.name)[0]), K),
        "excerpts of ten": lambda row: words.excerpts(any_of(row.name), [row.body] * 10),
    }
    return {name: [partial(ask, row) for row in rows] for name, ask in asked.items()}


def _percentiles(calls: Sequence[Callable[[], object]]) -> tuple[float, float]:
    taken: list[float] = []
    for call in calls:
        began = time.process_time()
        call()
        taken.append((time.process_time() - began) * 1_000)
    return round(statistics.median(taken), 3), round(statistics.quantiles(taken, n=20)[-1], 3)


if __name__ == "__main__":
    main()
