"""The reader of RDF: statements gathered by subject in a temporary folder, then told as rows."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

from slipstream.domain.errors import InvalidInputError
from slipstream.importers.files_reader import FilesReader
from slipstream.importers.opening import SourceFile
from slipstream.importers.options import ReadOptions
from slipstream.importers.rdf.entities import Mapping
from slipstream.importers.rdf.parsing import base_of, pyoxigraph
from slipstream.importers.rdf.spooling import Spool
from slipstream.importers.rdf.syntaxes import Syntax, syntax_of
from slipstream.importers.rows import EntityRow, RefusedRow, RelationshipRow, Row, RowReader, Stage, Tell
from slipstream.importers.told import Told

_TOLD_EVERY = 1_000
_COPY = re.compile(r".*[0-9a-f]{32}")
"""Name of a folder that a PKG makes for what is piped in or sent to its server."""


def reader(files: Sequence[SourceFile], options: ReadOptions) -> RowReader:
    """
    Return the reader of some files of RDF, which may be in several syntaxes.

    Raises `ConfigError` when pyoxigraph is not installed or a file is no RDF, and `InvalidInputError` for options
    that mean nothing for it.
    """
    options.refuse_but("entity_type", "id_prefix")
    pyoxigraph()
    prefixes = _blank_prefixes(files, options.id_prefix)
    return RdfReader([(file, syntax_of(file), prefix) for file, prefix in zip(files, prefixes, strict=True)], options)


def _blank_prefixes(files: Sequence[SourceFile], prefix: str | None) -> list[str]:
    """
    Return what tells the blank nodes of each file from those of any other.

    Without words: it is part of the text of what has no other one, and is not to be found by its file's name.
    """
    if prefix is None:
        return [f"{_digest(file)}." for file in files]
    if len(files) == 1:
        return [prefix]
    names = [file.inner_name for file in files]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidInputError(
            f"two files are called {twice}: import them one by one, each with its own", field="id_prefix"
        )
    return [f"{prefix}{name}." for name in names]


def _digest(file: SourceFile) -> str:
    """Return what tells a file: its place; or its content, if it was piped in or sent and will lie elsewhere."""
    digest = hashlib.blake2b((file.member or "").encode("utf-8", "surrogateescape"), digest_size=6)
    if _COPY.fullmatch(file.path.parent.name):
        for chunk in file.chunks(lambda _: None):
            digest.update(chunk)
    else:
        digest.update(str(file.path.resolve()).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


class RdfReader(FilesReader):
    """
    Reads files of RDF as one source.

    All of it is parsed before the first row: a mistake in the middle of a file is told before anything is taken, and
    statements about one subject are together wherever they stand. The folder that this takes is removed behind the
    last stage, or when the reader is given up.
    """

    def __init__(self, files: Sequence[tuple[SourceFile, Syntax, str]], options: ReadOptions) -> None:
        super().__init__([file for file, _, _ in files], options)
        self._sources = files
        self._notes = Told()
        self._spool: Spool | None = None
        self._remove: weakref.finalize[[str], RdfReader] | None = None

    @property
    def form(self) -> str:
        """What it reads, for people: `Turtle`."""
        syntaxes = {syntax.value for _, syntax, _ in self._sources}
        return syntaxes.pop() if len(syntaxes) == 1 else "RDF"

    @property
    def has_relationships(self) -> bool:
        """Whether there is anything for the second stage."""
        return self._spool is None or self._spool.relationships.count > 0

    @property
    def notes(self) -> Sequence[str]:
        """What was left out, and which names are not the local ones."""
        return self._notes.lines

    def rows(self, stage: Stage, tell: Tell) -> Iterator[Row]:
        """
        Yield entities, then what was refused; or relationships. The first half of the progress is the parsing.

        Raises `ConfigError` for a file that can not be read, and `DiskFullError`.
        """
        is_done = False
        try:
            total, spool = self.size_bytes, self._spool
            if spool is None:
                spool = self._read(lambda done: tell(done // 2))
            yield from _told(self._rows(spool, stage), spool, stage, total, tell)
            is_done = True
        finally:
            if not is_done or stage is Stage.RELATIONSHIPS:
                self._forget()

    def _rows(self, spool: Spool, stage: Stage) -> Iterator[Row]:
        mapping = Mapping(spool, self._options.entity_type)
        number = 0
        content: EntityRow | RelationshipRow
        if stage is Stage.RELATIONSHIPS:
            for groups in spool.relationships.groups():
                for content in mapping.relationships(groups):
                    number += 1
                    yield Row(number, content.source_id, content)
            return
        for groups in spool.entities.groups():
            for content in mapping.entities(groups):
                number += 1
                yield Row(number, content.id, content)
        for where, reason, text in spool.refusals():
            number += 1
            yield Row(number, where, RefusedRow(InvalidInputError(reason, field="statement"), text))

    def _read(self, tell: Tell) -> Spool:
        folder = tempfile.mkdtemp(prefix="slipstream-rdf-")
        self._remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._notes.clear()
        spool = Spool(Path(folder), self._notes)
        base, done = base_of(self._options.id_prefix), 0
        for file, syntax, prefix in self._sources:
            spool.take(file, syntax, prefix, base, _behind(done, tell))
            done += file.size_bytes
        for iri, name in Mapping(spool, None).renamed:
            self._notes.note(
                f"{iri} is called {name!r} here, for its local name is another one's, or kept for the importer"
            )
        self._spool = spool
        return spool

    def _forget(self) -> None:
        self._spool = None
        if self._remove is not None:
            self._remove()


def _behind(before: int, tell: Tell) -> Tell:
    return lambda done: tell(before + done)


def _told(rows: Iterator[Row], spool: Spool, stage: Stage, total_bytes: int, tell: Tell) -> Iterator[Row]:
    """Tell the second half of the progress by how many of the records can have been used."""
    buckets = spool.entities if stage is Stage.ENTITIES else spool.relationships
    expected = max(buckets.count, 1)
    for row in rows:
        if row.number % _TOLD_EVERY == 0:
            tell(min(total_bytes, total_bytes // 2 + total_bytes * row.number // (2 * expected)))
        yield row
    tell(total_bytes)
