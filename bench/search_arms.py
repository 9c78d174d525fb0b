"""
What searching with every arm costs beside vectors alone, over WordNet whole, in one run.

    uv run --locked python -m bench.search_arms --pkg /somewhere/wordnet    # made there if need be

A question is searched in each mode in turn, MiniLM's embedding of it included. So that a PKG is made in minutes, its
records have the vectors of the static model, filled up with zeros, and a question has that vector as well: MiniLM
embeds it all the same, and what the index does costs the same.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.result_files import interruptible, say, write_result
from bench.wordnet.data import Synset, fetch, synsets
from slipstream.bench.machine import load_average

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from slipstream.app.slipstream import Slipstream
    from slipstream.domain.models import ModelSpec
    from slipstream.ports.embedder import Embedder

K = 10
MODES = ("vector", "hybrid", "keyword", "exact")
TARGETS = {"hybrid_by_vector_p50": 1.5, "hybrid_by_vector_p95": 2.0}
"""Ratios, each to be at most this."""
_PAGE = 2_000
_FRAMES = ("what is {}?", "tell me about {}", "{} meaning", "how would you define {}?")


def main() -> None:
    """Measure as the arguments say, print the ratios and write the figures."""
    options = _options()
    with interruptible("slipstream-arms-") as folder:
        pkg = options.pkg or folder / "pkg"
        records = list(synsets(fetch(options.data or folder / "wordnet")))[: options.synsets]
        load_before = load_average()
        with _opened(pkg) as (slip, model):
            _fill(slip, records)
            model.is_real = True
            figures = _measured(slip, _questions(records, options.queries), options.rounds)
        ratios = {
            f"hybrid_by_vector_{name}": figures["all"]["hybrid"][name] / figures["all"]["vector"][name]
            for name in ("p50", "p95")
        }
        for name, value in ratios.items():
            verdict = "met" if value <= TARGETS[name] else "MISSED"
            print(f"{name:<24} {value:6.2f}   at most {TARGETS[name]:.2f}   {verdict}")
        found = {
            "records": len(records),
            "load_before": load_before,
            "ratios": ratios,
            "targets": TARGETS,
            "ms": figures,
        }
        say(f"written: {write_result('search-arms', found, folder, path=options.output)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.search_arms", description="What each arm costs.")
    parser.add_argument("--pkg", type=Path, help="a PKG of this benchmark; made there when there is none")
    parser.add_argument("--data", type=Path, help="where WordNet's files are, or are put (default: its own)")
    parser.add_argument("--synsets", type=int, help="how many records, from the first (default: all)")
    parser.add_argument("--queries", type=int, default=100, help="questions of each class")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--output", type=Path, help="the JSON file (default: a new one in bench/results)")
    return parser.parse_args()


class _Mixed:
    """MiniLM in what it costs to embed a question, the static model in what comes out."""

    def __init__(self, inner: Embedder) -> None:
        from slipstream.adapters.embedders.wordllama import WordLlamaEmbedder

        self._inner, self._static = inner, WordLlamaEmbedder()
        self.is_real = False

    @property
    def spec(self) -> ModelSpec:
        return self._inner.spec

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        import numpy as np

        if self.is_real:
            self._inner.embed(texts)
        vectors = self._static.embed(texts)
        filled = np.zeros((len(texts), self.spec.dimension), np.float32)
        filled[:, : vectors.shape[1]] = vectors
        return filled

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        return self._inner.count_tokens(texts)

    def close(self) -> None:
        self._inner.close()


@contextmanager
def _opened(directory: Path) -> Iterator[tuple[Slipstream, _Mixed]]:
    from slipstream.app.composition import Options, Wrapping, open_pkg

    directory.mkdir(parents=True, exist_ok=True)
    (directory / "slipstream.toml").write_text('[models]\ndefault = "minilm-l6-v2"\n', encoding="utf-8")
    made: list[_Mixed] = []

    def wrapped(embedder: Embedder) -> Embedder:
        made.append(_Mixed(embedder))
        return made[-1]

    with open_pkg(directory, options=Options(wrapping=Wrapping(embedder=wrapped))) as slip:
        slip.embedding.embed_query(f"never asked before: {time.time_ns()}", "minilm-l6-v2")  # else no model is made
        yield slip, made[-1]


def _fill(slip: Slipstream, records: Sequence[Synset]) -> None:
    if sum(slip.pkg.counts().values()) < len(records):
        say("writing WordNet")
        for start in range(0, len(records), _PAGE):
            with slip.pkg.transaction() as tx:
                for each in records[start : start + _PAGE]:
                    name, *aliases = each.name.split(", ")
                    tx.upsert_entity(
                        each.type, each.id, {"name": name, "aliases": aliases, "description": each.gloss}
                    )
    say("waiting for vectors and words")
    slip.sync.drain()
    slip.search("warm", after=slip.pkg.feed.head(), timeout_s=3_600.0)


@dataclass(frozen=True, slots=True)
class _Question:
    of_class: str
    text: str


def _questions(records: Sequence[Synset], count: int) -> list[_Question]:
    """Return questions of each class in a fixed, mixed order."""
    rng = random.Random(18)
    found: list[_Question] = []
    for each in rng.sample(list(records), min(count, len(records))):
        name, *aliases = each.name.split(", ")
        gloss = each.gloss.split(";")[0].strip() or name
        words = gloss.split()
        texts = {
            "name": name,
            "alias": aliases[0] if aliases else name,
            "misspelled": _misspelled(name, rng),
            "typed": f"{name} {each.type.lower()}",
            "asked": rng.choice(_FRAMES).format(name),
            "definition": gloss,
            "scrambled": " ".join(rng.sample(words, max(1, len(words) * 6 // 10))),
            "long": each.gloss,
            "id": each.id,
        }
        found += [_Question(of_class, text) for of_class, text in texts.items()]
    rng.shuffle(found)
    return found


def _misspelled(name: str, rng: random.Random) -> str:
    if len(name) < 4:
        return name
    at = rng.randrange(len(name) - 1)
    return rng.choice([name[:at] + name[at + 1 :], name[:at] + name[at + 1] + name[at] + name[at + 2 :]])


def _measured(slip: Slipstream, questions: list[_Question], rounds: int) -> dict[str, Any]:
    """Ask each question in every mode, beginning with another one each time."""
    taken: dict[str, dict[str, list[float]]] = {}
    for number, question in enumerate([*questions[:50], *questions * rounds]):
        for step in range(len(MODES)):
            mode: Any = MODES[(number + step) % len(MODES)]
            began = time.perf_counter()
            slip.search(question.text, K, mode=mode)
            took_ms = 1e3 * (time.perf_counter() - began)
            if number >= 50:  # the first ones warm up
                for name in (question.of_class, "all"):
                    taken.setdefault(name, {}).setdefault(mode, []).append(took_ms)
    return {name: {mode: _summary(values) for mode, values in modes.items()} for name, modes in sorted(taken.items())}


def _summary(values: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100)
    return {"p50": round(cuts[49], 3), "p95": round(cuts[94], 3), "count": len(values)}


if __name__ == "__main__":
    main()
