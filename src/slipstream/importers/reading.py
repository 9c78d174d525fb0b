"""Which reader reads what: by the name of its format, or by what the source looks like."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from pathlib import Path

from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.domain.hints import near_miss
from slipstream.events.formats.kinds import binary_kind
from slipstream.importers.opening import SourceFile, source_files
from slipstream.importers.options import ReadOptions
from slipstream.importers.rows import RowReader
from slipstream.ports.graph import GraphReader

NOTES = "notes"
APOC = "apoc"
"""Read by `events.importing`, which knows what such a dump says of ids."""
_READERS = {
    "csv": "slipstream.importers.tables.csv_reader",
    "neo4j": "slipstream.importers.tables.neo4j_reader",
    "graphml": "slipstream.importers.graphml.reader",
    "node-link": "slipstream.importers.node_link",
    "rdf": "slipstream.importers.rdf.reader",
    "notes": "slipstream.importers.notes.reader",
}
"""The module of each format; its `reader(files or folder, options)` returns a `RowReader`."""
FORMATS = (APOC, *_READERS)
_BY_SUFFIX = {
    **dict.fromkeys((".csv", ".tsv", ".tab"), "csv"),
    **dict.fromkeys((".graphml", ".xml"), "graphml"),
    **dict.fromkeys((".ttl", ".nt", ".nq", ".trig", ".n3", ".rdf", ".owl", ".jsonld"), "rdf"),
    **dict.fromkeys((".jsonl", ".ndjson"), APOC),
    **dict.fromkeys((".md", ".markdown"), "notes"),
}
PIPED_NAMES = {
    APOC: "piped.jsonl",
    "csv": "piped.csv",
    "neo4j": "piped.csv",
    "graphml": "piped.graphml",
    "node-link": "piped.json",
    "rdf": "piped.rdf",
    "notes": "piped.md",
}
"""What data without a file name is called, by its format."""
_NEO4J_HEADER = re.compile(rb"[^\r\n]*:(?:ID|START_ID|END_ID|LABEL|TYPE)\b")
_APOC_ROW = re.compile(
    rb'\s*\[?\s*\{\s*(?:"(?:nodes|rels|relationships)"\s*:\s*[\[{]\s*(?:"[^"]*"\s*:\s*)?\{\s*)?'
    rb'"type"\s*:\s*"(?:node|relationship|slipstream)"'
)
_NODE_LINK = re.compile(rb'"(?:directed|multigraph|links|edges)"\s*:')
_NODES = re.compile(rb'\s*\{\s*"nodes"\s*:\s*\[(?!.*"type"\s*:\s*"node")', re.DOTALL)
"""The nodes may be so long that the edges are out of sight."""
_RDF_XML = b"http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_JSON_LD = re.compile(rb'"@(?:context|graph|id)"\s*:')


def format_of(paths: Sequence[Path]) -> str:
    """Return the format that a folder or files are of; raises `ConfigError` when nobody can tell, or they differ."""
    if len(paths) == 1 and paths[0].is_dir():
        return NOTES
    found = {_format_of(file) for file in source_files(paths)}
    if found == {"csv", "neo4j"}:
        return "neo4j"  # one file has the header of another
    if len(found) > 1:
        raise ConfigError(f"the files are of several formats ({', '.join(sorted(found))}): import them one by one")
    return found.pop()


def _format_of(file: SourceFile) -> str:
    known = _BY_SUFFIX.get(file.suffix)
    if known == "csv" and _NEO4J_HEADER.match(file.head()):
        return "neo4j"
    if file.suffix == ".xml" and _RDF_XML in file.head():
        return "rdf"
    if known is not None:
        return known
    head = file.head()
    if file.suffix == ".json" or head.lstrip()[:1] in (b"{", b"["):
        if _JSON_LD.search(head):
            return "rdf"
        is_node_link = not _APOC_ROW.match(head) and (_NODE_LINK.search(head) or _NODES.match(head))
        return "node-link" if is_node_link else APOC
    if (kind := binary_kind(head)) is not None:
        raise ConfigError(f"{file.name} is {kind}")
    raise ConfigError(
        f"{file.name}: nobody can tell its format from its name; say it with --format ({', '.join(FORMATS)})"
    )


def reader_of(paths: Sequence[Path], options: ReadOptions, name: str, graph: GraphReader | None = None) -> RowReader:
    """
    Return the reader of some files, or of a folder of notes, in the format of that name.

    `graph` is what they are imported into: a note that was moved keeps the id that it has there.

    Raises `InvalidInputError` for a format or an option that nobody knows, and `ConfigError` as readers do.
    """
    if name not in _READERS:
        raise InvalidInputError(f"{name!r} is no format{near_miss(name, FORMATS)}", field="format")
    module = importlib.import_module(_READERS[name])
    given = paths[0] if name == NOTES and len(paths) == 1 and paths[0].is_dir() else source_files(paths)
    reader: RowReader = module.reader(given, options, **({"graph": graph} if name == NOTES else {}))
    return reader
