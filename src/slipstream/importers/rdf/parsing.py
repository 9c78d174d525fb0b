"""Files of RDF as quads of pyoxigraph, and what is wrong in them told by line and column."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import IO, Any
from xml.parsers import expat

from slipstream.domain.errors import ConfigError
from slipstream.importers.opening import SourceFile
from slipstream.importers.rdf.syntaxes import Syntax
from slipstream.importers.rows import Tell
from slipstream.importers.told import Told

_NO_BASE = "x-no-base:"
"""Scheme of what relative IRIs of JSON-LD become: the parser would leave them out without a word."""
_IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>\"{}|^`\\]*")
_IS_BASE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>\"{}|^`\\]+")
_BLOCK_BYTES = 1 << 20
_LINE_BYTES_MAX = 16 * 1024 * 1024
_STREAMED_BYTES_MIN = 1 << 20
_TOLD_EVERY = 256
_UNLABELLED = re.compile(r"_:[a-f][0-9a-f]{19,31}\b")
"""A label of the parser's own, at random: a refused statement reads the same each time."""
_KNOWN_MAX = 100_000
_PLACE = re.compile(r"^Parser error (?:at|between) .*?: (.*?)(?: \(line \d+\))?$", re.DOTALL)
_ORDER = ("must be the first key", "must be the last property")


@dataclass(frozen=True, slots=True)
class Refused:
    """A statement that can not be read, where the parser can go on behind it."""

    where: str
    reason: str
    text: str


def pyoxigraph() -> ModuleType:
    """Return the library that parses RDF; raises `ConfigError` when it is not installed."""
    try:
        import pyoxigraph
    except ImportError as error:
        raise ConfigError("RDF needs pyoxigraph: pip install 'slipstream-pkg[rdf]'") from error
    return pyoxigraph


def base_of(prefix: str | None) -> str | None:
    """Return the prefix of a source's own names if it can be the base of relative IRIs."""
    return prefix if prefix is not None and _IS_BASE.fullmatch(prefix) else None


def statements(file: SourceFile, syntax: Syntax, base: str | None, tell: Tell, told: Told) -> Iterator[Any]:
    """
    Yield the quads of a file, and a `Refused` for each that can not be taken alone.

    Keys of JSON-LD that mean nothing are noted in `told`.

    Raises `ConfigError`, with line and column where they are known, for what makes the rest unreadable.
    """
    if syntax.is_by_line:
        yield from _by_line(file, syntax, tell)
    elif syntax is Syntax.JSON_LD:
        is_streamed = file.size_bytes >= _STREAMED_BYTES_MIN and _is_in_order(file)
        form = "STREAMING_JSON_LD" if is_streamed else "JSON_LD"
        yield from _checked(file, _parsed(file, form, base or f"{_NO_BASE}//x/", tell), told)
    else:
        yield from _parsed(file, syntax.name, base, tell)


def _parsed(file: SourceFile, form: str, base: str | None, tell: Tell) -> Iterator[Any]:
    with file.opened() as (content, raw):
        watch = _XmlWatch() if form == "RDF_XML" else None
        stream = _Stream(content, raw, tell, watch)
        try:
            yield from _quads(stream, form, base_iri=base, lenient=form.endswith("JSON_LD"))
            if watch is not None:
                watch.finish()
        except SyntaxError as error:
            raise _unreadable(file, error, watch) from error
        except expat.ExpatError as error:
            place = f"line {error.lineno}, column {error.offset + 1}"
            raise ConfigError(
                f"{file.name}, {place}: not well-formed XML ({expat.ErrorString(error.code)}): make it anew, it may "
                "have been cut short; nothing of it was taken"
            ) from error


def _quads(source: Any, form: str, **options: Any) -> Iterator[Any]:
    vendor = pyoxigraph()
    parsed: Iterator[Any] = vendor.parse(source, getattr(vendor.RdfFormat, form), **options)
    return parsed


class _Stream:
    """A file for the parser: without a byte order mark, and with its progress told."""

    def __init__(self, content: IO[bytes], raw: IO[bytes], tell: Tell, watch: _XmlWatch | None) -> None:
        self._content, self._raw, self._tell, self._watch = content, raw, tell, watch
        self._reads = 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        piece = self._content.read(size)
        if self._reads == 0:
            piece = piece.removeprefix(codecs.BOM_UTF8) or self._content.read(size)
        self._reads += 1
        if self._watch is not None:
            self._watch.feed(piece)
        if self._reads % _TOLD_EVERY == 0 or not piece:
            self._tell(self._raw.tell())
        return piece


class _XmlWatch:
    """Follows the parser of RDF/XML, which tells no lines and takes a file that was cut short for a whole one."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate()
        self.error: expat.ExpatError | None = None

    def feed(self, piece: bytes) -> None:
        """Look at what the parser is given."""
        if self.error is None:
            try:
                self._parser.Parse(piece, False)
            except expat.ExpatError as error:
                self.error = error

    def finish(self) -> None:
        """Raise `ExpatError` if what was read is no whole document."""
        if self.error is not None:
            raise self.error
        self._parser.Parse(b"", True)

    @property
    def line(self) -> int:
        """The line up to which was read."""
        return int(self._parser.CurrentLineNumber)


def _unreadable(file: SourceFile, error: SyntaxError, watch: _XmlWatch | None) -> ConfigError:
    if watch is not None and watch.error is not None:
        place = f"line {watch.error.lineno}, column {watch.error.offset + 1}"
    elif watch is not None:
        place = f"in or before line {watch.line}"
    elif error.lineno is not None:
        place = f"line {error.lineno}, column {error.offset}"
    else:
        place = ""
    told = _reason(error)
    where = f"{file.name}, {place}" if place else file.name
    return ConfigError(f"{where}: {told}{_remedy(told, watch is not None)}; nothing of it was taken")


def _reason(error: SyntaxError) -> str:
    message = str(error)
    found = _PLACE.match(message)
    return found[1] if found else message


def _remedy(told: str, is_xml: bool) -> str:
    if "No scheme found" in told:
        said = (
            'put xml:base="http://example.org/" into its first element'
            if is_xml
            else ("write `@base <http://example.org/> .` at its top")
        )
        return f". The IRI is relative, and the file does not say to what: {said}, or give --id-prefix http://example.org/"
    if "LoadDocumentCallback" in told:
        return (
            ". It names a @context by its address, and addresses are never fetched: put the content of that file in "
            "place of the address"
        )
    if "UTF-8" in told:
        return ": convert it, as with `iconv -f WINDOWS-1252 -t UTF-8`" + (
            ", and take encoding= out of its first line" if is_xml else ""
        )
    return ""


def _is_in_order(file: SourceFile) -> bool:
    """Whether a file of JSON-LD can be read in one go: contexts first, then types, graphs last."""
    with file.opened() as (content, raw):
        try:
            for _ in _quads(_Stream(content, raw, lambda _: None, None), "STREAMING_JSON_LD", lenient=True):
                pass
        except SyntaxError as error:
            return not any(phrase in str(error) for phrase in _ORDER)
        return True


def _checked(file: SourceFile, quads: Iterator[Any], told: Told) -> Iterator[Any]:
    """Look at the IRIs of JSON-LD: strictly, the parser leaves out what has a wrong one, and says nothing."""
    named = pyoxigraph().NamedNode
    known: set[str] = set()
    for number, quad in enumerate(quads, start=1):
        fault = None
        if _means_nothing(key := quad.predicate.value):
            told.note(f"left out, as JSON-LD has it: no @context explains the key {key!r}", file.name)
            continue
        for term in quad:
            if type(term) is named and (iri := term.value) not in known:
                fault = fault or _iri_fault(file, iri)
                if len(known) >= _KNOWN_MAX:
                    known.clear()
                if fault is None:
                    known.add(iri)
        yield (
            quad
            if fault is None
            else Refused(f"{file.name}, statement {number}", fault, _UNLABELLED.sub("[]", str(quad)))
        )


def _means_nothing(key: str) -> bool:
    return ":" not in key or key.startswith("_:")


def _iri_fault(file: SourceFile, iri: str) -> str | None:
    if iri.startswith(_NO_BASE):
        relative = iri.removeprefix(f"{_NO_BASE}//x/")
        raise ConfigError(
            f"{file.name}: {relative!r} is a relative IRI, or a name that no @context explains: give the @context an "
            "@base (for ids) or a @vocab (for types and keys), or give --id-prefix http://example.org/; nothing of "
            "it was taken"
        )
    return None if _IRI.fullmatch(iri) else f"{iri!r} is no IRI"


def _by_line(file: SourceFile, syntax: Syntax, tell: Tell) -> Iterator[Any]:
    """
    Parse lines in blocks, and those of a block with a mistake one by one.

    The parser goes on behind a mistake by itself, but takes a quotation mark that is never closed for the beginning
    of a literal, and so loses whole lines behind it.
    """
    number = 1
    for block in _blocks(file, tell):
        try:
            yield from list(_quads(block, syntax.name))
        except SyntaxError:
            yield from _one_by_one(file, syntax, block, number)
        number += block.count(b"\n")


def _one_by_one(file: SourceFile, syntax: Syntax, block: bytes, number: int) -> Iterator[Any]:
    for line_number, line in enumerate(re.split(rb"\r\n|\n|\r", block), start=number):
        try:
            yield from list(_quads(line, syntax.name))
        except SyntaxError as error:
            column = f", column {error.offset}" if error.offset is not None else ""
            told = _reason(error)
            if told.startswith("Unexpected end"):
                told = "the line ends too early: a quotation mark is not closed, or the dot is missing"
            yield Refused(f"{file.name}, line {line_number}{column}", told, line.decode(errors="replace"))


def _blocks(file: SourceFile, tell: Tell) -> Iterator[bytes]:
    """Yield the file as blocks of whole lines, without a byte order mark."""
    held: list[bytes] = []
    size, is_first = 0, True
    for chunk in file.chunks(tell):
        piece = chunk.removeprefix(codecs.BOM_UTF8) if is_first else chunk
        is_first = False
        cut = piece.rfind(b"\n") + 1
        size += len(piece)
        if cut == 0 or size < _BLOCK_BYTES:
            held.append(piece)
            if size > _BLOCK_BYTES + _LINE_BYTES_MAX:
                raise ConfigError(f"{file.name} has a line of over {_LINE_BYTES_MAX:,} bytes: it is no {file.suffix}")
            continue
        yield b"".join((*held, piece[:cut]))
        held, size = [piece[cut:]], len(piece) - cut
    if size:
        yield b"".join(held)
