"""Cuts nodes and edges from GraphML as it is read, with little more than one of them in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from slipstream.domain.errors import ConfigError
from slipstream.importers.graphml.keys import Key, Keys
from slipstream.importers.told import Told

DEPTH_MAX = 100
TEXT_SIZE_MAX = 16 * 1024 * 1024
"""The longest text of one node or edge that is read, in characters."""
TAG_BYTES_MAX = 4 * 1024 * 1024
"""The longest tag that is read; the parser begins it anew with each piece of the file."""
_VALUE_SIZE = 50
"""What a value counts beside its text."""
KEYS_MAX, DEFAULTS_SIZE_MAX = 100_000, 1024 * 1024
_CUT = "it is damaged, or was cut short; make it anew"
_REMEDIES = {
    expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]: (
        "a character that XML can not hold, which some programs write all the same. Take control characters out with "
        r"tr -d '\000-\010\013\014\016-\037' < FILE; write a bare & as &amp;, a bare < as &lt;, and text as UTF-8"
    )
}
_FOREIGN_LABELS = ("NodeLabel", "EdgeLabel")
"""What yEd keeps of a text that people read, among colours and places."""


@dataclass(slots=True)
class Element:
    """A node, an edge or a hyperedge, whole; or a node in another one's nested graph."""

    kind: str
    line: int
    attributes: Mapping[str, str]
    within: str | None = None
    """The name of the node whose nested graph a node is in."""
    is_undirected: bool = False
    is_odd: bool = False
    """Directed among undirected ones, or the other way round."""
    values: list[tuple[Key, str]] = field(default_factory=list)
    """The texts of its `<data>`, in their order; defaults are not among them."""
    drawn_label: str = ""
    """What yEd draws as its text."""
    description: str = ""
    size: int = 0

    @property
    def text(self) -> str:
        """How it begins in the file, for people."""
        said = "".join(f' {name}="{value}"' for name, value in self.attributes.items())
        return f"<{self.kind}{said}>"


def elements(chunks: Iterable[bytes], name: str, keys: Keys, told: Told) -> Iterator[Element]:
    """
    Yield what a file holds, each element as it ends; `keys` learns what the file declares.

    Raises `ConfigError` for what is not well-formed, is no GraphML, declares entities, or is too large to be read.
    """
    parser = _Parser(name, keys, told)
    for chunk in chunks:
        parser.feed(chunk)
        yield from parser.taken()
    parser.feed(b"", is_last=True)
    yield from parser.taken()


@dataclass(slots=True)
class _Graph:
    within: str | None
    is_undirected: bool


class _Parser:
    """
    A state machine behind expat.

    A declared entity ends the reading: one of a few bytes may stand for gigabytes, or for a file of this machine.
    """

    def __init__(self, name: str, keys: Keys, told: Told) -> None:
        self._name, self._keys, self._told = name, keys, told
        self._done: list[Element] = []
        self._graphs: list[_Graph] = []
        self._open: list[Element] = []
        self._top_graphs = 0
        self._depth = self._silent_bytes = self._outside_size = 0
        self._skipped = 0
        """How many elements are open within one that is taken as a whole: `<data>`, or what is not read."""
        self._text: list[str] | None = None
        self._text_of: tuple[str, str] = ("", "")
        self._is_complex = False
        self._label: list[str] | None = None
        self._key: tuple[dict[str, str], str | None] | None = None
        self._parser = self._expat()

    def _expat(self) -> Any:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.EntityDeclHandler = self._refuse_entity
        parser.SkippedEntityHandler = self._refuse_skipped
        return parser

    def feed(self, chunk: bytes, *, is_last: bool = False) -> None:
        """Read a piece; raises `ConfigError`."""
        self._silent_bytes += len(chunk)
        try:
            self._parser.Parse(chunk, is_last)
        except expat.ExpatError as error:
            raise ConfigError(
                f"{self._name} is not well-formed XML at line {error.lineno:,}, column {error.offset:,} "
                f"({expat.ErrorString(error.code)}): {_REMEDIES.get(error.code, _CUT)}"
            ) from error
        except (LookupError, ValueError) as error:
            raise ConfigError(
                f"{self._name} has an encoding that can not be read ({error}): make it UTF-8"
            ) from error
        if self._silent_bytes > TAG_BYTES_MAX:
            raise ConfigError(f"{self._name}, {self._line}: a tag or comment of more than {TAG_BYTES_MAX:,} bytes")

    def taken(self) -> list[Element]:
        """Return what has ended since the last call."""
        done, self._done = self._done, []
        return done

    # ------------------------------------------------------------------ what expat calls

    def _refuse_entity(self, name: str, *_: object) -> None:
        raise ConfigError(
            f"{self._name} declares the entity {name!r} in its DOCTYPE: entities are not expanded, for one of a few "
            "bytes may stand for gigabytes, or for a file of this machine. Write the file without them"
        )

    def _refuse_skipped(self, name: str, _: object) -> None:
        raise ConfigError(
            f"{self._name} uses the entity &{name};, which it does not declare: write what it stands for"
        )

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._silent_bytes = 0
        local = tag.rpartition(" ")[2]
        if self._skipped:
            self._skipped += 1
            self._is_complex = True
            if local in _FOREIGN_LABELS and self._label is None:
                self._label = []
            return
        self._depth += 1
        if self._depth == 1:
            self._check_root(local)
        elif self._depth > DEPTH_MAX:
            raise ConfigError(f"{self._name} nests graphs deeper than {DEPTH_MAX} levels: it is no graph to import")
        elif local == "graph":
            self._start_graph(attributes)
        elif local in ("node", "edge", "hyperedge"):
            self._start_element(local, attributes)
        elif local in ("data", "default", "desc"):
            self._text, self._text_of, self._is_complex = [], (local, attributes.get("key", "")), False
            self._outside_size = 0
            self._grow(_VALUE_SIZE)
            self._skipped = 1
        elif local == "key":
            self._key = attributes, None
        else:
            self._start_unread(local)

    def _check_root(self, local: str) -> None:
        if local != "graphml":
            raise ConfigError(
                f"{self._name} is no GraphML: its outermost element is <{local}>. Save it as GraphML, or say what it "
                "is with --format"
            )

    def _start_graph(self, attributes: Mapping[str, str]) -> None:
        outer = self._open[-1] if self._open else None
        self._top_graphs += outer is None
        if outer is None and self._top_graphs > 1:
            self._told.note("further graphs of a file are taken as one with the first: a node is known by its id")
        elif outer is not None and outer.kind != "node":
            self._told.note("graphs within edges are taken beside them", self._line)
        within = outer.attributes.get("id") if outer is not None and outer.kind == "node" else None
        self._graphs.append(_Graph(within, attributes.get("edgedefault") == "undirected"))

    def _start_element(self, kind: str, attributes: Mapping[str, str]) -> None:
        graph = self._graphs[-1] if self._graphs else _Graph(None, is_undirected=False)
        said = attributes.get("directed")
        is_undirected = graph.is_undirected if said is None else said in ("false", "0")
        is_odd = is_undirected is not graph.is_undirected
        line = self._parser.CurrentLineNumber
        self._open.append(Element(kind, line, attributes, graph.within, is_undirected, is_odd))

    def _start_unread(self, local: str) -> None:
        if local != "endpoint":  # of a hyperedge, which is refused as a whole
            what = {"port": "ports of nodes are", "locator": "graphs in other files (<locator>) are"}
            self._told.note(f"{what.get(local, f'<{local}> is')} not read", self._line)
        self._skipped = 1

    def _characters(self, text: str) -> None:
        self._silent_bytes = 0
        if self._label is not None:
            self._label.append(text)
        elif self._text is not None and self._skipped == 1:
            self._text.append(text)
        else:
            return
        self._grow(len(text))

    def _grow(self, size: int) -> None:
        """Count what an element holds, or what stands outside of all; raises `ConfigError` when it is too much."""
        if self._open:
            self._open[-1].size += size
        else:
            self._outside_size += size
        if max(self._outside_size, self._open[-1].size if self._open else 0) > TEXT_SIZE_MAX:
            raise self._too_large()

    def _end(self, tag: str) -> None:
        if self._skipped > 1:
            self._skipped -= 1
            self._end_label(tag)
            return
        self._depth -= 1
        if self._skipped:
            self._skipped = 0
            if self._text is not None:
                self._end_text("".join(self._text))
                self._text = None
            return
        match tag.rpartition(" ")[2]:
            case "graph":
                self._graphs.pop()
            case "node" | "edge" | "hyperedge":
                self._done.append(self._open.pop())
            case "key" if self._key is not None:
                self._declare(Key.declared(*self._key))
                self._key = None

    def _declare(self, key: Key) -> None:
        self._keys.declare(key)
        if len(self._keys) > KEYS_MAX or self._keys.defaults_size > DEFAULTS_SIZE_MAX:
            raise ConfigError(
                f"{self._name}, {self._line}: more than {KEYS_MAX:,} keys, or defaults of more than "
                f"{DEFAULTS_SIZE_MAX:,} characters, which every node would get: it is no graph to import"
            )

    def _end_label(self, tag: str) -> None:
        if self._label is not None and tag.rpartition(" ")[2] in _FOREIGN_LABELS:
            if self._open and not self._open[-1].drawn_label:
                self._open[-1].drawn_label = "".join(self._label).strip()
            self._label = None

    def _end_text(self, text: str) -> None:
        kind, key_id = self._text_of
        if kind == "default":
            if self._key is not None:
                self._key = self._key[0], text
        elif not self._open:
            if kind == "data":
                self._told.note("values of a graph itself are not kept", self._line)
        elif kind == "desc":
            self._open[-1].description = text.strip()
        elif self._is_complex:
            self._told.note("drawings (colours, shapes, places) are not kept, but for their texts", self._line)
        else:
            self._open[-1].values.append((self._key_of(key_id), text))

    def _key_of(self, key_id: str) -> Key:
        kind = self._open[-1].kind
        found = self._keys.find(kind, key_id)
        if found is None:
            self._told.note(f"the key {key_id!r} is declared nowhere before its values: they are text", self._line)
            return Key(key_id, kind, key_id, "")
        return found

    def _too_large(self) -> ConfigError:
        return ConfigError(f"{self._name}, {self._line}: more than {TEXT_SIZE_MAX:,} characters in one element")

    @property
    def _line(self) -> str:
        return f"line {self._parser.CurrentLineNumber:,}"
