"""Long notes in sections: a model reads the beginning of a text only, so that the rest would never be found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from slipstream.importers.notes.note import Piece

SIZE_MAX = 1_000
"""Characters of a section, and of a note that needs none: some 250 tokens, of which the packaged model reads 256."""


class Section(NamedTuple):
    """A part of a note: what stands under one heading, or some of it when that is long."""

    key: str
    """Tells it from the note's other sections, and stays while its heading does."""
    heading: str
    text: str


def sections_of(pieces: Sequence[Piece]) -> list[Section]:
    """Return the sections of a note, none of one that is short."""
    if sum(len(piece.text) for piece in pieces) <= SIZE_MAX:
        return []
    found: list[Section] = []
    taken: set[str] = set()
    for heading, texts in _by_heading(pieces):
        for number, text in enumerate(_packed(texts) or [""]):
            if not heading and not text:
                continue
            key = _free(f"{heading or '^'}{f'/{number + 1}' if number else ''}", taken)
            found.append(Section(key, heading, text))
    return found


def _by_heading(pieces: Sequence[Piece]) -> Iterator[tuple[str, list[str]]]:
    heading, texts = "", list[str]()
    for piece in pieces:
        if piece.level:
            yield heading, texts
            heading, texts = piece.text, []
        else:
            texts.append(piece.text)
    yield heading, texts


def _packed(texts: Sequence[str]) -> list[str]:
    """Return paragraphs put together into texts of at most `SIZE_MAX` characters; a longer one is cut at a space."""
    packed: list[str] = []
    for text in texts:
        for part in _cut(text):
            if packed and len(packed[-1]) + len(part) + 2 <= SIZE_MAX:
                packed[-1] += f"\n\n{part}"
            else:
                packed.append(part)
    return packed


def _cut(text: str) -> Iterator[str]:
    start = 0
    while len(text) - start > SIZE_MAX:
        window = text[start : start + SIZE_MAX]
        at = max(window.rfind("\n"), window.rfind(". ") + 1, SIZE_MAX // 2)
        if at == SIZE_MAX // 2:
            at = max(window.rfind(" "), at)
        yield text[start : start + at].strip()
        start += at
    yield text[start:].strip()


def _free(key: str, taken: set[str]) -> str:
    number, found = 1, key[:200]
    while found in taken:
        number += 1
        found = f"{key[:200]}~{number}"
    taken.add(found)
    return found
