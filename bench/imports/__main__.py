"""
Imports of a format until all of it is searchable, beside its parts: `python -m bench.imports csv`, some minutes.

The parts, one after the other on the very same data: the bare parser, the graph file by transactions of a thousand,
the model, the index by transactions of a thousand. Import and parts take turns. `--count N` takes fewer records,
`--profile` tells where the time of an import goes.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.imports import csv_case, rdf_case
from bench.imports.case import Case
from bench.result_files import interruptible, say, write_result
from slipstream.bench.documents import Documents
from slipstream.bench.machine import load_average
from slipstream.bench.subject import COMMIT_SIZE, BenchmarkError, Subject, batches, create_graph, opened, raw_parts
from slipstream.domain.entities import Entity, EntityState, Relationship, RelationshipState
from slipstream.domain.keys import RecordKey
from slipstream.domain.stamps import VectorRecord

CASES = {"csv": csv_case.CASE, "rdf": rdf_case.CASE}
_MODEL = "wordllama-l2"
_PARTS = ("embed", "graph", "index", "parse")
_PATIENCE_S = 3_600.0


class Taken(NamedTuple):
    """Seconds by the clock, and of the processors, which other programs on the machine do not lengthen as much."""

    clock_s: float
    cpu_s: float


class Round(NamedTuple):
    """What one import and its parts took, and how much there was."""

    taken: Mapping[str, Taken]
    entities: int
    relationships: int
    records: int


def main() -> None:
    """Measure, print and write the figures."""
    options = _options()
    case = CASES[options.case]
    count = options.count or case.count
    with interruptible("slipstream-imports-") as folder:
        load_before = load_average()
        (folder / "source").mkdir()
        paths = case.write(folder / "source", count)
        if options.profile:
            _profiled(case, folder, paths)
            return
        rounds = [_round(case, folder / f"round{number}", paths) for number in range(options.rounds)]
        found = {"load_before": load_before, "case": options.case, **_summed(case, paths, rounds)}
        print(json.dumps(found, indent=1))
        say(f"written: {write_result(f'import-{options.case}', found, folder, path=options.output)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.imports", description="Imports beside their parts.")
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--count", type=int, help="so many records, to see that it works")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--profile", action="store_true", help="tell where the time of one import goes, no figures")
    parser.add_argument("--output", type=Path, help="the JSON file (default: a new one in bench/results)")
    return parser.parse_args()


def _round(case: Case, folder: Path, paths: Sequence[Path]) -> Round:
    with opened(_directory(folder), _MODEL) as subject:
        say("importing")
        taken = {"import": _imported(case, subject, paths)}
        say("reading what is there")
        documents, keys = _documents(subject)
        texts, records = subject.texts(keys), subject.records(keys)
        say("the parts")
        taken["embed"] = _timed(lambda: [subject.model.embed(page) for page in batches(texts, COMMIT_SIZE)])
    taken |= _stored(folder / "raw", documents, records)
    taken["parse"] = _timed(lambda: case.parse(paths))
    return Round(taken, len(documents.entities), len(documents.relationships), len(records))


def _directory(folder: Path) -> Path:
    directory = folder / "pkg"
    directory.mkdir(parents=True)
    config = f'[models]\ndefault = "{_MODEL}"\n\n[scrub]\nenabled = false\n'
    (directory / "slipstream.toml").write_text(config, encoding="utf-8")
    return directory


def _imported(case: Case, subject: Subject, paths: Sequence[Path]) -> Taken:
    """Import with the engine running, and return what it takes until all of it is searchable."""
    slip = subject.pkg
    slip.sync.start()

    def work() -> None:
        report = slip.import_files(*paths, options=case.options)
        reached = slip.sync.wait(slip.pkg.feed.head(), timeout_s=_PATIENCE_S)
        if not reached or report.rejected or slip.status().dead_letters:
            raise BenchmarkError(f"not all of it was imported: {report.errors}")

    taken = _timed(work)
    slip.sync.stop()
    return taken


def _documents(subject: Subject) -> tuple[Documents, list[RecordKey]]:
    """Return what the graph holds now, and the keys of what the index does."""
    entities: list[Entity] = []
    relationships: list[Relationship] = []
    keys = [row.key for row in subject.pkg.pkg.scan(None, 10_000_000)]
    for page in batches(keys, COMMIT_SIZE):
        for state in subject.pkg.pkg.read(page, {}).states.values():
            if isinstance(state, EntityState):
                entities.append(state.entity)
            elif isinstance(state, RelationshipState):
                relationships.append(state.relationship)
    return Documents(entities, relationships), [entity.key for entity in entities]


def _stored(folder: Path, documents: Documents, records: Sequence[VectorRecord]) -> dict[str, Taken]:
    with raw_parts(folder, Documents([], [])) as raw:
        graph = _timed(lambda: create_graph(raw.graph, documents))
        return {"graph": graph, "index": _timed(lambda: raw.upsert(records))}


def _timed(work: Callable[[], object]) -> Taken:
    began, spent = time.perf_counter(), time.process_time()
    work()
    return Taken(time.perf_counter() - began, time.process_time() - spent)


def _summed(case: Case, paths: Sequence[Path], rounds: Sequence[Round]) -> dict[str, Any]:
    first, names = rounds[0], ("import", *_PARTS)
    return {
        "unit": case.unit,
        "count": case.parse(paths),
        "source_mb": sum(path.stat().st_size for path in paths if path.is_file()) / 1e6,
        "entities": first.entities,
        "relationships": first.relationships,
        "records": first.records,
        "model": _MODEL,
        "seconds": {name: sum(each.taken[name].clock_s for each in rounds) / len(rounds) for name in names},
        "cpu_seconds": {name: sum(each.taken[name].cpu_s for each in rounds) / len(rounds) for name in names},
        "ratios": [_ratio(each, 0) for each in rounds],
        "cpu_ratios": [_ratio(each, 1) for each in rounds],
        "target": case.target,
    }


def _ratio(each: Round, of: int) -> float:
    """Return what the parts took for each second of the import: by the clock (0), or of the processors (1)."""
    return sum(each.taken[name][of] for name in _PARTS) / each.taken["import"][of]


def _profiled(case: Case, folder: Path, paths: Sequence[Path]) -> None:
    """Print where an import into the graph spends its time, with the engine standing still."""
    with opened(_directory(folder), _MODEL) as subject, cProfile.Profile() as profile:
        subject.pkg.import_files(*paths, options=case.options)
    pstats.Stats(profile).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    main()
