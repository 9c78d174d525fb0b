"""
What the present version is measured against its own parts, in a process of its own.

    python -m bench.targets.own TASK DIRECTORY DUMP

The last line on standard output is JSON: the figures of the task.
"""

from __future__ import annotations

import json
import logging
import random
import sys
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.targets.lone import lone_chroma, lone_sqlite
from bench.targets.parts import entity_keys, timed
from slipstream.app.composition import Options, Wrapping, open_pkg
from slipstream.app.composition.factories import model_for_new
from slipstream.app.slipstream import Slipstream
from slipstream.bench.documents import Edits, read_documents, write_config
from slipstream.bench.subject import batches, commit_updates, create_graph, opened, raw_parts
from slipstream.bench.throughput import measure_static
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.events.importing import Importer
from slipstream.ports.embedder import Embedder

STATIC = "wordllama-l2"
STATIC_UPDATES, STATIC_ROUNDS = 10_000, 4
QUERIES = 300

Found = dict[str, Any]


def main() -> None:
    """Run the task that the arguments name."""
    task, directory, dump = sys.argv[1:]
    logging.disable()  # alerts of an index that is behind, which it is while it is filled
    print(json.dumps(_TASKS[task](Path(directory), Path(dump))))


def import_ratio(directory: Path, dump: Path) -> Found:
    """An import with MiniLM until all is searchable, between two times the model alone on the very same texts."""
    directory.mkdir(parents=True)
    model = model_for_new()
    (directory / "slipstream.toml").write_text(f'[models]\ndefault = "{model}"\n', encoding="utf-8")
    with opened(directory, model) as subject:
        pkg = subject.pkg
        pkg.sync.start()
        with timed() as import_s:
            Importer(pkg.pkg, pkg.journal, pkg.dead_letters, pkg.clock).run(dump)
            pkg.sync.drain()
        texts = subject.texts(entity_keys(pkg))
        alone: list[float] = []
        for _ in range(2):
            with timed() as model_s:
                subject.model.embed(texts)
            alone.append(model_s())
    import_per_s, model_per_s = len(texts) / import_s(), len(texts) / median(alone)
    found = {"model": model, "texts": len(texts), "import_per_s": import_per_s, "model_per_s": model_per_s}
    return {**found, "ratio": import_per_s / model_per_s}


def static_ratio(directory: Path, dump: Path) -> Found:
    """Updates with the static model beside the slower of its raw parts, on the Human Phenotype Ontology."""
    del dump
    documents = read_documents(STATIC_UPDATES)
    write_config(directory, STATIC)
    with opened(directory, STATIC) as subject, raw_parts(directory / "raw", documents.first(0)) as raw:
        create_graph(subject.pkg.pkg, documents)
        subject.drained_s(subject.pkg.pkg.feed.head())
        through = measure_static(subject, raw, documents, Edits(), STATIC_UPDATES, STATIC_ROUNDS)
    parts = {"embed_per_s": through.embed_per_s, "index_per_s": through.index_per_s}
    ratio = through.engine_per_s / min(parts.values())
    return {"engine_per_s": through.engine_per_s, **parts, "ratio": ratio}


def search(directory: Path, dump: Path) -> Found:
    """Searches of an imported PKG beside numpy's product of the same matrix, without the model's time."""
    timer, questions = _Timer(), _questions(dump)
    samples: dict[str, list[float]] = {"search": [], "numpy": [], "typed": [], "busy": []}
    with open_pkg(directory, options=Options(wrapping=Wrapping(embedder=timer.around))) as pkg:
        pkg.sync.drain()
        keys = entity_keys(pkg)
        pkg.search(questions[0], k=10, mode="vector")
        matrix = _matrix(pkg, keys)

        def plain(question: str) -> object:
            return pkg.search(question, k=10, mode="vector")

        def typed(question: str) -> object:
            return pkg.search(question, k=10, entity_type="Noun", expand=1, mode="vector")

        for question in questions:
            samples["search"].append(timer.without_model_ms(plain, question))
            samples["numpy"].append(_numpy_ms(matrix, timer.model.embed([question])[0]))
            samples["typed"].append(timer.without_model_ms(typed, question))
        pkg.sync.stop()  # else it keeps up with the commits, and there is no backlog
        backlog = _commit_backlog(pkg, keys)
        pkg.sync.start()
        for question in cycle(questions):
            if pkg.sync.wait(backlog, timeout_s=0.0):
                break
            samples["busy"].append(timer.without_model_ms(plain, question))
    medians = {name: median(found) for name, found in samples.items()}
    return {
        "vectors": list(matrix.shape),
        "ms_p50": medians,
        "ms_p95": {name: quantiles(found, n=20)[-1] for name, found in samples.items()},
        "samples": {name: len(found) for name, found in samples.items()},
        "to_numpy": medians["search"] / medians["numpy"],
        "beside_to_idle": medians["busy"] / medians["search"],
        "typed_to_plain": medians["typed"] / medians["search"],
    }


def _numpy_ms(matrix: npt.NDArray[np.float32], query: npt.NDArray[np.float32]) -> float:
    with timed() as elapsed_s:
        scores = matrix @ query
        best = np.argpartition(-scores, 10)[:10]
        best[np.argsort(-scores[best])]
    return elapsed_s() * 1_000


def _commit_backlog(pkg: Slipstream, keys: Sequence[RecordKey]) -> Position:
    """Give a fifth of the entities new texts; return the position of the last."""
    changes = [(key.id, {"description": f"backlog {number}"}) for number, key in enumerate(keys[::5])]
    commit_updates(pkg.pkg, changes)
    return pkg.pkg.feed.head()


class _Timer:
    """Knows how long the model took for a question; what the engine embeds meanwhile is another matter."""

    model: Embedder

    def __init__(self) -> None:
        self._question, self._model_s = "", 0.0

    def around(self, embedder: Embedder) -> Embedder:
        """Return the model with this clock around it."""
        self.model = embedder
        return _Clocked(self, embedder)

    def without_model_ms(self, ask: Callable[[str], object], question: str) -> float:
        """Return how long an answer took without the model."""
        self._question, self._model_s = question, 0.0
        with timed() as elapsed_s:
            ask(question)
        return (elapsed_s() - self._model_s) * 1_000

    def note(self, texts: Sequence[str], seconds: float) -> None:
        """Note how long the model took for texts."""
        if list(texts) == [self._question]:
            self._model_s += seconds


class _Clocked:
    """A model with a clock around it."""

    def __init__(self, timer: _Timer, embedder: Embedder) -> None:
        self._timer, self._embedder = timer, embedder
        self.spec, self.count_tokens, self.close = embedder.spec, embedder.count_tokens, embedder.close

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed, and tell how long it took."""
        with timed() as elapsed_s:
            vectors = self._embedder.embed(texts)
        self._timer.note(texts, elapsed_s())
        return vectors


def _matrix(pkg: Slipstream, keys: Sequence[RecordKey]) -> npt.NDArray[np.float32]:
    """Return the stored vectors, as one matrix."""
    pages = []
    for page in batches(keys, 5_000):
        (space,) = {record.space for held in pkg.store.index.stamps(page).values() for record in held.records}
        pages.append(np.stack(list(pkg.store.index.vectors(page, space).values())))
    return np.concatenate(pages)


def _questions(dump: Path) -> list[str]:
    """Return beginnings of glosses from all over the graph."""
    with dump.open(encoding="utf-8") as file:
        glosses = [json.loads(line)["properties"]["description"] for line in file if '"type": "node"' in line]
    return [" ".join(gloss.split()[:8]) for gloss in random.Random(14).sample(glosses, QUERIES)]


_TASKS: dict[str, Callable[[Path, Path], Found]] = {
    "import-ratio": import_ratio,
    "static-ratio": static_ratio,
    "lone-sqlite": lone_sqlite,
    "lone-chroma": lone_chroma,
    "search": search,
}

if __name__ == "__main__":
    main()
