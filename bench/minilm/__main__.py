"""Measure, print a table, and write the result."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.minilm.sides import ModelProcess, alternated, rates_of, ratios_of, started
from bench.result_files import interruptible, say, write_result
from bench.wordnet.data import fetch, write_dump
from slipstream.adapters.embedders.minilm.processor import processor_flags

_TOLD_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "amx_bf16")
Matrix = npt.NDArray[np.float32]


def main() -> None:
    """Run the sides in alternation."""
    arguments = _arguments()
    with interruptible("slipstream-minilm-") as folder, ExitStack() as stack:
        texts = _texts(arguments.dump, folder, arguments.recall)
        path = folder / "texts.json"
        path.write_text(json.dumps(texts), encoding="utf-8")
        pythons = {"old": arguments.old} if arguments.old else {}
        pythons |= {"float32": sys.executable, "int8": sys.executable}
        sides = {name: stack.enter_context(started(python, name, path)) for name, python in pythons.items()}
        rounds = alternated(sides, arguments.rounds, len(texts))
        found = {
            "texts": len(texts),
            "rounds": arguments.rounds,
            "processor": [flag for flag in _TOLD_FLAGS if flag in processor_flags()],
            "load": {name: side.loaded for name, side in sides.items()},
            "rates": rates_of(rounds),
            "ratios": ratios_of(rounds),
            "rss_mb": {name: rounds[name][1][-1]["rss_mb"] for name in sides},
            "recall": _recall(sides, folder, min(arguments.recall, len(texts))) if arguments.recall else None,
        }
        print(json.dumps(found, indent=1))
        print(write_result("minilm", found, folder, path=arguments.out))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.minilm", description=__doc__)
    parser.add_argument("--old", type=Path, help="a Python in which the version to compare with is installed")
    parser.add_argument("--dump", type=Path, help="WordNet for `slipstream import`; without: fetched by apt-get")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--recall", type=int, default=20_000, help="texts among which recall is measured; 0: not")
    parser.add_argument("--out", type=Path, help="the result's file instead of the next one in bench/results")
    return parser.parse_args()


def _texts(dump: Path | None, folder: Path, count: int) -> list[str]:
    """Return the texts of the first synsets, as the default view makes them."""
    count = max(count, 5_000)
    if dump is None:
        dump = write_dump(fetch(folder / "wordnet"), folder / "wordnet.jsonl", count).path
    with dump.open(encoding="utf-8") as file:
        nodes = [row["properties"] for row in map(json.loads, file) if row["type"] == "node"]
    return [f"{node['name']}: {node['description']}" for node in nodes[:count]]


def _recall(sides: Mapping[str, ModelProcess], folder: Path, count: int) -> dict[str, Any]:
    """Return how much of the exact ten nearest of float32 is among those of integers: each text asks for itself."""
    vectors: dict[str, Matrix] = {}
    for name in ("float32", "int8"):
        say(f"{count} vectors of {name}")
        path = folder / f"{name}.npy"
        sides[name].embed(0, count, 256, save=str(path))
        vectors[name] = np.load(path)
    exact, found = vectors["float32"], vectors["int8"]
    distances = 1 - np.einsum("ij,ij->i", exact.astype(np.float64), found)
    return {
        "among": count,
        "recall_at_10": round(recall_at_10(exact, found), 5),
        "cosine_distance_mean": float(distances.mean()),
        "cosine_distance_max": float(distances.max()),
    }


def recall_at_10(exact: Matrix, found: Matrix) -> float:
    """Return the share of the ten nearest others by `exact` that are among the ten by `found`, over all rows."""
    hits = 0
    for start in range(0, len(exact), 1_000):
        rows = range(start, min(start + 1_000, len(exact)))
        left, right = (_nearest(matrix, rows) for matrix in (exact, found))
        hits += sum(len(set(a) & set(b)) for a, b in zip(left.tolist(), right.tolist(), strict=True))
    return hits / (10 * len(exact))


def _nearest(matrix: Matrix, rows: range) -> npt.NDArray[np.intp]:
    scores = matrix[rows.start : rows.stop] @ matrix.T
    scores[np.arange(len(rows)), np.arange(rows.start, rows.stop)] = -2.0
    return np.argpartition(-scores, 10, axis=1)[:, :10]


if __name__ == "__main__":
    main()
