"""
Search over WordNet, in one run: `python -m bench.search`.

    uv run --locked python -m bench.search --pkg /somewhere/wordnet     # made there, with MiniLM, if need be
    uv run --locked python -m bench.search --pkg … --old .venv/bin/python --old-pkg /somewhere/old   # beside ad2138d

Steady searches are measured without the model: their vectors are made beforehand. Beside each stands a product of the
same vectors by numpy, in float32 and on one thread, with the best ten of it. `--old` is the Python of a checkout of
ad2138d, and `--old-pkg` a PKG with the same entities that it has made.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import shutil
import sqlite3
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.result_files import interruptible, say, write_result
from bench.wordnet.data import fetch, write_dump
from bench.wordnet.sides import OLD_COMMIT, Side, present
from slipstream.bench.machine import load_average

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from slipstream.app.slipstream import Slipstream

K = 10
BACKLOG = 4_000
TARGETS = {
    "search_by_numpy": 0.8,
    "backlog_by_idle": 2.5,
    "typed_with_neighbours_by_plain": 1.7,
    "first_by_old": 1 / 6,
    "help_by_old": 0.3,
}
"""Ratios, each to be at most this."""


def main() -> None:
    """Measure as the arguments say, print the ratios and write the figures."""
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    options = _options()
    with interruptible("slipstream-search-") as folder:
        pkg = options.pkg or folder / "pkg"
        _make(pkg, folder, options.synsets)
        load_before = load_average()
        figures: dict[str, Any] = {"first": _first(_sides(options, pkg), options.rounds)}
        figures["help_cpu_s"] = _help_cpu_s(_sides(options, pkg), options.rounds)
        figures |= _steady(pkg, options.queries, options.rounds)
        figures |= _beside_a_backlog(pkg, folder)
        ratios = _ratios(figures)
        for name, value in ratios.items():
            verdict = "met" if value <= TARGETS[name] else "MISSED"
            print(f"{name:<34} {value:8.3f}   at most {TARGETS[name]:.3f}   {verdict}")
        found = {"load_before": load_before, "old": OLD_COMMIT, "ratios": ratios, "targets": TARGETS, **figures}
        say(f"written: {write_result('search', found, folder, path=options.output)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.search", description="Search over WordNet.")
    parser.add_argument("--pkg", type=Path, help="a PKG with WordNet; made there when there is none (default: made)")
    parser.add_argument("--synsets", type=int, help="of a PKG that is made: how many, from the first (default: all)")
    parser.add_argument("--old", type=Path, help=f"the Python of a checkout of {OLD_COMMIT}, for ratios to it")
    parser.add_argument("--old-pkg", type=Path, help="a PKG with the same entities, made by that")
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, help="the JSON file (default: a new one in bench/results)")
    return parser.parse_args()


def _make(pkg: Path, folder: Path, synsets: int | None) -> None:
    if (pkg / ".slipstream").exists():
        return
    say("importing WordNet")
    dump = write_dump(fetch(folder / "wordnet"), folder / "wordnet.jsonl", synsets)
    for arguments in (("init",), ("import", str(dump.path))):
        present().command_line(pkg, *arguments)


def _sides(options: argparse.Namespace, pkg: Path) -> list[tuple[Side, Path]]:
    old = [] if options.old is None else [(Side("old", options.old, OLD_COMMIT), options.old_pkg)]
    return [*old, (present(), pkg)]


# ---------------------------------------------------------------------- in processes of their own


def _first(sides: Sequence[tuple[Side, Path]], rounds: int) -> Mapping[str, Mapping[str, float]]:
    """Measure opening and the first search behind it, the model's time in it, each time in a new process."""
    found: dict[str, list[tuple[float, float]]] = {}
    for number in range(rounds + 1):
        for side, pkg in sides:
            if pkg is None:
                continue
            said = side.child("open", pkg, pkg).said["figures"]
            if number:  # the first one may still have what was left to do
                first_s = said["open_and_search_s"] - said["open_s"]
                found.setdefault(side.name, []).append((said["open_s"], first_s))
    return {
        name: {
            "open_s": statistics.median(open_s for open_s, _ in samples),
            "first_search_s": statistics.median(first_s for _, first_s in samples),
        }
        for name, samples in found.items()
    }


def _help_cpu_s(sides: Sequence[tuple[Side, Path]], rounds: int) -> Mapping[str, float]:
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for side, _pkg in sides:
            found.setdefault(side.name, []).append(side.command_line(Path(), "--help").cpu_s)
    return {name: statistics.median(samples) for name, samples in found.items()}


# ---------------------------------------------------------------------- in this one


class _Queries:
    """Real queries (what WordNet says of some synsets, without their names), with their vectors by the model."""

    def __init__(self, slip: Slipstream, texts: Sequence[str]) -> None:
        self._slip = slip
        searcher: Any = slip._parts.searcher  # noqa: SLF001
        service = searcher._vectors._service  # noqa: SLF001
        (self.scope,) = searcher._live(None).scopes  # noqa: SLF001
        model_id = self.scope.space.model_id
        self.vectors = {text: service.embed_query(text, model_id) for text in texts}
        searcher._vectors._service = self  # noqa: SLF001

    def embed_query(self, text: str, model_id: str) -> Any:
        """Return what was computed beforehand."""
        del model_id
        return self.vectors[text]

    def whole(self, text: str) -> Any:
        """Search."""
        return self._slip.search(text, K, mode="vector")

    def typed(self, text: str) -> Any:
        """Search one type, with neighbours."""
        return self._slip.search(text, K, entity_type="Noun", expand=1, mode="vector")

    def by_index(self, text: str) -> list[str]:
        """Ask the index alone."""
        from slipstream.domain.stamps import SearchFilter

        index: Any = self._slip._parts.searcher._index  # noqa: SLF001
        return [
            hit.stamp.key.encode() for hit in index.search(self.scope.space, self.vectors[text], K, SearchFilter())
        ]


def _steady(pkg: Path, count: int, rounds: int) -> dict[str, Any]:
    """Measure searches and the product of numpy in turns, and compare what they find."""
    import numpy as np

    import slipstream

    keys, matrix = _stored(pkg)
    with slipstream.open(pkg, run=False) as slip:
        texts = _texts(slip, keys, count)
        queries = _Queries(slip, texts)

        def product(text: str) -> npt.NDArray[np.intp]:
            scores = matrix @ queries.vectors[text]
            best = np.argpartition(scores, len(scores) - K)[len(scores) - K :]
            return best[np.argsort(-scores[best])]

        timed = {"numpy": product, "search": queries.whole, "typed_with_neighbours": queries.typed}
        samples = _timed({**timed, "index": queries.by_index}, texts[:50] * rounds)
        equal = sum(set(queries.by_index(text)) == _exact(matrix, keys, queries.vectors[text]) for text in texts)
    return {
        "records": len(keys),
        "queries": len(texts),
        "equal_to_exact": equal / len(texts),
        "steady_ms": {name: _summary(values) for name, values in samples.items()},
    }


def _beside_a_backlog(pkg: Path, folder: Path) -> dict[str, Any]:
    """Measure searches with the engine idle, and while it embeds what was changed, in a copy of the PKG."""
    import slipstream

    copy = folder / "copy"
    shutil.copytree(pkg, copy)
    keys, _ = _stored(copy, limit=BACKLOG)
    with slipstream.open(copy) as slip:
        texts = _texts(slip, keys, 200)
        queries = _Queries(slip, texts)
        slip.sync.drain()
        idle = _timed({"search": queries.whole}, texts)["search"]
        with slip.pkg.transaction() as tx:
            for key in keys:
                tx.update_entity(key[2:], {"description": f"changed {random.random()}: a synset of WordNet"})
        busy: list[float] = []
        while slip.status().lag_events and len(busy) < 5_000:
            busy += _timed({"search": queries.whole}, [random.choice(texts)])["search"]
        slip.sync.drain()
    return {"backlog_ms": {"idle": _summary(idle), "embedding": _summary(busy)}}


def _stored(pkg: Path, limit: int = -1) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Return the keys of entities and their vectors, as the file has them."""
    import numpy as np

    query = "SELECT r.key, v.vector FROM records r JOIN vectors v ON v.record = r.id ORDER BY r.id LIMIT ?"
    with closing(sqlite3.connect(pkg / ".slipstream" / "index.db")) as connection:
        rows = connection.execute(query, (limit,)).fetchall()
    return [key for key, _ in rows], np.frombuffer(b"".join(blob for _, blob in rows), "<f4").reshape(len(rows), -1)


def _texts(slip: Slipstream, keys: Sequence[str], count: int) -> list[str]:
    from slipstream.domain.keys import RecordKey

    chosen = random.Random(14).sample(list(keys), min(count, len(keys)))
    states = slip.pkg.read([RecordKey.decode(key) for key in chosen], {}).states.values()
    texts = (str(getattr(state, "entity").properties.get("description", "")) for state in states)  # noqa: B009
    return list(dict.fromkeys(text.split(";")[0].strip() for text in texts if text.strip()))


def _exact(matrix: npt.NDArray[np.float32], keys: Sequence[str], query: npt.NDArray[np.float32]) -> set[str]:
    """Return the best by float64 products, ties by key."""
    import numpy as np

    near = np.flatnonzero((rough := matrix @ query) >= np.partition(rough, len(rough) - K)[len(rough) - K] - 1e-4)
    scores = (matrix[near].astype(np.float64) * query.astype(np.float64)).sum(axis=1).clip(-1.0, 1.0)
    return {key for _, key in sorted(zip(-scores, (keys[int(at)] for at in near), strict=True))[:K]}


def _timed(tasks: Mapping[str, Callable[[str], object]], texts: Sequence[str]) -> dict[str, list[float]]:
    """Return how many milliseconds each task took for each text, the tasks in turns."""
    for task in tasks.values():
        task(texts[0])
    found: dict[str, list[float]] = {name: [] for name in tasks}
    gc.collect()
    for text in texts:
        for name, task in tasks.items():
            began_s = time.perf_counter()
            task(text)
            found[name].append((time.perf_counter() - began_s) * 1_000)
    return found


def _summary(samples: Sequence[float]) -> dict[str, float]:
    if not samples:
        return {"samples": 0}
    ordered = sorted(samples)
    return {
        "median": round(statistics.median(ordered), 3),
        "p95": round(ordered[int(len(ordered) * 0.95)], 3),
        "samples": len(ordered),
    }


def _ratios(figures: Mapping[str, Any]) -> dict[str, float]:
    steady, backlog = figures["steady_ms"], figures["backlog_ms"]
    found = {
        "search_by_numpy": steady["search"]["median"] / steady["numpy"]["median"],
        "typed_with_neighbours_by_plain": steady["typed_with_neighbours"]["median"] / steady["search"]["median"],
    }
    if backlog["embedding"]["samples"]:
        found["backlog_by_idle"] = backlog["embedding"]["median"] / backlog["idle"]["median"]
    for name, by_side in (
        ("first_by_old", {side: times["first_search_s"] for side, times in figures["first"].items()}),
        ("help_by_old", figures["help_cpu_s"]),
    ):
        if "old" in by_side:
            found[name] = by_side["new"] / by_side["old"]
    return {name: round(value, 3) for name, value in found.items()}


if __name__ == "__main__":
    main()
