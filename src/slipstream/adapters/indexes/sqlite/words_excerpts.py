"""Excerpts: where words were found in a text, as the text has them."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from slipstream.domain.words import Excerpt, is_unspaced, words_of

NOTHING = Excerpt((), "")
_ASCII_WORDS = re.compile(r"[A-Za-z0-9]+")
_BEFORE, _AFTER = 60, 140  # characters of a snippet, from its first word
_TRIED_MAX = 200
_SOFT_HYPHEN = "\u00ad"


class Place(NamedTuple):
    """One word of a text: as it is searched, and where it stands."""

    word: str
    start: int
    end: int


def places(text: str) -> list[Place]:
    """Return the words of a text, as `words_of` has them, with where each stands."""
    if text.isascii():
        return [Place(found[0].lower(), *found.span()) for found in _ASCII_WORDS.finditer(text)]
    found: list[Place] = []
    for start, end in _runs(text):
        found.extend(_of_run(text[start:end], start))
    return found


def _runs(text: str) -> Iterator[tuple[int, int]]:
    """Yield where characters stand together that make words."""
    start: int | None = None
    for at, character in enumerate(text):
        if _makes_words(character):
            start = at if start is None else start
        elif start is not None:
            yield start, at
            start = None
    if start is not None:
        yield start, len(text)


@functools.lru_cache(maxsize=4096)
def _makes_words(character: str) -> bool:
    # A mark alone is no word, and yet belongs to one; joined to a letter it makes no second one.
    return character == _SOFT_HYPHEN or len(words_of(f"a{character}b")) == 1 or bool(words_of(character))


def _of_run(run: str, start: int) -> Iterator[Place]:
    words = words_of(run)
    if is_unspaced(run):
        pieces = [(word, at, end) for word, at, end in _by_character(run)]
        if [word for word, _, _ in pieces] == words:
            for word, at, end in pieces:
                yield Place(word, start + at, start + end)
            return
    for word in words:
        yield Place(word, start, start + len(run))


def _by_character(run: str) -> Iterator[tuple[str, int, int]]:
    """Yield the words of a run with where each stands, for runs whose characters are folded each for itself."""
    at = 0
    while at < len(run):
        end = at + 1
        alike = is_unspaced(run[at]) or not words_of(run[at])
        while end < len(run) and (is_unspaced(run[end]) or not words_of(run[end])) == alike:
            end += 1
        if alike:
            yield from _pairs(run, at, end)
        else:
            for word in words_of(run[at:end]):
                yield word, at, end
        at = end


def _pairs(run: str, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Yield overlapping pairs of characters, marks that are folded away left out of the count."""
    kept = [at for at in range(start, end) if words_of(run[at])] or list(range(start, end))
    for number, at in enumerate(kept if len(kept) == 1 else kept[:-1]):
        until = kept[number + 2] if number + 2 < len(kept) else end
        for word in words_of(run[at:until]):
            yield word, at, until


def excerpt(text: str, found: Sequence[Place], marks: Sequence[bool]) -> Excerpt:
    """Return the excerpt of a text of which some words are marked."""
    spans: list[tuple[int, int]] = []
    for place, is_marked in zip(found, marks, strict=False):
        if not is_marked:
            continue
        if spans and place.start < spans[-1][1]:  # pairs of characters overlap
            spans[-1] = (spans[-1][0], max(place.end, spans[-1][1]))
        else:
            spans.append((place.start, place.end))
    if not spans:
        return NOTHING
    words = dict.fromkeys(text[start:end] for start, end in spans)
    return Excerpt(tuple(words), _snippet(text, spans))


def _snippet(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """Return the stretch that has the most of the different words, the first of those."""
    best, most = spans[0][0], 0
    for first, (start, _) in enumerate(spans[:_TRIED_MAX]):
        inside = itertools.takewhile(lambda span: span[1] <= start + _AFTER, spans[first:])  # noqa: B023  (used at once)
        different = len({text[at:end].lower() for at, end in inside})
        if different > most:
            best, most = start, different
    begin, end = max(best - _BEFORE, 0), min(best + _AFTER, len(text))
    if begin and (blank := text.find(" ", begin, best)) >= 0:
        begin = blank + 1
    if end < len(text) and (blank := text.rfind(" ", best + _AFTER // 2, end)) >= 0:
        end = blank
    shown = " ".join(text[begin:end].split())
    return f"{'… ' if begin else ''}{shown}{' …' if end < len(text) else ''}"
