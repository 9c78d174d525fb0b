"""
One size: `python -m bench.growth.child fill|index|measure DIRECTORY DUMP ENTITIES`; the last line is JSON.

`fill` and `index` go on where they were interrupted: the graph says how much it holds, the engine how far it is.
"""

from __future__ import annotations

import gc
import json
import logging
import random
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from bench.growth.graph import Graph, WordsEmbedder
from bench.result_files import say
from bench.targets.parts import timed
from slipstream.app.composition import DATA_FOLDER, Options, open_pkg
from slipstream.app.slipstream import Slipstream
from slipstream.bench.machine import memory_mb, peak_rss_mb
from slipstream.bench.subject import batches
from slipstream.domain.entities import EntityState
from slipstream.domain.keys import KeyKind
from slipstream.views.declaration import Via, View

_COMMIT_SIZE = 1_000
_EDITS, _SEARCHES, _AUDITED = 200, 100, 100
_PAUSE_S, _SAID_EVERY_S = 0.01, 10.0
_TYPES = ("Noun", "Verb", "Adjective", "AdjectiveSatellite", "Adverb")
_TEMPLATE = (
    "{{ name }}: {{ description }}{% if broader %} Is a {{ broader|map(attribute='name')|join('; ') }}.{% endif %}"
)
_CONFIG = "[scrub]\nenabled = false\n"

Found = dict[str, Any]


def main() -> None:
    """Run the task that the arguments name."""
    task, directory, dump, entities = sys.argv[1:]
    logging.disable()  # alerts of an index that is behind, which it is while it is filled
    found = _TASKS[task](Path(directory), Path(dump), int(entities))
    print(json.dumps(found))


def fill(directory: Path, dump: Path, entities: int) -> Found:
    """Write the graph, the engine stopped."""
    graph = Graph(dump, entities)
    with _opened(directory) as pkg:
        held = pkg.pkg.counts()
        with timed() as fill_s:
            rows = islice(graph.nodes(), sum(count for name, count in held.items() if name in _TYPES), None)
            for page in _told(rows, "entities", entities):
                with pkg.pkg.transaction() as tx:
                    for identity, kind, texts in page:
                        tx.create_entity(kind, identity, texts)
            links = list(graph.links())
            begun = sum(count for name, count in held.items() if name not in _TYPES)
            for page in _told(iter(links[begun:]), "relationships", len(links)):
                with pkg.pkg.transaction() as tx:
                    for source, kind, target in page:
                        tx.relate(source, kind, target)
    return {"relationships": len(links), "fill_s": fill_s()}


def _told(rows: Iterator[Any], what: str, whole: int) -> Iterator[list[Any]]:
    """Yield pages, and say now and then how fast it goes and how long it will take."""
    began_s = said_s = time.monotonic()
    done = 0
    for page in batches(rows, _COMMIT_SIZE):
        yield page
        done += len(page)
        if (now_s := time.monotonic()) - said_s > _SAID_EVERY_S:
            said_s, rate = now_s, done / (now_s - began_s)
            say(f"  {done:,} of {whole:,} {what}, {rate:,.0f}/s, {(whole - done) / rate:,.0f} s to go")


def index(directory: Path, dump: Path, entities: int) -> Found:
    """Run the engine until all is searchable."""
    del dump
    with _opened(directory) as pkg:
        head, began_s = pkg.pkg.feed.head(), time.monotonic()
        before = _indexed(directory)
        pkg.sync.start()
        while not pkg.sync.wait(head, timeout_s=_SAID_EVERY_S):
            rate = (_indexed(directory) - before) / (time.monotonic() - began_s) or 1.0
            left = entities - _indexed(directory)
            say(f"  {entities - left:,} of {entities:,} records, {rate:,.0f}/s, {left / rate:,.0f} s to go")
        pkg.sync.drain()
        index_s = time.monotonic() - began_s
        return {
            "index_s": index_s,
            "indexed_per_s": (entities - before) / index_s,
            "index_peak_mb": peak_rss_mb(),
        }


def _indexed(directory: Path) -> int:
    with closing(sqlite3.connect(f"file:{directory / DATA_FOLDER / 'index.db'}?mode=ro", uri=True)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM records").fetchone()
    return int(count)


def measure(directory: Path, dump: Path, entities: int) -> Found:
    """Measure a PKG that is level, in a new process: what this has used is what opening and working costs."""
    del dump
    before_mb = memory_mb() or 0.0
    with timed() as open_s:
        pkg = _opened(directory)
        pkg.sync.start()
    try:
        gc.collect()
        gc.freeze()  # as the command line does
        found: Found = {"entities": entities, "open_ms": open_s() * 1_000}
        with timed() as first_s:
            pkg.search("a large animal that lives in water", k=10, mode="vector")
        found["first_search_ms"] = first_s() * 1_000
        found |= _edits(pkg)
        found |= _audits(pkg, entities)
        found["memory_mb"] = (memory_mb() or 0.0) - before_mb
        found["peak_mb"] = peak_rss_mb()
    finally:
        pkg.close()
    files = {path.name: path.stat().st_size for path in (directory / DATA_FOLDER).glob("*.db")}
    return {**found, "files_mb": {name: round(size / 2**20, 1) for name, size in sorted(files.items())}}


def _edits(pkg: Slipstream) -> Found:
    rng = random.Random(14)
    names = _some_names(pkg, rng)
    ids = list(names)
    searched, edited, committed = list[float](), list[float](), list[float]()
    for number in range(_EDITS):
        identity = rng.choice(ids)
        time.sleep(_PAUSE_S)
        with timed() as edit_s:
            with timed() as commit_s:
                position = pkg.pkg.update_entity(identity, {"description": f"edit {number} {rng.random()}"})
            pkg.sync.wait(position, timeout_s=60)
        edited.append(edit_s())
        committed.append(commit_s())
    for _ in range(_SEARCHES):
        words = " ".join(names[rng.choice(ids)].split()[:4])
        with timed() as search_s:
            pkg.search(words, k=10, mode="vector")
        searched.append(search_s())
    found: Found = {}
    for name, samples in (("edit", edited), ("commit", committed), ("search", searched)):
        found[f"{name}_ms_p50"], found[f"{name}_ms_p95"] = (np.percentile(samples, (50, 95)) * 1_000).tolist()
    return found


def _some_names(pkg: Slipstream, rng: random.Random) -> dict[str, str]:
    """Return the names of some entities by their ids, without reading all of the graph."""
    keys = [row.key for row in pkg.pkg.scan(None, 5_000) if row.key.kind is KeyKind.ENTITY]
    states = pkg.pkg.read(rng.sample(keys, 1_000), {}).states.values()
    return {
        state.entity.id: str(state.entity.properties["name"]) for state in states if isinstance(state, EntityState)
    }


def _audits(pkg: Slipstream, entities: int) -> Found:
    found: Found = {}
    for name, changes in (("full", 0), ("first", 0), ("unchanged", 0), ("changed", _AUDITED)):
        for row in pkg.pkg.scan(None, 2 * changes)[:changes] if changes else ():
            if row.key.kind is KeyKind.ENTITY:
                pkg.pkg.update_entity(row.key.id, {"description": f"audited {time.monotonic()}"})
        pkg.sync.drain()
        pkg.sync.write_back()
        with timed() as audit_s:
            report = pkg.verify(incremental=name != "full", hurry=True)
        if not report.is_consistent:
            raise RuntimeError(f"at {entities} entities: {report.counts()}")
        found[f"audit_{name}_s"] = audit_s()
    return found


def _opened(directory: Path) -> Slipstream:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "slipstream.toml").write_text(_CONFIG, encoding="utf-8")
    views = tuple(View(name, _TEMPLATE, {"broader": Via("HYPERNYM")}) for name in _TYPES)
    return open_pkg(directory, run=False, options=Options(views=views, embedders=(WordsEmbedder(),)))


_TASKS: dict[str, Callable[[Path, Path, int], Found]] = {"fill": fill, "index": index, "measure": measure}

if __name__ == "__main__":
    main()
