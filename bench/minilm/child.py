"""
One model in a process of its own: reads commands from stdin, a JSON line each, and answers with one.

Run as a file, by the interpreter whose installed package is measured, so it imports nothing of this folder.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slipstream.adapters.embedders import minilm

_CLASSES = {"old": "MiniLMEmbedder", "float32": "MiniLMEmbedder", "int8": "MiniLMInt8Embedder"}


def main() -> None:
    """Load the model, then do as told until stdin ends."""
    side, texts = sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    wall, cpu = time.perf_counter(), time.process_time()
    embedder = getattr(minilm, _CLASSES[side])()
    _answer({"load_s": time.perf_counter() - wall, "load_cpu_s": time.process_time() - cpu, "rss_mb": _rss_mb()})
    for line in sys.stdin:
        command = json.loads(line)
        chosen = texts[command["first"] : command["end"]]
        if command["save"]:
            np.save(command["save"], _embedded(embedder, chosen, command["batch"]))
            _answer({"rss_mb": _rss_mb()})
        else:
            _answer(_timed(embedder, chosen, command["batch"]))


def _timed(embedder: Any, texts: Sequence[str], batch: int) -> dict[str, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    for start in range(0, len(texts), batch):
        embedder.embed(texts[start : start + batch])
    return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu, "rss_mb": _rss_mb()}


def _embedded(embedder: Any, texts: Sequence[str], batch: int) -> Any:
    return np.concatenate([embedder.embed(texts[start : start + batch]) for start in range(0, len(texts), batch)])


def _rss_mb() -> float | None:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:  # no Linux
        return None
    return next(round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith("VmHWM:"))


def _answer(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
