"""Front matter: the YAML between two `---` in front of a note, without the surprises of YAML's types."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from slipstream.domain.errors import InvalidInputError

_OPENING = re.compile(r"---[ \t]*(?:\r?\n|$)")
_CLOSING = re.compile(r"^(?:---|\.\.\.)[ \t]*(?:\r?\n|$)", re.MULTILINE)
_KEY = re.compile(r"""(?:"[^"]*"|'[^']*'|[^\s#\-*&!|>%@`{\["'][^#]*?)[ \t]*:(?:\s|$)""")
_INTEGER = re.compile(r"-?(?:0|[1-9]\d*)")
_FLOAT = re.compile(r"-?\d+\.\d+")
_INTEGER_MAX = 2**63 - 1
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_VALUES_MAX = 10_000
_DEPTH_MAX = 16


class FrontMatter(NamedTuple):
    """The fields in front of a note, and what follows them."""

    fields: dict[str, Any]
    body: str
    lines: int = 0
    """How many lines of the file are in front of the body."""


def split_front_matter(text: str) -> FrontMatter:
    """
    Return the fields and the body of a note.

    A text between two rules that is no mapping is part of the body. Raises `InvalidInputError` (field `front matter`)
    for one that looks like fields and is no YAML, or repeats a name.
    """
    text = text.removeprefix("\ufeff")
    opening = _OPENING.match(text)
    closing = opening and _CLOSING.search(text, opening.end())
    if opening is None or closing is None:
        return FrontMatter({}, text)
    source = text[opening.end() : closing.start()]
    body, lines = text[closing.end() :], text.count("\n", 0, closing.end())
    if not _first_line(source):
        return FrontMatter({}, body, lines)
    if not _KEY.match(_first_line(source)):
        return FrontMatter({}, text)  # a rule, a text, and another rule
    return FrontMatter(_fields(source), body, lines)


def _first_line(source: str) -> str:
    """Return the first line that says something."""
    lines = (line.strip() for line in source.splitlines())
    return next((line for line in lines if line and not line.startswith("#")), "")


def _fields(source: str) -> dict[str, Any]:
    import yaml

    # Events, not nodes: the composer in C calls itself for each level, and falls through the stack of the process.
    events = yaml.parse(source, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    try:
        found = _Values(events).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 2}" if mark is not None else ""
        raise _wrong(f"is no YAML{line}: {getattr(error, 'problem', None) or error}") from error
    return {name: value for name, value in found.items() if value is not None}


class _Values:
    """Turns events of YAML into values; counts them, for an alias may stand for very many."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._count = 0
        self._anchors: dict[str, tuple[Any, int]] = {}
        """What an alias stands for, and how many values that is."""

    def document(self) -> dict[str, Any]:
        found = None
        for event in self._events:
            kind = _kind(event)
            if kind in ("MappingStart", "SequenceStart", "Scalar", "Alias"):
                if found is not None:
                    raise _wrong("holds several documents")
                found = self._value(event, 0)
        if not isinstance(found, dict):
            raise _wrong("is no list of `name: value`")
        return found

    def _value(self, event: Any, depth: int) -> Any:
        kind, before = _kind(event), self._count
        self._add(1)
        if depth > _DEPTH_MAX:
            raise _wrong(f"is nested more than {_DEPTH_MAX} deep")
        if kind == "Alias":
            if event.anchor not in self._anchors:
                raise _wrong(f"line {event.start_mark.line + 2}: nothing is called {event.anchor!r}")
            value, size = self._anchors[event.anchor]
            self._add(size)
            return value
        value = self._collected(event, depth) if kind != "Scalar" else _scalar(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = value, self._count - before
        return value

    def _collected(self, start: Any, depth: int) -> Any:
        if _kind(start) == "SequenceStart":
            values = (self._value(event, depth + 1) for event in self._until("SequenceEnd"))
            return [value for value in values if value is not None]
        found: dict[str, Any] = {}
        for key in self._until("MappingEnd"):
            line = key.start_mark.line + 2
            if _kind(key) != "Scalar":
                raise _wrong(f"line {line}: a name must be a text")
            if key.value in found:
                raise _wrong(f"line {line}: {key.value!r} comes twice")
            found[key.value] = self._value(next(self._events), depth + 1)
        return found

    def _until(self, end: str) -> Iterator[Any]:
        while _kind(event := next(self._events)) != end:
            yield event

    def _add(self, count: int) -> None:
        self._count += count
        if self._count > _VALUES_MAX:
            raise _wrong(f"has more than {_VALUES_MAX:,} values")


def _kind(event: Any) -> str:
    return type(event).__name__.removesuffix("Event")


def _scalar(event: Any) -> Any:
    is_plain = not event.style and event.tag is None  # quotes, a block, or a tag say that it is a text
    return plain_value(event.value) if is_plain else event.value


def plain_value(text: str) -> Any:
    """Return a number or a truth value only where that loses nothing of the text; None for none; else the text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and text != "-0" and len(text) < 20 and abs(int(text)) <= _INTEGER_MAX:
        return int(text)
    if _FLOAT.fullmatch(text) and repr(float(text)) == text and math.isfinite(float(text)):
        return float(text)
    return text


def texts_of(value: Any) -> list[str]:
    """Return the texts of a list, or of a text with commas: as `tags` and `aliases` are written."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list):
        return [str(each).strip() for each in value if not isinstance(each, list | dict) and str(each).strip()]
    return [] if value is None or isinstance(value, dict) else [str(value)]


def _wrong(why: str) -> InvalidInputError:
    return InvalidInputError(f"{why}: mend it, or put quotes around the value", field="front matter")
