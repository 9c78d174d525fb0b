"""
What each arm of a search finds, on WordNet and on the Human Phenotype Ontology: `python -m bench.search_quality`.

    uv run --locked python -m bench.search_quality --cache ~/.cache/slipstream-bench

It needs uv, apt-get, dpkg-deb and their network. Both sets are embedded once by the model that a new PKG has; with
`--cache` the PKGs are kept there, and asked again by the next run. Figures are of the half of the questions that no
weight was chosen by.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import slipstream
from bench.result_files import interruptible, say, write_result
from bench.search_quality.data import phenotypes, sentences, wordnet, write_entities
from bench.search_quality.targets import verdicts
from slipstream.bench.machine import load_average
from slipstream.quality.building import CLASSES, BuilderSettings, Named, QuestionSet, build_questions
from slipstream.quality.questions import Half, Question, halves
from slipstream.quality.search_figures import HYBRID, SearchQuality
from slipstream.quality.search_page import interval_text, search_quality_as_dict

SEED = 18
PER_CLASS = 400
_COLUMNS = "{:<28} {:>5} {:>13} {:>13} {:>13} {:>13}  {:<22} {}"


def main() -> None:
    """Measure as the arguments say, print the tables and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.search_quality", description="Arms of a search.")
    parser.add_argument("--per-class", type=int, default=PER_CLASS, help="questions of a class (default %(default)s)")
    parser.add_argument("--cache", type=Path, help="a folder that keeps what is fetched, and both PKGs")
    parser.add_argument("--output", type=Path, help="the JSON file (default: a new one in bench/results)")
    options = parser.parse_args()
    with interruptible("slipstream-search-quality-") as folder:
        cache = options.cache.resolve() if options.cache else folder
        load_before, began_s = load_average(), time.monotonic()
        measured = {"WordNet": _wordnet(cache, options.per_class), "HPO": _hpo(cache, options.per_class)}
        found = _report(measured, {"load_before": load_before, "duration_s": round(time.monotonic() - began_s)})
        _show(measured, found["targets"])
        say(f"written: {write_result('search-quality', found, folder, path=options.output)}")


def _wordnet(cache: Path, per_class: int) -> SearchQuality:
    say("WordNet: questions")
    entries = wordnet(cache)
    entities = [entity for entity, _ in entries]
    made = build_questions(
        lambda: entities,
        BuilderSettings(seed=SEED, per_class=per_class, classes=CLASSES, plural_types=("Noun",)),
    )
    return _asked(cache, "wordnet", entities, made, sentences(entries, per_class, SEED))


def _hpo(cache: Path, per_class: int) -> SearchQuality:
    say("HPO: questions")
    entities = phenotypes(cache)
    classes = tuple(name for name in CLASSES if name != "typed")  # all are of one type
    made = build_questions(lambda: entities, BuilderSettings(seed=SEED, per_class=per_class, classes=classes))
    return _asked(cache, "hpo", entities, made)


def _asked(
    cache: Path, name: str, entities: Sequence[Named], made: QuestionSet, more: Sequence[Question] = ()
) -> SearchQuality:
    questions = halves([*made.questions, *more], SEED)[Half.TEST]
    directory = cache / f"pkg-{name}"
    with slipstream.open(directory, create=not directory.exists()) as slip:
        if not slip.pkg.counts():
            say(f"{name}: importing {len(entities):,} entities")
            slip.import_files(write_entities(entities, made.taken_out, cache / f"{name}.jsonl"))
        say(f"{name}: embedding")
        slip.sync.drain()
        say(f"{name}: asking {len(questions):,} questions of every arm")
        return slip.quality.search(questions, seed=SEED)


def _report(measured: Mapping[str, SearchQuality], run: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "run": dict(run),
        "targets": verdicts(measured["WordNet"], measured["HPO"]),
        "sets": {name: search_quality_as_dict(found) for name, found in measured.items()},
    }


def _show(measured: Mapping[str, SearchQuality], targets: Sequence[Mapping[str, Any]]) -> None:
    print("recall@5 / recall@1 in percent, on the test half")
    arms = ("vector", "keyword", "exact", HYBRID)
    print(_COLUMNS.format("class", "n", *arms, "R@5 gained [95 %]", "R@1 gained [95 %]"))
    for name, found in measured.items():
        for row in (*found.classes, found.macro):
            figures = [f"{100 * row.arms[arm].recall_5:.1f} / {100 * row.arms[arm].recall_1:.1f}" for arm in arms]
            gains = [interval_text(row.gains[HYBRID][figure]) for figure in ("recall_5", "recall_1")]
            print(_COLUMNS.format(f"{name} {row.name}", row.questions, *figures, *gains).rstrip())
    for each in targets:
        print(f"{each['label']}: {each['value']}, target {each['target']}: {'met' if each['met'] else 'MISSED'}")


if __name__ == "__main__":
    main()
