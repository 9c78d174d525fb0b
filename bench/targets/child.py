"""
MiniLM alone, by either version, in a process of its own: `python child.py DIRECTORY DUMP VECTORS`; prints JSON.

The present Python of either version runs this very file, so it uses only what both have.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import slipstream
from slipstream.app.composition import Options, Wrapping

BATCHES = {256: 1_024, 32: 512, 1: 150}
"""How many texts are embedded, by how many a call takes."""
VECTORS = 2_000


def main() -> None:
    """Measure rates, and save vectors of the first texts to compare them with other ones."""
    directory, dump, vectors = map(Path, sys.argv[1:])
    texts = _texts(dump, VECTORS)
    models: list[Any] = []

    def keep(model: Any) -> Any:
        models.append(model)
        return model

    options = Options(wrapping=Wrapping(embedder=keep))
    with slipstream.open(directory, create=True, run=False, options=options) as slip:
        slip.pkg.create_entity("Noun", "warm", {"name": "warm"})
        slip.search("warm", k=1)  # loads the model
        (model,) = models
        figures: dict[str, Any] = {"model": f"{model.spec.id} {model.spec.version}"}
        for size, count in BATCHES.items():
            model.embed(texts[:size])
            started_s = time.perf_counter()
            for first in range(0, count, size):
                model.embed(texts[first : first + size])
            figures[f"batch {size}"] = count / (time.perf_counter() - started_s)
        if not vectors.exists():
            np.save(vectors, np.concatenate([model.embed(texts[at : at + 256]) for at in range(0, VECTORS, 256)]))
    print(json.dumps({"figures": figures}))


def _texts(dump: Path, count: int) -> list[str]:
    """Return texts of nodes from all over the dump: its first ones are all alike."""
    with dump.open(encoding="utf-8") as file:
        rows = [json.loads(line)["properties"] for line in file if '"type": "node"' in line]
    stride = max(1, len(rows) // count)
    return [f"{row['name']}: {row['description']}" for row in rows[: stride * count : stride]]


if __name__ == "__main__":
    main()
