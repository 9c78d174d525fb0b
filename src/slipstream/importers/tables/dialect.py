"""What stands between the cells, and the names of the columns."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from io import StringIO
from pathlib import PurePosixPath

from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.domain.names import name_fault
from slipstream.importers.opening import SourceFile
from slipstream.importers.tables.records import SHOWN_CHARACTERS, TOLD_TO_EXCEL, BrokenRecord, Cells, Record, records

CANDIDATES = (",", ";", "\t", "|")
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_WORDS = {**{name: sign for sign, name in NAMES.items()}, "\\t": "\t"}
_BY_SUFFIX = {".tsv": "\t", ".tab": "\t"}
_HEAD_BYTES = 1 << 16


def delimiter_of(file: SourceFile, given: str | None) -> str:
    """
    Return what separates the cells: as said, as the file's name says, or what fits its first rows.

    That is the one by which most of them have as many cells as there are columns. Raises `InvalidInputError` for what
    can not separate, and `ConfigError` when several fit.
    """
    if given is not None:
        return separator_of(given)
    return _BY_SUFFIX.get(file.suffix) or _sniffed(file)


def separator_of(given: str) -> str:
    """Return the character that is given, or named; raises `InvalidInputError` for what can not separate cells."""
    sign = _WORDS.get(given.lower(), given)
    if len(sign) != 1 or sign in '"\r\n\0 ':
        raise InvalidInputError(
            f"{given!r} can not separate cells: give one character, or one of {', '.join(_WORDS)}", field="delimiter"
        )
    return sign


def _sniffed(file: SourceFile) -> str:
    head = file.head(_HEAD_BYTES)
    lines = list(StringIO(head.decode("utf-8", errors="replace"), newline=""))
    if lines and (told := TOLD_TO_EXCEL.fullmatch(lines[0])):
        return told[1]
    if len(head) > _HEAD_BYTES - 4 and len(lines) > 1:  # a byte order mark was taken off
        lines.pop()  # may be cut
    widths = {sign: [len(row) for row in csv.reader(lines, delimiter=sign) if row] for sign in CANDIDATES}
    able = [sign for sign, found in widths.items() if found and found[0] > 1]
    if len(able) < 2:
        return able[0] if able else ","
    fits = {sign: sum(width == widths[sign][0] for width in widths[sign][1:]) for sign in able}
    best = max(able, key=fits.__getitem__)
    if all(fits[best] > 2 * fits[sign] for sign in able if sign != best):
        return best
    shown = " or ".join(NAMES[sign] for sign in able)
    raise ConfigError(f"{file.name}: nobody can tell what separates its cells, {shown}: say it with --delimiter")


def form_of(form: str, delimiters: set[str]) -> str:
    """Return what is read, for people, with what separates the cells."""
    shown = ", ".join(sorted(NAMES.get(sign, repr(sign)) for sign in delimiters))
    return f"{form} ({shown})"


def separator_notes(separators: Mapping[SourceFile, str], given: str | None) -> list[str]:
    """Return what is to be told of what was found to separate the cells of files: all but commas."""
    if given is not None:
        return []
    found = {file: sign for file, sign in separators.items() if sign != "," and file.suffix not in _BY_SUFFIX}
    return [f"{file.name}: its cells were taken to be separated by the {NAMES[sign]}" for file, sign in found.items()]


def header_of(file: SourceFile, delimiter: str) -> tuple[str, ...]:
    """Return the names of the columns as they are there; raises `ConfigError` for a file without a first line."""
    first = next(records(file, delimiter, _untold), None)
    if first is None:
        raise ConfigError(f"{file.name} is empty: its first line must name the columns")
    if isinstance(first, BrokenRecord):
        raise ConfigError(f"{file.name}: the names of the columns, {first.lines}: {first.reason}")
    return tuple(cell or "" for cell in first.cells)


def check_names(file: SourceFile, names: tuple[str, ...]) -> None:
    """Raise `ConfigError` for columns without a name, or with the same one."""
    for at, name in enumerate(names, 1):
        if not name.strip():
            raise ConfigError(
                f"{file.name}: column {at} of {len(names)} has no name: give it one, or leave it out (pandas writes "
                "its index so: to_csv(index=False))"
            )
    again = [name for name, count in Counter(names).items() if count > 1]
    if again:
        places = ", ".join(str(at) for at, name in enumerate(names, 1) if name == again[0])
        raise ConfigError(f"{file.name}: the columns {places} are all called {again[0]!r}: give each its own name")


def type_by_name(file: SourceFile, stem: str | None = None) -> str:
    """Return the type that a file's name stands for; raises `ConfigError` when no type can be called so."""
    found = PurePosixPath(file.inner_name).stem if stem is None else stem
    if found == "piped":  # what standard input and requests are kept in
        raise ConfigError(
            "what is piped in has no name that tells its type: say it with --type, or --name people.csv"
        )
    fault = name_fault(found)
    if fault is not None:
        raise ConfigError(f"{file.name}: no type can be called as the file is ({fault}): say it with --type")
    return found


def cells_of(record: Record | BrokenRecord, width: int) -> Cells:
    """Return the cells of a record; raises `InvalidInputError` when it is broken, or has too many or too few."""
    if isinstance(record, BrokenRecord):
        raise InvalidInputError(record.reason, field="row")
    if len(record.cells) != width:
        several = "" if record.line == record.last_line else ", or close the quote that is open"
        raise InvalidInputError(f"has {len(record.cells)} cells for {width} columns: mend it{several}", field="row")
    return record.cells


def text_of(record: Record | BrokenRecord, delimiter: str) -> str:
    """Return the text of a record, as far as it is shown."""
    if isinstance(record, BrokenRecord):
        return record.text
    return delimiter.join(cell or "" for cell in record.cells)[:SHOWN_CHARACTERS]


def _untold(done_bytes: int) -> None:
    """The names of the columns are no progress."""
