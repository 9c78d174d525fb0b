"""
Erasing entities one after another, step by step: `python -m bench.erasure`.

    uv run --locked --all-extras python -m bench.erasure --pkg DIR          # a PKG that nobody has open
    uv run --locked --all-extras python -m bench.erasure --synsets 3000 --entities 5

It works on a copy of the PKG, in a temporary folder (put TMPDIR on the disk you care about), for an erasure can not
be taken back. Without a PKG it fills one with WordNet (as `bench.wordnet` fetches it) and the static model. Entities
are drawn at random; each is erased once the index has followed the one before. A step is what an erasure calls so,
and `describe` what comes before them; those that begin with `of` are parts of the step above them.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.result_files import interruptible, say, write_result
from bench.wordnet.data import fetch, write_dump
from slipstream.app.composition import open_pkg
from slipstream.app.config import CONFIG_NAME
from slipstream.app.erasure.erasing import ErasingParts, Erasures
from slipstream.app.slipstream import Slipstream
from slipstream.bench.machine import load_average
from slipstream.domain.erasure import Erasure

ENTITIES = 20
_PATIENCE_S = 3_600.0
_STEPS = {"_deleted": "delete", "_followed": "follow", "_scrubbed": "scrub", "_wiped": "wipe"}


class Times:
    """How long each step of each erasure took, in seconds."""

    def __init__(self) -> None:
        self.spent_s: dict[str, list[float]] = defaultdict(list)
        self._one_s: dict[str, float] = defaultdict(float)

    def watch(self, owner: object, name: str, step: str) -> None:
        """Have a method of an object timed from now on, several calls within one erasure together."""
        method: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                self._one_s[step] += time.perf_counter() - began

        setattr(owner, name, timed)

    def erase(self, slip: Slipstream, entity_id: str, *, with_neighbours_text: bool) -> Erasure:
        """Erase one entity, and keep its times."""
        self._one_s.clear()
        began = time.perf_counter()
        done = slip.erase(entity_id, with_neighbours_text=with_neighbours_text)
        total_s = time.perf_counter() - began
        one_s = self._one_s | {"total": total_s, "describe": total_s - sum(self._one_s[s] for s in _STEPS.values())}
        for step, taken_s in one_s.items():
            self.spent_s[step].append(taken_s)
        return done


def main() -> None:
    """Measure, print and write the figures."""
    options = _options()
    with interruptible("slipstream-erasure-") as folder:
        found: dict[str, Any] = {"load_before": load_average()}
        pkg = _copied(options.pkg, folder) if options.pkg else _filled(options.cache, folder, options.synsets)
        found |= _measured(pkg, options.entities, with_neighbours_text=options.with_neighbours_text)
        print(json.dumps(found, indent=1))
        say(f"written: {write_result('erasure', found, folder, path=options.output)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.erasure", description="Erasing entities, step by step.")
    parser.add_argument("--pkg", type=Path, help="a PKG that nobody has open; it is copied (default: WordNet)")
    parser.add_argument("--synsets", type=int, help="of a PKG that is made: how many, from the first (default: all)")
    parser.add_argument("--cache", type=Path, help="a folder that keeps WordNet")
    parser.add_argument("--entities", type=int, default=ENTITIES, help="how many are erased")
    parser.add_argument("--with-neighbours-text", action="store_true", help="out of their neighbours' texts, too")
    parser.add_argument("--output", type=Path, help="the JSON file (default: a new one in bench/results)")
    return parser.parse_args()


def _copied(pkg: Path, folder: Path) -> Path:
    say(f"copying {pkg}")
    return shutil.copytree(pkg, folder / "pkg", ignore=shutil.ignore_patterns("*.sock"))


def _filled(cache: Path | None, folder: Path, synsets: int | None) -> Path:
    dump = write_dump(fetch(cache or folder / "wordnet"), folder / "wordnet.jsonl", synsets)
    pkg = folder / "pkg"
    pkg.mkdir()
    (pkg / CONFIG_NAME).write_text('[models]\ndefault = "wordllama-l2"\n', encoding="utf-8")
    say(f"importing {dump.entities:,} entities and {dump.relationships:,} relationships")
    with open_pkg(pkg, create=True) as slip:
        slip.import_files(dump.path)
        if not slip.sync.drain(timeout_s=_PATIENCE_S):
            raise RuntimeError("not searchable in time")
    return pkg


def _measured(pkg: Path, entities: int, *, with_neighbours_text: bool) -> dict[str, Any]:
    with open_pkg(pkg) as slip:
        _settle(slip)
        counts = slip.pkg.counts()
        ids = [row.key.id for row in slip.pkg.scan(None, 10**7, frozenset())]
        times, done = _watched(slip), list[Erasure]()
        for entity_id in random.Random(11).sample(ids, min(entities, len(ids))):
            done.append(times.erase(slip, entity_id, with_neighbours_text=with_neighbours_text))
            say(f"{times.spent_s['total'][-1]:.2f} s, {done[-1].relationships} relationships")
            _settle(slip)
    return {
        "graph": {"entities": len(ids), "relationships": sum(counts.values()) - len(ids)},
        "erased": len(done),
        "with_neighbours_text": with_neighbours_text,
        "relationships_p50_max": _p50_max([each.relationships for each in done]),
        "files_mb": {path.name: round(path.stat().st_size / 1e6, 1) for path in sorted(pkg.glob(".slipstream/*.db"))},
        "wiped_bytes_p50_max": _p50_max([sum(file.wiped_bytes for file in each.files) for each in done]),
        "seconds_p50_max": _told(times.spent_s),
    }


def _settle(slip: Slipstream) -> None:
    """Wait until index and words have everything: the next erasure has only its own to wait for."""
    if not slip.sync.drain(timeout_s=_PATIENCE_S) or not slip.sync.wait_for_words(slip.pkg.feed.head(), _PATIENCE_S):
        raise RuntimeError("the index stands still")


def _watched(slip: Slipstream) -> Times:
    erasures = slip.erasures
    if not isinstance(erasures, Erasures):
        raise RuntimeError("the graph's adapter can not erase, or another process has the PKG open")  # noqa: TRY004
    times, parts = Times(), _parts_of(erasures)
    for name, step in _STEPS.items():
        times.watch(erasures, name, step)
    *indexes, journal = parts.stores
    for called, store in (("graph", parts.log), *(("index", each) for each in indexes), ("index.db", journal)):
        times.watch(store, "scrub", f"of scrub: {called}")
        times.watch(store, "wipe", f"of wipe: {called}")
    return times


def _parts_of(erasures: Erasures) -> ErasingParts:
    return erasures._parts  # noqa: SLF001  (a step has no name of its own outside)


def _told(spent_s: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, float]]:
    """Return the steps in their order, the parts of each behind it."""
    steps = ["total", "describe", *_STEPS.values()]
    order = sorted(spent_s, key=lambda step: (steps.index(step.removeprefix("of ").split(":")[0]), step[:3] == "of "))
    return {step: _p50_max(spent_s[step]) for step in order}


def _p50_max(values: Sequence[float]) -> tuple[float, float]:
    return round(statistics.median(values), 3), round(max(values), 3)


if __name__ == "__main__":
    main()
