"""Long notes in sections: a model reads the beginning of a text only, so that the rest would never be found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from slipstream.importers.notes.note import Piece

SIZE_MAX = 1_000
"""Characters of a section, and of a note that needs none: some 250 tokens, of which the packaged model reads 256."""


_SHORT = 300
"""Under so many characters, sections that follow each other are one: a vector for each line finds less, not more."""


class Section(NamedTuple):
    """A part of a note: what stands under a heading, some of it when that is long, several when they are short."""

    key: str
    """Tells it from the note's other sections, and stays while its heading does."""
    heading: str
    """The first one."""
    text: str


def sections_of(pieces: Sequence[Piece]) -> list[Section]:
    """Return the sections of a note, none of one that is short."""
    if sum(len(piece.text) for piece in pieces) <= SIZE_MAX:
        return []
    found: list[Section] = []
    taken: set[str] = set()
    for heading, number, text in _put_together(_parts(pieces)):
        key = _free(f"{heading or '^'}{f'/{number}' if number > 1 else ''}", taken)
        found.append(Section(key, heading, text))
    return found


def _parts(pieces: Sequence[Piece]) -> Iterator[_Part]:
    for heading, texts in _by_heading(pieces):
        for number, text in enumerate(_packed(texts) or [""], 1):
            if heading or text:
                yield _Part(heading, number, text)


class _Part(NamedTuple):
    heading: str
    number: int
    text: str

    @property
    def whole(self) -> str:
        return "\n\n".join(part for part in (self.heading, self.text) if part)


def _put_together(parts: Iterable[_Part]) -> Iterator[_Part]:
    """Yield the parts, short ones that follow each other as one."""
    held: _Part | None = None
    for part in parts:
        if held is not None and _is_short(part) and len(held.text) + len(part.whole) + 2 <= SIZE_MAX:
            held = held._replace(text="\n\n".join(text for text in (held.text, part.whole) if text))
            continue
        if held is not None:
            yield held
        held = part if _is_short(part) else None
        if held is None:
            yield part
    if held is not None:
        yield held


def _is_short(part: _Part) -> bool:
    return part.number == 1 and len(part.whole) < _SHORT


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
