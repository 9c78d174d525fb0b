"""What is measured together, and which rows of the table come out of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.minilm.sides import ModelProcess, alternated, rates_of, ratios_of, started
from bench.result_files import REPOSITORY, say
from bench.targets.rows import Row
from bench.wordnet.sides import Ended, MeasurementError, Side
from slipstream.app.composition.factories import model_for_new

OLD = "commit ad2138d"
_STATIC = '[models]\ndefault = "wordllama-l2"\n\n[scrub]\nenabled = false\n'
_MINILM = '[models]\ndefault = "{}"\n\n[scrub]\nenabled = false\n'
_RUNTIMES = {"minilm-l6-v2": "float32", "minilm-l6-v2-int8": "int8"}
_MINILM_ROUNDS, _MINILM_TEXTS = 7, 2_000
_PEERS = ("slipstream-sqlite", "slipstream-chroma", "langchain", "cocoindex")


@dataclass(frozen=True, slots=True)
class Place:
    """The two versions, the dumps by their names, and a folder for everything else."""

    old: Side
    new: Side
    dumps: Mapping[str, Path]
    folder: Path
    cache: Path
    is_long: bool

    def fresh(self, name: str, config: str = "") -> Path:
        """Return a new directory; with a configuration it is that of a PKG."""
        directory = self.folder / name
        shutil.rmtree(directory, ignore_errors=True)
        if config:
            directory.mkdir(parents=True)
            (directory / "slipstream.toml").write_text(config, encoding="utf-8")
        return directory

    def own(self, task: str, directory: Path, dump: str) -> dict[str, Any]:
        """Run a task of the present version, with one thread for numpy's products."""
        command = [sys.executable, "-m", "bench.targets.own", task, str(directory), str(self.dumps[dump])]
        return _said(command, {"OPENBLAS_NUM_THREADS": "1"} if task == "search" else {})


def minilm(place: Place) -> Iterator[Row]:
    """MiniLM alone, in turns of a second or two, and the neighbours that its vectors have."""
    texts = place.folder / "minilm-texts.json"
    texts.write_text(json.dumps(_spread_texts(place.dumps["whole"], _MINILM_TEXTS)), encoding="utf-8")
    model = model_for_new()
    with ExitStack() as stack:
        pythons = {"old": place.old.python, _RUNTIMES[model]: place.new.python}
        sides = {name: stack.enter_context(started(python, name, texts)) for name, python in pythons.items()}
        rounds = alternated(sides, _MINILM_ROUNDS, _MINILM_TEXTS)
        vectors = [_vectors(side, place.folder / f"minilm-{name}.npy") for name, side in sides.items()]
    has_vnni = "vnni" in _cpu_flags()
    note = _chosen() if has_vnni else f"{_chosen()}; no VNNI here"
    ratios = next(iter(ratios_of(rounds).values()))
    for size, bound in ((256, 1.7), (32, 1.7), (1, 2.0)):
        ratio = ratios[str(size)]
        figures = {"cpu": ratio["cpu_s"], **{name: rates[str(size)] for name, rates in rates_of(rounds).items()}}
        yield Row(
            f"MiniLM, batch {size}", OLD, ratio["wall_s"], bound if has_vnni else None, note=note, figures=figures
        )
    yield Row("MiniLM, recall@10", "float32", _recall(*vectors), 0.995, note=_chosen())
    if "amx_bf16" not in _cpu_flags():
        yield Row("MiniLM by OpenVINO", OLD, None, note="no AMX here: skipped")


def _spread_texts(dump: Path, count: int) -> list[str]:
    """Return texts of nodes from all over the dump: its first ones are all alike."""
    with dump.open(encoding="utf-8") as file:
        rows = [json.loads(line)["properties"] for line in file if '"type": "node"' in line]
    stride = max(1, len(rows) // count)
    return [f"{row['name']}: {row['description']}" for row in rows[: stride * count : stride]]


def _vectors(side: ModelProcess, path: Path) -> np.ndarray[Any, Any]:
    side.embed(0, _MINILM_TEXTS, 256, save=str(path))
    vectors: np.ndarray[Any, Any] = np.load(path)
    return vectors


def _chosen() -> str:
    return f"by {model_for_new()}, which init chooses here"


def imports(place: Place) -> Iterator[Row]:
    """An import with MiniLM beside the model alone, in the same process."""
    found = [place.own("import-ratio", place.fresh("import"), "3000") for _ in range(2)]
    ratio = median(each["ratio"] for each in found)
    label = "import with MiniLM until searchable"
    yield Row(label, "the model alone", ratio, 0.95, note=_chosen(), figures={"rounds": found})


def static(place: Place) -> Iterator[Row]:
    """Updates with the static model beside the slower of its raw parts."""
    found = place.own("static-ratio", place.fresh("static"), "3000")
    yield Row("static model, updates/s", "the raw part", found["ratio"], 0.6, figures=found)


def peers(place: Place) -> Iterator[Row]:
    """The same work by peers, in turns, in one run."""
    output = place.folder / "peers.json"
    only = [word for name in _PEERS for word in ("--only", name)]
    options = [
        "--dump",
        str(place.dumps["5000"]),
        "--cache",
        str(place.cache),
        "--output",
        str(output),
        "--no-rebuild",
    ]
    _run([sys.executable, "-m", "bench.peers", *only, *options])
    found = json.loads(output.read_text(encoding="utf-8"))
    for failure in found["failures"].items():
        say(f"peers: {failure}")
    figures = found["peers"]
    for figure, label, bounds in (("edits_per_s", "500 edits", (6, 1.2)), ("load_per_s", "load 5,000", (6, 1.3))):
        rates = {name: each[figure] for name, each in figures.items()}
        best = max(("langchain", "cocoindex"), key=lambda name: rates.get(name, 0.0))
        for index, peer, bound in (("sqlite", best, bounds[0]), ("chroma", "langchain", bounds[1])):
            ratio = rates[f"slipstream-{index}"] / rates[peer]
            yield Row(f"{label}, {index}", f"{peer} in that run", ratio, bound, figures=rates)
    wrong = {name: each["checks"] for name, each in figures.items() if set(each["checks"].values()) != {"right"}}
    yield Row("peers: every check right", "", None, note=f"NOT right: {wrong}" if wrong else "yes, of all")


def lone_edits(place: Place) -> Iterator[Row]:
    """A lone edit until it is searchable, with MiniLM, beside the same by hand."""
    for index in ("sqlite", "chroma"):
        found = place.own(f"lone-{index}", place.fresh(f"lone-{index}"), "3000")
        label = f"a lone edit until searchable, {index}"
        yield Row(label, "raw commit, embed, write", found["ratio"], 1.3, True, _chosen(), found)


def whole(place: Place) -> Iterator[Row]:
    """WordNet whole, static model (`--long`: MiniLM): searches, the first one after opening, full audits, memory."""
    homes, peaks = dict[str, Path](), dict[str, float]()
    for side in (place.new, place.old):
        homes[side.name] = place.fresh(f"whole-{side.name}", _minilm_of(side) if place.is_long else _STATIC)
        say(f"  importing WordNet whole, {side.name}")
        ended = side.command_line(homes[side.name], "import", str(place.dumps["whole"]), "--json")
        peaks[side.name] = ended.peak_rss_mb
    if place.is_long:
        ratio, note = peaks["new"] / peaks["old"], _chosen()
        yield Row("peak memory, WordNet whole with MiniLM", OLD, ratio, 0.4, True, note, peaks)
    found = place.own("search", homes["new"], "whole")
    product = "numpy's float32 product, one thread"
    yield Row("search k=10, WordNet whole, without the model", product, found["to_numpy"], 0.8, True, figures=found)
    yield Row("the same while the engine embeds a backlog", "itself idle", found["beside_to_idle"], 2.5, True)
    yield Row("search typed, with neighbours", "search without", found["typed_to_plain"], 1.7, True)
    yield from _old_beside_new(place, homes)


def _old_beside_new(place: Place, homes: Mapping[str, Path]) -> Iterator[Row]:
    firsts: dict[str, list[float]] = {"new": [], "old": []}
    for _ in range(3):
        for side in (place.new, place.old):
            said = side.child("open", homes[side.name], place.dumps["whole"]).said
            firsts[side.name].append(said["figures"]["open_and_search_s"])
    times = {name: median(found) for name, found in firsts.items()}
    yield Row("open and first search", OLD, times["old"] / times["new"], 6, figures=times)
    audits: dict[str, float] = {}
    for side in (place.new, place.old):
        say(f"  verify, {side.name}")
        audits[side.name] = side.child("verify", homes[side.name], place.dumps["whole"]).said["figures"]["verify_s"]
    yield Row("verify, WordNet whole", OLD, audits["old"] / audits["new"], 12, figures=audits)


def memory(place: Place) -> Iterator[Row]:
    """Peak memory of an import with MiniLM, of the first 20,000."""
    peaks: dict[str, float] = {}
    for side in (place.new, place.old):
        say(f"  import with MiniLM, {side.name}")
        ended = side.command_line(
            place.fresh("memory", _minilm_of(side)), "import", str(place.dumps["20000"]), "--json"
        )
        peaks[side.name] = ended.peak_rss_mb
    note = f"{_chosen()}; held against the bound for the whole, which --long measures"
    yield Row(
        "peak memory, WordNet's first 20,000 with MiniLM", OLD, peaks["new"] / peaks["old"], 0.4, True, note, peaks
    )


def help_(place: Place) -> Iterator[Row]:
    """Processor time of `slipstream --help`."""
    times: dict[str, list[float]] = {"new": [], "old": []}
    for _ in range(8):
        for side in (place.new, place.old):
            ended: Ended = side.command_line(place.folder, "--help")
            times[side.name].append(ended.cpu_s)
    found = {name: median(each) for name, each in times.items()}
    yield Row("slipstream --help, CPU seconds", OLD, found["new"] / found["old"], 0.3, True, figures=found)


GROUPS: Mapping[str, tuple[Callable[[Place], Iterator[Row]], float]] = {
    "help": (help_, 0.3),
    "minilm": (minilm, 2.0),
    "imports": (imports, 1.5),
    "static": (static, 1.0),
    "lone": (lone_edits, 1.5),
    "peers": (peers, 6.5),
    "whole": (whole, 7.0),
    "memory": (memory, 2.5),
}
"""By name: what it measures, and about how many minutes that takes on two cores."""


def _minilm_of(side: Side) -> str:
    """Return the settings of a PKG as `init` makes it here, by either version."""
    return _MINILM.format(model_for_new() if side.name == "new" else "minilm-l6-v2")


def _recall(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """Return how many of the ten nearest that the first vectors have, the other ones have too."""
    kept = []
    for row in range(0, len(one), 10):
        nearest = [set(np.argsort(-(each @ each[row]))[1:11].tolist()) for each in (one, other)]
        kept.append(len(nearest[0] & nearest[1]) / 10)
    return float(np.mean(kept))


def _cpu_flags() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith("flags")), "")


def _said(command: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    output = _run(command, environment)
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def _run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(  # noqa: S603
        command,
        cwd=REPOSITORY,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise MeasurementError(f"{' '.join(command[1:4])} failed, exit code {done.returncode}")
    return done.stdout
