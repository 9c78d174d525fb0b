"""
The sizes that docs/graph.md promises: many types, a hub, one text updated often, many long texts.

    python -m bench.durability.limits                 # some minutes
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.integration.graph_sizes import adding_to_a_hub, many_long_texts, many_types, one_text_updated

MB = 1_000_000
T = TypeVar("T")


def main() -> None:
    """Print a line for each."""
    for name, make in (
        (
            "1,000 entity types and 1,000 relationship types, one of each a commit",
            lambda p: many_types(p, 1_000, per_commit=1),
        ),
        ("a text of 1 MB updated 1,000 times", lambda p: one_text_updated(p, updates=1_000, size=MB)),
        ("50,000 texts of 50 KB", lambda p: many_long_texts(p, texts=50_000, size=50_000)),
    ):
        cost = within(make)
        print(
            f"{name}: {cost.told} entries told, file {cost.file_bytes / MB:.1f} MB, "
            f"its WAL {cost.wal_bytes / MB:.1f} MB, log {cost.log_bytes / MB:.2f} MB, "
            f"Python's peak {cost.peak_bytes / MB:.1f} MB",
            flush=True,
        )
    early, late = within(lambda path: adding_to_a_hub(path, 100_000))
    print(f"a hub of 100,000 relationships each way: {early} steps for its 100th to 200th, {late} for the last 100")


def within(make: Callable[[Path], T]) -> T:
    """Make something in a directory that goes away."""
    with tempfile.TemporaryDirectory() as name:
        return make(Path(name))


if __name__ == "__main__":
    main()
