"""Short names for IRIs of predicates and types: the local name, unless another one has it. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable

from slipstream.domain.names import NAME_SIZE_MAX, name_fault
from slipstream.importers.rdf.vocabulary import KNOWN

LANGUAGES = "_lang"
"""Ends the name of the map that holds a property's values by language."""
RESERVED = frozenset(("id", "name", "types", "graphs", "source_document_id"))
"""Properties that the importer fills itself."""
_RANKS = {namespace: rank for rank, namespace in enumerate(KNOWN)}
_SIZE_MAX = NAME_SIZE_MAX - len(LANGUAGES)
_STRANGE = re.compile(r"[^\w.-]")
_SPLIT = re.compile(r"(.*[#/:])([^#/:]+)[#/]?", re.DOTALL)


def split_iri(iri: str) -> tuple[str, str]:
    """Return the namespace and the local name, what is behind the last `#`, `/` or `:`; the whole IRI without one."""
    found = _SPLIT.fullmatch(iri)
    return (found[1], found[2]) if found else ("", iri)


def iri_order(iri: str) -> tuple[int, str]:
    """Return what IRIs are ordered by: those of nobody's vocabulary first, those of RDF and OWL themselves last."""
    return _RANKS.get(split_iri(iri)[0], -1), iri


def short_names(iris: Iterable[str], reserved: Collection[str] = ()) -> dict[str, str]:
    """
    Return a name for each IRI, a different one for each, whatever the order in which they come.

    It is the local name for the first IRI that has it, in `iri_order`; for a later one `prefix:local` if everybody
    knows the prefix, else the IRI, or what fits of it.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for iri in sorted(set(iris), key=iri_order):
        names[iri] = next(name for name in _candidates(iri) if _is_free(name, taken, reserved))
        taken.add(names[iri])
    return names


def _is_free(name: str, taken: set[str], reserved: Collection[str]) -> bool:
    is_kept = name not in reserved and name.casefold() != "id" and not (reserved and name.endswith(LANGUAGES))
    return is_kept and len(name) <= _SIZE_MAX and name not in taken and name_fault(name) is None


def _candidates(iri: str) -> Iterable[str]:
    namespace, local = split_iri(iri)
    yield local
    if namespace in KNOWN:
        yield f"{KNOWN[namespace]}:{local}"
    yield iri
    digest = hashlib.blake2b(iri.encode(), digest_size=8).hexdigest()
    yield f"{_STRANGE.sub('', local).lstrip('_')[: _SIZE_MAX - 20]}~{digest}"
    yield f"iri~{digest}"
