"""Export of a whole graph as GraphML, for Gephi, yEd, igraph, NetworkX and TinkerPop; `import` reads it back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from xml.sax.saxutils import escape, quoteattr

from slipstream.app.exporting import TOLD_EVERY, ExportReport, OnRow, output_to, properties_of, suffix_of
from slipstream.domain.entities import Entity, Relationship
from slipstream.ports.backup import PinnedGraph

GRAPHML = ".graphml"
_NODE, _EDGE = "node", "edge"
_TYPE_KEYS = {_NODE: "labelV", _EDGE: "labelE"}
"""What TinkerPop calls the type of a node, and of an edge."""
_ID = "id"
"""Of an edge: its own key, if it has one."""
_KINDS = {bool: "boolean", int: "long", float: "double", str: "string"}
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UNHELD = "it holds a character that XML can not"
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'

Name = tuple[str, str, str, str]
"""Of a key: node or edge, the property, its `attr.type` and, of a list, its `attr.list`."""


def is_graphml(path: Path | str) -> bool:
    """Whether a file's name says that it is GraphML, packed or not."""
    return suffix_of(path) == GRAPHML


class GraphMLExporter:
    """Writes GraphML of a graph, read in one read transaction: a first time for the keys, a second for the rest."""

    def __init__(self, pin: Callable[[], PinnedGraph]) -> None:
        self._pin = pin

    def export(self, path: Path | str, on_row: OnRow | None = None) -> ExportReport:
        """
        Write all entities and relationships to a file, packed as its name says, or to standard output (`-`).

        Texts, numbers, truth values and lists of them come back as they are; times and maps come back as text. What
        XML can not hold (a control character) is left out, counted as unreadable, and told. A file appears under its
        name only when it is whole. Raises `ConfigError` for a path that can not be a file, and `UnavailableError`
        when writing fails.
        """
        with closing(self._pin()) as graph:
            writing = _Writing(graph, on_row)
            writing.learn_keys()
            with output_to(str(path)) as stream:
                return writing.run(stream)


class _Writing:
    def __init__(self, graph: PinnedGraph, on_row: OnRow | None) -> None:
        self._graph, self._on_row = graph, on_row
        facts = graph.facts()
        self._total = facts.entities + facts.relationships
        self._report = ExportReport(facts.position, facts.schema_version)
        self._keys: dict[Name, str] = {}

    def learn_keys(self) -> None:
        """Number the keys of all properties, which stand before the nodes."""
        for stored in self._all():
            kind = _kind(stored)
            for name, value in (properties_of(stored) or {}).items():
                if _UNWRITABLE.search(name) is None:
                    self._keys.setdefault(_name(kind, name, value), f"{kind[0]}{len(self._keys)}")

    def run(self, stream: IO[bytes]) -> ExportReport:
        report = self._report
        stream.write(f'{_HEAD}{"".join(self._declared())}<graph id="G" edgedefault="directed">\n'.encode())
        for stored in self._all():
            self._write(stream, stored)
            done = report.entities + report.relationships
            if self._on_row is not None and done % TOLD_EVERY == 0:
                self._on_row(done, self._total)
        stream.write(b"</graph>\n</graphml>\n")
        if self._on_row is not None:
            self._on_row(self._total, self._total)
        return report

    def _all(self) -> Iterator[Entity | Relationship]:
        yield from self._graph.entities()
        for found, _, _ in self._graph.relationships():
            yield found

    def _declared(self) -> Iterator[str]:
        for kind, name in _TYPE_KEYS.items():
            yield f'<key id="{name}" for="{kind}" attr.name="{name}" attr.type="string"/>\n'
        yield f'<key id="{_ID}" for="{_EDGE}" attr.name="{_ID}" attr.type="string"/>\n'
        for (kind, name, type_name, list_of), key in self._keys.items():
            listed = f' attr.list="{list_of}"' if list_of else ""
            yield f'<key id="{key}" for="{kind}" attr.name={quoteattr(name)} attr.type="{type_name}"{listed}/>\n'

    def _write(self, stream: IO[bytes], stored: Entity | Relationship) -> None:
        kind, opening, properties = _kind(stored), _opening(stored), properties_of(stored)
        if properties is None:
            self._leave_out(opening, "another program wrote properties that can not be read")
            return
        if _UNWRITABLE.search(opening):
            self._leave_out(opening, _UNHELD)
            return
        pieces = [opening]
        for name, value in properties.items():
            text = _text(_shown(value))
            if name == _TYPE_KEYS[kind]:
                self._leave_out(f"{opening} {name}", "the type has this name in GraphML")
            elif _UNWRITABLE.search(text) or _UNWRITABLE.search(name):
                self._leave_out(f"{opening} {name}", _UNHELD)
            else:
                pieces.append(f'<data key="{self._keys[_name(kind, name, value)]}">{text}</data>')
        pieces.append(f"</{kind}>\n")
        stream.write("".join(pieces).encode())
        if kind == _NODE:
            self._report.entities += 1
        else:
            self._report.relationships += 1

    def _leave_out(self, what: str, why: str) -> None:
        shown = _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", what)[:200]
        self._report.leave_out(f"{shown}: {why}")


def _kind(stored: Entity | Relationship) -> str:
    return _NODE if isinstance(stored, Entity) else _EDGE


def _opening(stored: Entity | Relationship) -> str:
    """Return the opening tag of a node or an edge, with its type."""
    if isinstance(stored, Entity):
        return f"<node id={quoteattr(stored.id)}>{_typed(_NODE, stored.type)}"
    ref = stored.ref
    ends = f"source={quoteattr(ref.source_id)} target={quoteattr(ref.target_id)}"
    own = f'<data key="{_ID}">{_text(ref.discriminator)}</data>' if ref.discriminator else ""
    return f"<edge id={quoteattr(ref.id)} {ends}>{_typed(_EDGE, ref.type)}{own}"


def _typed(kind: str, type_name: str) -> str:
    return f'<data key="{_TYPE_KEYS[kind]}">{_text(type_name)}</data>'


def _name(kind: str, name: str, value: Any) -> Name:
    """Return what a value's key is known by; a property of several kinds has several keys."""
    if isinstance(value, list) and all(type(item) in _KINDS for item in value):
        kinds = {_KINDS[type(item)] for item in value}
        return kind, name, "string", kinds.pop() if len(kinds) == 1 else "string"
    return kind, name, _KINDS.get(type(value), "string"), ""


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False, default=_moment)


def _moment(value: Any) -> str:
    """Return a time as text: the one kind of values that JSON does not have."""
    found: str = value.isoformat()
    return found


def _text(text: str) -> str:
    """Escape a text; a carriage return too, which XML would read as a line feed."""
    return escape(text, {"\r": "&#13;"})
