"""Which syntax of RDF a file is written in, by its name and by how it begins."""

from __future__ import annotations

import re
from enum import Enum

from slipstream.domain.errors import ConfigError
from slipstream.importers.opening import SourceFile
from slipstream.importers.rdf.vocabulary import RDF

_HEAD_BYTES = 64 * 1024


class Syntax(Enum):
    """A syntax of RDF, as people call it."""

    TURTLE = "Turtle"
    N_TRIPLES = "N-Triples"
    N_QUADS = "N-Quads"
    TRIG = "TriG"
    JSON_LD = "JSON-LD"
    RDF_XML = "RDF/XML"

    @property
    def is_by_line(self) -> bool:
        """Whether each line stands for itself."""
        return self in (Syntax.N_TRIPLES, Syntax.N_QUADS)


_BY_SUFFIX = {
    ".ttl": Syntax.TURTLE,
    ".turtle": Syntax.TURTLE,
    ".n3": Syntax.TURTLE,  # the part of N3 that is no logic; the rest is an error in Turtle
    ".nt": Syntax.N_TRIPLES,
    ".nq": Syntax.N_QUADS,
    ".trig": Syntax.TRIG,
    ".jsonld": Syntax.JSON_LD,
}
_NOT_RDF = (
    (re.compile(rb"\s*Prefix\s*\(|\s*Ontology\s*\("), "OWL functional syntax"),
    (re.compile(rb"\s*Prefix:|\s*Ontology:"), "Manchester syntax"),
    (re.compile(rb"\s*format-version:"), "OBO"),
    (re.compile(rb"(?s)(?:\s|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>)*<Ontology\s"), "OWL/XML"),
)
_XML = re.compile(rb"\s*<(?:\?xml|!--|!DOCTYPE|[A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?[\s>])")
_JSON = re.compile(rb"\s*(?:\{\s*[\"}]|\[\s*[{\]])")
_KEYWORD = re.compile(rb"\"(?:@[a-z]+|[A-Za-z][\w+.-]*:[^\"\s]+)\"\s*:")
_TERM = rb"(?:<[^<>\s]*>|_:\S+|\"(?:[^\"\\]|\\.)*\"(?:\^\^<[^<>\s]*>|@[\w-]+)?)"
_QUAD = re.compile(rb"(?:\s*#[^\n]*\n)*\s*" + rb"\s+".join([_TERM] * 4) + rb"\s*\.")


def syntax_of(file: SourceFile) -> Syntax:
    """
    Return the syntax that a file is written in.

    Raises `ConfigError` for what is no RDF, or in an encoding that is not UTF-8.
    """
    head = file.head(_HEAD_BYTES)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ConfigError(f"{file.name} is UTF-16: convert it, as with `iconv -f UTF-16 -t UTF-8`")
    known = _BY_SUFFIX.get(file.suffix)
    if known is not None:
        return known if known is not Syntax.JSON_LD else _json_ld(file, head)
    for pattern, called in _NOT_RDF:
        if pattern.match(head):
            raise ConfigError(
                f"{file.name} is {called}, not RDF: save it as Turtle or RDF/XML (Protégé: File, Save as; or "
                "`robot convert`)"
            )
    return _by_content(file, head)


def _by_content(file: SourceFile, head: bytes) -> Syntax:
    if _XML.match(head):
        if RDF.encode() not in head:
            raise ConfigError(f"{file.name} is XML, but not RDF/XML: nothing in it names {RDF}")
        return Syntax.RDF_XML
    if _JSON.match(head):
        return _json_ld(file, head)
    return Syntax.N_QUADS if _QUAD.match(head) else Syntax.TRIG  # of which Turtle and N-Triples are parts


def _json_ld(file: SourceFile, head: bytes) -> Syntax:
    if not _KEYWORD.search(head):
        raise ConfigError(
            f"{file.name} is JSON, but not JSON-LD: it has no @context that says what its keys mean, and no @id. "
            "Add a @context, or import it as what it is (--format)"
        )
    return Syntax.JSON_LD
