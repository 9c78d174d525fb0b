"""
A vault of notes: its import beside the model alone, and a saved note until it is searchable: `python -m bench.vault`.

    uv run --locked --all-extras python -m bench.vault                  # 5,000 notes, three rounds, 200 saved notes
    uv run --locked --all-extras python -m bench.vault --notes 500 --rounds 1 --saves 50

The vault is made of WordNet's nouns (as `bench.wordnet` fetches them): a note for each of those that most others are
kinds of, with its gloss, its other words as aliases, the lexicographer's file as a tag, and a heading for each kind
of it, with a link if that has a note too. Everything is made in a temporary folder (put TMPDIR on the disk you care
about) and removed.

`ratio` is the model alone on the very same texts, before and after, by the time from the start of `import_files`
until the last text is searchable. A note is saved as editors do, by a file that replaces it; the time is from
before that until `sync.wait` returns for its commit, debouncing included.
"""

from __future__ import annotations

import argparse
import json
import queue
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.result_files import interruptible, say, write_result
from bench.wordnet.data import Synset, fetch, synsets
from slipstream.app.composition import Options, open_pkg
from slipstream.app.composition.options import Wrapping
from slipstream.app.slipstream import Slipstream
from slipstream.bench.machine import load_average
from slipstream.importers.notes.keeping import Kept
from slipstream.ports.embedder import Embedder
from slipstream.testkit.embedders import HashEmbedder

NOTES, ROUNDS, SAVES = 5_000, 3, 200
RATIO_TARGET, SAVED_P95_MS_TARGET = 0.9, 300.0
_KINDS_MAX = 12
_BETWEEN_SAVES_S = 0.2
_PATIENCE_S = 120.0


def main() -> None:
    """Measure, print and write the figures."""
    options = _options()
    with interruptible("slipstream-vault-") as folder:
        before = load_average()
        vault = folder / "vault"
        say("WordNet")
        write_vault(fetch(options.cache or folder / "wordnet"), vault, options.notes)
        found = {"load_before": before, "notes": options.notes, **_imported(vault, folder, options.rounds)}
        found |= _saved(vault, folder / "pkg-0", options.saves)
        found["met"] = {
            "ratio": found["ratio"] >= RATIO_TARGET,
            "saved_p95_ms": found["saved_p95_ms"] <= SAVED_P95_MS_TARGET,
        }
        print(json.dumps(found, indent=1))
        if options.record:
            say(f"written: {write_result('vault', found, folder)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.vault", description="A vault of notes.")
    parser.add_argument("--notes", type=int, default=NOTES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--saves", type=int, default=SAVES)
    parser.add_argument("--cache", type=Path, help="a folder that keeps WordNet")
    parser.add_argument("--record", action="store_true", help="write a file into bench/results")
    return parser.parse_args()


# ---------------------------------------------------------------------- the vault


def write_vault(data: Path, folder: Path, count: int) -> None:
    """Write a note for each of the first nouns."""
    nouns = [synset for synset in synsets(data) if synset.type == "Noun"]
    kinds: dict[str, list[Synset]] = {}
    for synset in nouns:
        for kind, target in synset.pointers:
            if kind == "HYPERNYM":
                kinds.setdefault(target, []).append(synset)
    nouns.sort(key=lambda synset: -len(kinds.get(synset.id, ())))
    chosen = {synset.id for synset in nouns[:count]}
    for synset in nouns[:count]:
        place = folder / f"{synset.lexicographer_file:02d}" / f"{_title(synset)}.md"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(_note(synset, kinds.get(synset.id, []), chosen), encoding="utf-8")


def _title(synset: Synset) -> str:
    return f"{synset.name.split(', ')[0].replace('/', '-')} {synset.id}"


def _note(synset: Synset, kinds: list[Synset], linked: set[str]) -> str:
    words = synset.name.split(", ")
    lines = [
        "---",
        f"title: {json.dumps(words[0])}",
        f"aliases: {json.dumps(words[1:])}",
        "---",
        "",
        synset.gloss,
        "",
    ]
    lines += [f"#lexicographer/f{synset.lexicographer_file}", ""]
    for kind in kinds[:_KINDS_MAX]:
        link = f"[[{_title(kind)}]]: " if kind.id in linked else ""
        lines += [f"## {kind.name}", "", f"{link}*{kind.gloss}*", ""]
    return "\n".join(lines)


# ---------------------------------------------------------------------- the import


def _imported(vault: Path, folder: Path, rounds: int) -> dict[str, Any]:
    texts = _texts(vault, folder / "texts")
    say(f"{len(texts):,} texts of {statistics.mean(map(len, texts)):.0f} characters")
    found: list[dict[str, float]] = []
    for number in range(rounds):
        models: list[Embedder] = []
        options = Options(wrapping=Wrapping(embedder=_kept_in(models)))
        with open_pkg(folder / f"pkg-{number}", create=True, options=options) as slip:
            slip.embedding.embed_query("warm", slip.embedding.spec_for("Note").id)
            model_s = _alone(models[0], texts)
            began = time.perf_counter()
            report = slip.import_files(vault)
            written_s = time.perf_counter() - began
            slip.sync.drain()
            import_s = time.perf_counter() - began
            if report.rejected or slip.status().dead_letters:
                raise RuntimeError(f"rows were refused: {report.errors}")
            model_s += _alone(models[0], texts)
        found.append({"import_s": import_s, "written_s": written_s, "model_s": model_s / 2})
        say(f"round {number + 1}: {import_s:.1f} s, the model alone {model_s / 2:.1f} s")
    sums = {name: sum(each[name] for each in found) for name in found[0]}
    return {
        "texts": len(texts),
        "characters": round(statistics.mean(map(len, texts))),
        "ratio": round(sums["model_s"] / sums["import_s"], 3),
        "texts_per_s": round(rounds * len(texts) / sums["import_s"], 1),
        "rounds": found,
    }


def _texts(vault: Path, directory: Path) -> list[str]:
    """Return what stands for each record of the vault."""
    with open_pkg(directory, create=True, run=False, options=Options(embedders=(HashEmbedder(dimension=8),))) as slip:
        slip.import_files(vault)
        keys = [row.key for row in slip.pkg.scan(None, 10_000_000, ())]
        found: list[str] = []
        for at in range(0, len(keys), 1_000):
            states = slip.pkg.read(keys[at : at + 1_000], slip.views.hops()).states.values()
            found += [rendering.text for state in states if (rendering := slip.views.render(state)) is not None]
    random.Random(0).shuffle(found)
    return found


def _kept_in(models: list[Embedder]) -> Callable[[Embedder], Embedder]:
    def keep(model: Embedder) -> Embedder:
        models.append(model)
        return model

    return keep


def _alone(model: Embedder, texts: list[str]) -> float:
    """Return how long the model alone takes, past the cache."""
    began = time.perf_counter()
    model.embed(texts)
    return time.perf_counter() - began


# ---------------------------------------------------------------------- saved notes


def _saved(vault: Path, directory: Path, saves: int) -> Mapping[str, Any]:
    """Return how long it takes until saved notes are searchable."""
    notes = sorted(vault.rglob("*.md"))
    chosen, took = random.Random(1), list[float]()
    with open_pkg(directory) as slip, _watched(slip, vault) as rounds:
        say(f"watching; compared in {rounds.get(timeout=_PATIENCE_S):.1f} s")
        for number in range(saves):
            note = chosen.choice(notes)
            text = f"{note.read_text(encoding='utf-8')}\nA remark on day {number}, number {chosen.random()}.\n"
            draft = note.with_suffix(".draft")
            draft.write_text(text, encoding="utf-8")
            began = time.perf_counter()
            draft.replace(note)
            position = rounds.get(timeout=_PATIENCE_S)
            slip.sync.wait(position, timeout_s=_PATIENCE_S)
            took.append(1_000 * (time.perf_counter() - began))
            time.sleep(_BETWEEN_SAVES_S)
    cuts = statistics.quantiles(took, n=100)
    return {
        "saves": saves,
        "saved_p50_ms": round(cuts[49], 1),
        "saved_p95_ms": round(cuts[94], 1),
        "saved_max_ms": round(max(took), 1),
    }


@contextmanager
def _watched(slip: Slipstream, vault: Path) -> Iterator[queue.Queue[Any]]:
    """Watch the vault meanwhile; the queue has the seconds of the first round, then the positions of the others."""
    stop, told = threading.Event(), queue.Queue[Any]()
    began, seconds = time.perf_counter(), list[float]()

    def on_kept(kept: Kept) -> None:
        if seconds:
            told.put(kept.position)
        else:
            seconds.append(time.perf_counter() - began)
            told.put(seconds[0])

    thread = threading.Thread(target=slip.watch_folder, args=(vault,), kwargs={"stop": stop, "on_kept": on_kept})
    thread.start()
    try:
        yield told
    finally:
        stop.set()
        thread.join()


if __name__ == "__main__":
    main()
