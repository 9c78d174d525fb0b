"""
The Human Phenotype Ontology as Turtle, of as many triples as asked for: real terms, written as ontologies are.

    uv run python -m bench.rdf_terms 500000 terms.ttl

A phenotype is an `owl:Class` with its label and what it is a `rdfs:subClassOf`; genes and diseases have a type, a
`schema:name`, and phenotypes. Beyond one ontology (some 208,000 triples) come copies of it with IRIs of their own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

from slipstream.bench.hpo import read_hpo
from slipstream.domain.entities import Entity

_PREFIXES = """@prefix ex: <http://hpo.example/vocabulary#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix schema: <http://schema.org/> .

"""
_PREDICATES = {"IS_A": "rdfs:subClassOf", "HAS_PHENOTYPE": "ex:hasPhenotype"}


def write_terms(path: Path, triples: int) -> int:
    """Write so many triples of Turtle, and return how many entities they are about."""
    entities = written = 0
    with path.open("w", encoding="utf-8") as file:
        file.write(_PREFIXES)
        for count, size in _told(file):
            entities += count
            written += size
            if written >= triples:
                return entities
    raise AssertionError("copies of the ontology have no end")


def _told(file: TextIO) -> Iterator[tuple[int, int]]:
    """Write item by item, and yield how many entities and triples each is."""
    for item in read_hpo():
        if isinstance(item, Entity):
            name = json.dumps(item.properties["name"], ensure_ascii=False)
            is_term = item.type == "Phenotype"
            told = f"owl:Class ; rdfs:label {name}@en" if is_term else f"ex:{item.type} ; schema:name {name}"
            file.write(f"{_iri(item.id)} a {told} .\n")
            yield 1, 2
        else:
            ref = item.ref
            file.write(f"{_iri(ref.source_id)} {_PREDICATES[ref.type]} {_iri(ref.target_id)} .\n")
            yield 0, 1


def _iri(entity_id: str) -> str:
    return f"<http://hpo.example/{quote(entity_id)}>"


if __name__ == "__main__":
    sys.stdout.write(f"{write_terms(Path(sys.argv[2]), int(sys.argv[1])):,} entities\n")
