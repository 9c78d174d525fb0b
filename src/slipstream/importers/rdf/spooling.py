"""The statements of a source, gathered on disk by what they are about."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from slipstream.importers.opening import SourceFile
from slipstream.importers.rdf.buckets import Buckets, Record
from slipstream.importers.rdf.parsing import Refused, pyoxigraph, statements
from slipstream.importers.rdf.syntaxes import Syntax
from slipstream.importers.rdf.vocabulary import RDF_FIRST, RDF_NIL, RDF_REST, RDF_TYPE, XSD_STRING
from slipstream.importers.rows import Tell
from slipstream.importers.told import Told

MENTION, PRESENT, ITEM, TYPE, LITERAL, TERM = range(6)
"""What a record says of its key: named as an object; a subject; a subject with rdf:first; and so on."""
_GENERATED = re.compile(r"[a-f][0-9a-f]{19,31}")
"""A label that the parser makes: up to 128 bits, at random; one of less than 80 will never be seen."""
_MENTIONS_MAX = 100_000


class Numbering:
    """IRIs, or tags, by numbers, so that records are short."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def of(self, text: str) -> int:
        """Return the number of a text."""
        return self._numbers.setdefault(text, len(self._numbers))

    @property
    def texts(self) -> Sequence[str]:
        """The texts, by number."""
        return tuple(self._numbers)


class BlankNodes:
    """
    Names of the blank nodes of one file: their labels, behind what tells the file.

    A node without a label has another one, at random, each time the file is parsed: such nodes are numbered in the
    order in which they come. That takes some 150 bytes for each of them.
    """

    def __init__(self, prefix: str, *, are_labelled: bool) -> None:
        self._prefix, self._are_labelled = f"_:{prefix}", are_labelled
        self._numbers: dict[int, int] = {}

    def id(self, label: str) -> str:
        """Return the id of a blank node."""
        if self._are_labelled or not _GENERATED.fullmatch(label):
            return self._prefix + label
        place = int(label, 16)
        return f"{self._prefix}~{self._numbers.setdefault(place, len(self._numbers) + 1)}"


class Spool:
    """
    All statements of a source, by subject, in a folder.

    `entities` holds what decides an entity, `relationships` the others, `refused` what could not be read.
    """

    def __init__(self, folder: Path, told: Told) -> None:
        self._told = told
        self.entities = Buckets(folder / "entities")
        self.relationships = Buckets(folder / "relationships")
        self.refused = Buckets(folder / "refused")
        self.predicates, self.types, self.tags = Numbering(), Numbering(), Numbering()
        self._mentioned: set[str] = set()

    def take(self, file: SourceFile, syntax: Syntax, prefix: str, base: str | None, tell: Tell) -> int:
        """Read a file, and return how many statements there were; raises `ConfigError` as `statements` does."""
        blanks = BlankNodes(prefix, are_labelled=syntax.is_by_line)
        vendor = pyoxigraph()
        named, literal, default = vendor.NamedNode, vendor.Literal, vendor.DefaultGraph
        count = 0
        last: tuple[str, list[str]] = ("", [])
        for quad in statements(file, syntax, base, tell, self._told):
            count += 1
            if type(quad) is Refused:
                self.refused.add(["refused", quad.where, quad.reason, quad.text])
                continue
            subject, predicate, object_, graph = quad.subject, quad.predicate.value, quad.object, quad.graph_name
            key = subject.value if type(subject) is named else blanks.id(subject.value)
            where: list[str] = []
            if type(graph) is not default:
                where = [graph.value if type(graph) is named else blanks.id(graph.value)]
            kind = type(object_)
            if kind is literal:
                record = [key, LITERAL, self.predicates.of(predicate), object_.value, self._tag(object_), *where]
            elif kind is named and predicate == RDF_TYPE:
                record = [key, TYPE, self.types.of(object_.value), *where]
            elif kind is vendor.Triple:
                record = [key, TERM, self.predicates.of(predicate), term_map(object_, blanks.id), *where]
            else:
                other = object_.value if kind is named else blanks.id(object_.value)
                self._relate(key, predicate, other, where)
                if predicate == RDF_FIRST:
                    record = [key, ITEM, *where]
                elif last == (key, where):
                    continue
                else:
                    record = [key, PRESENT, *where]
            if predicate == RDF_FIRST and kind is literal:
                self.entities.add([key, ITEM, *where])
            last = (key, where)
            self.entities.add(record)
        return count

    def _tag(self, literal: Any) -> int:
        return self.tags.of(tag_of(literal))

    def _relate(self, key: str, predicate: str, other: str, where: list[str]) -> None:
        if predicate == RDF_REST and other == RDF_NIL:
            return  # the end of each list of the world, as one entity
        self.relationships.add([key, self.predicates.of(predicate), other, *where])
        if other not in self._mentioned:
            if len(self._mentioned) >= _MENTIONS_MAX:
                self._mentioned.clear()
            self._mentioned.add(other)
            self.entities.add([other, MENTION])

    def refusals(self) -> Iterator[Record]:
        """Yield what could not be read: where, why, and its text."""
        for groups in self.refused.groups():
            for records in groups.values():
                yield from (record[1:] for record in records)


def tag_of(literal: Any) -> str:
    """Return what tells how a literal is read: nothing for text, `@` with its language, or its datatype."""
    language = literal.language
    if language is not None:
        language = language.lower()  # of JSON-LD, the parser leaves them as they are
        direction = literal.direction
        return f"@{language}" if direction is None else f"@{language}--{direction.value}"
    datatype: str = literal.datatype.value
    return "" if datatype == XSD_STRING else datatype


def term_map(term: Any, blank_id: Callable[[str], str]) -> dict[str, Any]:
    """Return a triple that a statement is about as a map of its three parts."""
    return {
        "subject": _part(term.subject, blank_id),
        "predicate": term.predicate.value,
        "object": _part(term.object, blank_id),
    }


def _part(node: Any, blank_id: Callable[[str], str]) -> Any:
    vendor = pyoxigraph()
    if type(node) is vendor.NamedNode:
        return node.value
    if type(node) is vendor.BlankNode:
        return blank_id(node.value)
    if type(node) is vendor.Triple:
        return term_map(node, blank_id)
    tag = tag_of(node)
    kind = "language" if tag.startswith("@") else "datatype"
    return {"value": node.value, **({kind: tag.removeprefix("@")} if tag else {})}
