"""Text that any graph and any model accepts: valid Unicode, bounded, cut where a sentence ends. Pure."""

from __future__ import annotations

import re

_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_NO_WORD = re.compile(r"[\W_]+")
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_SPOKEN = str.maketrans({"+": " plus ", "#": " sharp "})


def clean(text: str) -> str:
    """Return the text with `\\n` line ends and without control characters and lone surrogates."""
    return _UNWANTED.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n")).strip()


def excerpt(text: str, size_max: int) -> str:
    """
    Return the first paragraphs of a text, at most `size_max` characters; a cut is shown by an ellipsis.

    E-mail addresses are replaced: a graph of code is no place to collect them.
    """
    text = _ADDRESS.sub("[address]", clean(text[: 2 * size_max]))
    if len(text) <= size_max:
        return text
    head = text[: size_max - 1]
    for boundary in ("\n\n", ". ", " "):
        end = head.rfind(boundary)
        if end > size_max // 2:
            return head[: end + 1].rstrip() + "…"
    return head + "…"


def slug(text: str) -> str:
    """Return the text as a readable part of an id: lower case, letters and digits of any script, joined by `-`."""
    return _NO_WORD.sub("-", clean(text).translate(_SPOKEN).casefold()).strip("-")  # C, C++ and C# stay distinct
