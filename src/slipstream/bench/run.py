"""The whole run, in a temporary directory that is removed afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from slipstream.adapters.embedders.minilm import MINILM_SPEC
from slipstream.adapters.embedders.wordllama import WORDLLAMA_SPEC, WordLlamaEmbedder
from slipstream.bench.documents import Documents, Edits, read_documents, write_config, write_dump
from slipstream.bench.freshness import measure_freshness
from slipstream.bench.life import measure_import, measure_memory, measure_startup, measure_verify
from slipstream.bench.machine import load_average, machine_facts, peak_rss_mb
from slipstream.bench.sizes import Sizes
from slipstream.bench.subject import Subject, create_graph, moved, opened, raw_parts
from slipstream.bench.targets import targets_as_dicts
from slipstream.bench.throughput import Throughput, measure_irrelevant, measure_model, measure_static
from slipstream.domain.errors import ConfigError

OnStep = Callable[[str], None]
"""Told what is measured next."""


def run_benchmark(sizes: Sizes, on_step: OnStep) -> dict[str, Any]:
    """
    Measure everything and return the figures, flat, with the machine, the sizes and the targets beside them.

    Raises `BenchmarkError` when the engine did not do what was to be measured. Figures that could not be taken
    are None, and `notes` says why.
    """
    with tempfile.TemporaryDirectory(prefix="slipstream-bench-") as folder:
        return _Run(Path(folder), sizes, on_step).figures()


class _Run:
    def __init__(self, root: Path, sizes: Sizes, on_step: OnStep) -> None:
        self._root, self._sizes, self._on_step = root, sizes, on_step
        self._edits = Edits()
        self._notes: list[str] = []

    def figures(self) -> dict[str, Any]:
        sizes, load_before = self._sizes, load_average()
        self._on_step("reading the Human Phenotype Ontology")
        everything = read_documents(max(sizes.entities, sizes.static_updates, sizes.memory_entities))
        documents = everything.first(sizes.entities)
        found: dict[str, Any] = {
            **self._model(documents),
            **self._static(everything.first(sizes.static_updates)),
            "pkg_peak_rss_mb": self._memory(everything.first(sizes.memory_entities)),
            "peak_rss_mb": peak_rss_mb(),
        }
        rounded = {name: round(value, 3) if isinstance(value, float) else value for name, value in found.items()}
        return {
            **rounded,
            "targets": targets_as_dicts(rounded),
            "sizes": {**asdict(sizes), "relationships": len(documents.relationships)},
            "machine": {**machine_facts(self._root), "load_before": load_before},
            "notes": self._notes,
        }

    def _model(self, documents: Documents) -> dict[str, Any]:
        """Measure everything that runs on the default model, on one PKG."""
        sizes, home, dump = self._sizes, self._root / "model", self._root / "model.jsonl"
        write_config(home, MINILM_SPEC.id)
        write_dump(dump, documents)
        self._on_step("importing")
        found: dict[str, Any] = dict(measure_import(home, dump, documents))
        with opened(home, MINILM_SPEC.id) as subject:
            self._on_step("first index")
            _fill(subject)
            found.update(self._freshness(subject, documents))
            self._on_step("throughput with the model")
            through = measure_model(subject, documents, self._edits, sizes.model_updates, sizes.model_rounds)
            found.update(_model_figures(through))
            self._on_step("changes that no view reads")
            found["irrelevant_updates_per_s"] = measure_irrelevant(
                subject, documents, self._edits, sizes.irrelevant_updates
            )
            self._on_step("audit")
            found["verify_entities_per_s"] = measure_verify(subject.pkg)
        self._on_step("start-up")
        found.update(measure_startup(home, sizes.startup_runs))
        return found

    def _freshness(self, subject: Subject, documents: Documents) -> Mapping[str, object]:
        with raw_parts(self._root / "model-raw", documents) as raw:
            raw.upsert(moved(subject.records([entity.key for entity in documents.entities]), 1))
            self._on_step("freshness")
            return measure_freshness(subject, raw, documents, self._edits, self._sizes).figures()

    def _static(self, documents: Documents) -> dict[str, Any]:
        """Measure throughput with the static model, where it is installed."""
        try:
            WordLlamaEmbedder().close()
        except ConfigError as error:
            self._notes.append(f"static model not measured: {error}")
            return dict.fromkeys(_static_figures(Throughput(1, 1.0, 1.0, 1.0)))
        home, sizes = self._root / "static", self._sizes
        write_config(home, WORDLLAMA_SPEC.id)
        self._on_step("throughput with the static model")
        with ExitStack() as stack:
            subject = stack.enter_context(opened(home, WORDLLAMA_SPEC.id))
            create_graph(subject.pkg.pkg, documents)
            _fill(subject)
            raw = stack.enter_context(raw_parts(self._root / "static-raw", documents.first(0)))
            through = measure_static(subject, raw, documents, self._edits, sizes.static_updates, sizes.static_rounds)
            measure_verify(subject.pkg)
        return _static_figures(through)

    def _memory(self, documents: Documents) -> float | None:
        if not documents.entities:
            self._notes.append("pkg_peak_rss_mb not measured: only a full run does")
            return None
        home, dump = self._root / "memory", self._root / "memory.jsonl"
        write_config(home, MINILM_SPEC.id)
        write_dump(dump, documents)
        self._on_step("memory")
        return measure_memory(home, dump)


def _fill(subject: Subject) -> None:
    """Bring the index level with the graph, housekeeping included."""
    subject.pkg.sync.start()
    subject.pkg.sync.drain()
    subject.pkg.sync.stop()


def _model_figures(through: Throughput) -> dict[str, Any]:
    return {
        "model_updates_per_s": through.engine_per_s,
        "model_raw_per_s": through.embed_per_s,
        "model_ratio": through.engine_per_s / through.embed_per_s,
        "model_text_characters_mean": through.characters,
    }


def _static_figures(through: Throughput) -> dict[str, Any]:
    raw_per_s = min(through.embed_per_s, through.index_per_s)
    return {
        "static_updates_per_s": through.engine_per_s,
        "static_raw_per_s": raw_per_s,
        "static_embed_raw_per_s": through.embed_per_s,
        "index_raw_per_s": through.index_per_s,
        "static_ratio": through.engine_per_s / raw_per_s,
    }
