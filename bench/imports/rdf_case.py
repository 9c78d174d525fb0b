"""The Human Phenotype Ontology as Turtle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyoxigraph

from bench.imports.case import Case
from bench.rdf_terms import write_terms


def _write(folder: Path, count: int) -> Sequence[Path]:
    path = folder / "terms.ttl"
    write_terms(path, count)
    return [path]


def _parse(paths: Sequence[Path]) -> int:
    return sum(1 for _ in pyoxigraph.parse(path=str(paths[0])))


CASE = Case(
    write=_write,
    parse=_parse,
    unit="triples",
    count=500_000,
    target=0.3,
)
