"""The fuzzy arms, for texts with an unknown word: names almost like it, and the query with its words mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from slipstream.domain.keys import RecordKey
from slipstream.domain.words import NameHit, fold
from slipstream.ports.words import Types, WordSearch
from slipstream.search.query_language import ParsedQuery
from slipstream.search.ranking import Found, Ranking

LENGTH_MAX, WORDS_MAX = 40, 5
"""The longest text that is taken for a misspelled name, in characters and words."""
EDITS_MAX = 2
_CANDIDATES = 50
_LETTERS_AN_EDIT = 4
_SHORT_WORD = 6


class Mended(NamedTuple):
    """A query as it is spelled right."""

    text: str
    words: tuple[str, ...]


def is_tried(query: ParsedQuery, unknown: Sequence[str]) -> bool:
    """Whether a text that is nobody's name may be a misspelled one."""
    return (
        bool(unknown) and not query.narrows and len(query.text) <= LENGTH_MAX and len(query.text.split()) <= WORDS_MAX
    )


def mended(index: WordSearch, query: ParsedQuery, unknown: Sequence[str]) -> Mended | None:
    """Return the query with its unknown words as the rows have them, None where none is like them."""
    right = {word: found for word in unknown if (found := _nearest(word, index.alike_words(word, _CANDIDATES)))}
    if not right:
        return None
    words = [right.get(word, word) for word in query.words]
    return Mended(" ".join(words), tuple(dict.fromkeys(words)))


def alike(index: WordSearch, text: str, mended_text: str | None, types: Types, limit: int) -> Ranking:
    """Return records with a name at most `EDITS_MAX` edits away; the score of each is its number of edits."""
    folded = fold(text)
    most = min(EDITS_MAX, len(folded) // _LETTERS_AN_EDIT)
    best: dict[RecordKey, tuple[int, str]] = {}
    if mended_text is not None:
        for hit in index.named(mended_text, types, limit):
            best[hit.key] = (1, hit.entity_type)
    for hit in index.alike_names(folded, _CANDIDATES) if most else ():
        if types is None or hit.entity_type in types:
            _take(best, hit, _edits(folded, hit.name.folded, most), most)
    ranked = sorted(best.items(), key=lambda each: (each[1][0], each[0].encode()))[:limit]
    # There are no more: further candidates are less like it than these.
    return Ranking("fuzzy", [Found(key, name, float(edits)) for key, (edits, name) in ranked], is_exhausted=True)


def _take(best: dict[RecordKey, tuple[int, str]], hit: NameHit, edits: int, most: int) -> None:
    edits = max(1, edits)  # the same name would have been found exactly, but for the moment between
    if edits <= most and (hit.key not in best or edits < best[hit.key][0]):
        best[hit.key] = (edits, hit.entity_type)


def _nearest(word: str, known: Mapping[str, int]) -> str | None:
    """Return the known word that is the fewest edits away, of these the most frequent; None where none is near."""
    most = 1 if len(word) < _SHORT_WORD else EDITS_MAX
    near = [(edits, -rows, each) for each, rows in known.items() if (edits := _edits(word, each, most)) <= most]
    return min(near)[2] if near else None


def _edits(first: str, second: str, most: int) -> int:
    """Return how many letters are to be put in, left out, replaced or swapped; more than `most` is `most + 1`."""
    from rapidfuzz.distance import DamerauLevenshtein  # takes its time to load, and most searches need none

    return int(DamerauLevenshtein.distance(first, second, score_cutoff=most))
