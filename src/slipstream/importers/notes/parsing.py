"""A note's file turned into what it says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote

from slipstream.domain.errors import InvalidInputError
from slipstream.importers.notes.front_matter import FrontMatter, split_front_matter, texts_of
from slipstream.importers.notes.markdown import Reading, read_markdown, read_value
from slipstream.importers.notes.note import Note

OWN = ("path", "text", "aliases", "tags", "name", "vault")
"""Properties that every note has from us: a field of that name is kept as `front_matter_NAME`."""
_TAG_FIELDS, _ALIAS_FIELDS = ("tags", "tag"), ("aliases", "alias")
_LISTED = re.compile(r"\s*(?:#?\[\[([^\[\]]+)\]\]|([^,]+))")
_PAGE_NAMES = re.compile(r"^(?:-[ \t]+)?(title|alias)::[ \t]+(.+)$", re.MULTILINE)
_BLOCK_IDS = re.compile(r"^[ \t]*(?:-[ \t]+)?id::[ \t]+([0-9a-fA-F-]{36})[ \t]*$", re.MULTILINE)
_JOURNAL = re.compile(r"(\d{4})[-_](\d{2})[-_](\d{2})")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HEAD_SIZE = 2_000
"""Page properties stand within so many characters."""


class Names(NamedTuple):
    """What links find a note by, beside its path, and the id that it gives itself."""

    id: str | None = None
    pages: tuple[str, ...] = ()
    """Names of the page, as Logseq has them: its title, its aliases, a journal's day."""
    blocks: tuple[str, ...] = ()
    """Ids of its blocks (Logseq)."""


def names_in(path: str, text: str) -> Names:
    """Return what links find a note by; raises `InvalidInputError` for front matter that can not be taken."""
    parts = split_front_matter(text)
    _type_of(parts.fields.get("type"))
    given = parts.fields.get("id")
    own_id = str(given).strip() if isinstance(given, str | int) and not isinstance(given, bool) else ""
    if "::" not in text:
        return Names(own_id or None, _page_of(path))
    pages = [_page_of(path)]
    for name, value in _PAGE_NAMES.findall(parts.body[:_HEAD_SIZE]):
        pages.append((value.strip(),) if name == "title" else tuple(_listed(value)))
    blocks = tuple(found.lower() for found in _BLOCK_IDS.findall(parts.body))
    return Names(own_id or None, tuple(page for each in pages for page in each), blocks)


def _page_of(path: str) -> tuple[str, ...]:
    """Return the page names that a file name stands for: `a___b` and `a%2Fb` are `a/b`, a journal is its day."""
    stem = PurePosixPath(path).stem
    found = []
    if "___" in stem or "%" in stem:
        found.append(unquote(stem.replace("___", "/")))
    day = _JOURNAL.fullmatch(stem)
    if day is not None:
        found += _names_of_day(int(day[1]), int(day[2]), int(day[3]))
    return tuple(found)


def file_name(path: str) -> str:
    """Return what a note is called by its file alone."""
    return next(iter(_page_of(path)), PurePosixPath(path).stem)


def _names_of_day(year: int, month: int, day: int) -> list[str]:
    try:
        when = date(year, month, day)
    except ValueError:
        return []
    ending = "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return [when.isoformat(), f"{_MONTHS[month - 1]} {day}{ending}, {year}"]


def parse_note(path: str, text: str) -> Note:
    """Return what a note says; raises `InvalidInputError` for front matter that can not be read."""
    parts = split_front_matter(text)
    found = read_markdown(parts.body)
    tags, aliases = _tags_and_aliases(parts, found)
    fields = {name: value for name, value in found.properties.items() if name not in _TAG_FIELDS + _ALIAS_FIELDS}
    fields |= {name: value for name, value in parts.fields.items() if name not in _TAG_FIELDS + _ALIAS_FIELDS}
    fields.pop("id", None)
    said_type = fields.pop("type", None)
    read = {name: _read(value, found, name) for name, value in fields.items()}
    name = next((read.pop(each) for each in ("name", "title") if _is_line(read.get(each))), file_name(path))
    return Note(
        path=path,
        name=name,
        type=_type_of(said_type),
        pieces=tuple(found.pieces),
        links=tuple(found.links),
        tags=tags,
        aliases=aliases,
        fields={f"front_matter_{name}" if name in OWN else name: value for name, value in read.items()},
    )


def _tags_and_aliases(parts: FrontMatter, found: Reading) -> tuple[tuple[str, ...], tuple[str, ...]]:
    in_text = list(found.tags.values())
    found.tags.clear()  # those in front come first
    aliases: dict[str, None] = {}
    for name in _TAG_FIELDS:
        for tag in (*texts_of(parts.fields.get(name)), *_listed(found.properties.get(name, ""))):
            found.add_tag(tag.removeprefix("#"))
    for name in _ALIAS_FIELDS:
        for alias in (*texts_of(parts.fields.get(name)), *_listed(found.properties.get(name, ""))):
            aliases[alias] = None
    for tag in in_text:
        found.add_tag(tag)
    return tuple(found.tags.values()), tuple(aliases)


def _listed(value: str) -> list[str]:
    """Return the texts of a list as Logseq writes it: `a, [[b, c]], #d`."""
    found = (match[1] or match[2] for match in _LISTED.finditer(value))
    return [text for each in found if (text := each.strip().removeprefix("#"))]


def _read(value: Any, found: Reading, field: str) -> Any:
    """Return a property as it is read, links in it noted; `[[a]]` without quotes is YAML for a list in a list."""
    if isinstance(value, str):
        return read_value(value, found, field) if "[[" in value else value
    if isinstance(value, list):
        match value:
            case [[str(only)]]:
                return read_value(f"[[{only}]]", found, field)
        return [_read(each, found, field) for each in value]
    if isinstance(value, Mapping):
        return {name: _read(each, found, field) for name, each in value.items()}
    return value


def _is_line(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _type_of(said: Any) -> str | None:
    if said is None:
        return None
    if not isinstance(said, str) or not said.strip():
        raise InvalidInputError("must be a text: the type of the note's entity", field="type")
    return said.strip()
