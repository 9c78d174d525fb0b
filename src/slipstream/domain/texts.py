"""Data as text for people: what a terminal would obey is shown as its escape. Pure."""

from __future__ import annotations

import re

# Controls (C0, DEL, C1), separators of lines and paragraphs, bidirectional controls, and lone surrogates.
_OBEYED = "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\\ud800-\\udfff"
_IN_LINES = re.compile(f"[{_OBEYED}]")
_ON_ONE_LINE = re.compile(f"[\\n\\t{_OBEYED}]")


def printable(text: str) -> str:
    """Return a text that a terminal shows and does not obey: controls are escaped, new lines and tabs are kept."""
    return _IN_LINES.sub(_shown, text)


def on_one_line(text: str) -> str:
    """Return what `printable` does, with new lines and tabs escaped too."""
    return _ON_ONE_LINE.sub(_shown, text)


def printable_json(text: str) -> str:
    """Return a JSON text with the characters that `printable` escapes as JSON escapes: programs read the same."""
    return _IN_LINES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _shown(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
