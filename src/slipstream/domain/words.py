"""Word rows: what is searched by words of a record, and how names and texts are folded for it."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple

from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position

STEMMERS = ("english", "none")
"""What words are cut down to: "english" by Porter's rules, so that `running` finds `runs`; "none" as they are."""

_WORDS, _NAMES = re.compile(r"[a-z0-9]+"), re.compile(r"[a-z0-9]+[+#]*")
_PLAIN_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i"}
    | {chr(half): " " for half in range(0xD800, 0xE000)}  # half a character, which no store takes
)
# Han, kana, Thai, Lao, Khmer, Myanmar: nothing stands between their words.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]+"
)


class NameKind(IntEnum):
    """What an exact name is to its record; the lower, the further in front."""

    ID = 0
    KEY = 1
    NAME = 2
    ALIAS = 3


class ExactName(NamedTuple):
    """One folded name by which a record is found exactly."""

    kind: NameKind
    folded: str


_ID, _KEY, _NAME, _ALIAS = NameKind
_DIGITS = ("0", "1", "2", "3")
_made = tuple.__new__  # takes a third of the time of a named tuple's own constructor


class WordFields(NamedTuple):
    """What a view says is searched by words of one record, as the graph has it."""

    entity_type: str
    entity_id: str | None
    """The id by which it is found, None for a relationship."""
    name: str
    aliases: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    body: str = ""
    stemmer: str = "english"


class WordRow(NamedTuple):
    """One record as the word index holds it; `position` is the graph position at which it was read."""

    key: RecordKey
    entity_type: str
    position: Position
    stemmer: str
    name: str
    aliases: str
    body: str
    names: tuple[ExactName, ...]
    digest: bytes
    """What `digest_of` says of all of it but the position; audits compare it, and compute it anew from the row."""


class WordStamp(NamedTuple):
    """What a word index knows of a row without its texts."""

    key: RecordKey
    entity_type: str
    position: Position
    digest: bytes


class WordDeletion(NamedTuple):
    """A row to remove, as of a position."""

    key: RecordKey
    position: Position


class NameHit(NamedTuple):
    """A record that has a name, exactly or nearly."""

    key: RecordKey
    entity_type: str
    name: ExactName


class WordHit(NamedTuple):
    """A record that words were found in; `score` is its bm25 over the weighted fields, the larger the better."""

    key: RecordKey
    entity_type: str
    score: float


class Excerpt(NamedTuple):
    """Where in a text the words of a query were found."""

    words: tuple[str, ...]
    """The matched words, as the text has them, each once, in its order."""
    snippet: str
    """A stretch of the text around them; empty when nothing matched."""


def fold(text: str) -> str:
    """
    Return a text as names are compared: its words in lower case, without accents, one blank between them.

    What has no letter and no digit stays as it is, but for white space and case: there are names made of signs.
    """
    text = text.replace("\0", " ")
    lowered = text.lower() if text.isascii() else _unaccented(text)
    if lowered.isascii() and lowered.replace(" ", "").isalnum():
        return " ".join(lowered.split())  # as nearly all are: no sign in them
    return " ".join(_words(lowered, signs="+#")) or " ".join(lowered.split())


def words_of(text: str) -> list[str]:
    """Return the words of a text as `searchable` has them, in their order; none where no letter or digit stands."""
    return _words(searchable(text).lower())


def _words(text: str, signs: str = "") -> list[str]:
    """Return runs of letters, digits and the marks that belong to them, and of signs behind these."""
    if text.isascii():
        return (_NAMES if signs else _WORDS).findall(text)
    kept = "".join(each if each.isalnum() or each in signs or _is_mark(each) else " " for each in text)
    return [word for part in kept.split() if (word := part.lstrip(signs))]


def searchable(text: str) -> str:
    """
    Return a text for the word index: accents gone, and scripts without blanks in overlapping pairs of characters.

    Pairs, as Lucene cuts them: most words of Chinese have two characters, which trigrams can not find.
    """
    if "\0" in text:
        text = text.replace("\0", " ")
    if text.isascii():
        return text
    return _UNSPACED.sub(lambda found: f" {_pairs(found[0])} ", _unaccented(text))


def is_unspaced(text: str) -> bool:
    """Whether a text holds a script that puts no blanks between words."""
    return not text.isascii() and _UNSPACED.search(text) is not None


def word_row(key: RecordKey, position: Position, fields: WordFields) -> WordRow:
    """Return the row of a record."""
    entity_type, entity_id, name, aliases, keys, body, stemmer = fields
    names = _names(entity_id, keys, name, aliases)
    name, body = searchable(name), searchable(body)
    others = searchable("\n".join(aliases)) if aliases else ""
    digest = digest_of(entity_type, stemmer, name, others, body, names)
    return _made(WordRow, (key, entity_type, position, stemmer, name, others, body, names, digest))


def digest_of(
    entity_type: str, stemmer: str, name: str, aliases: str, body: str, names: Iterable[ExactName]
) -> bytes:
    """Return the 16 bytes that tell whether two rows hold the same."""
    told = [_DIGITS[kind] + folded for kind, folded in names]
    whole = "\0".join([entity_type, stemmer, name, aliases, body, *told])
    return hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _names(entity_id: str | None, keys: Sequence[str], name: str, aliases: Sequence[str]) -> tuple[ExactName, ...]:
    given = [(_ID, entity_id)] if entity_id else []
    if keys:
        given += [(_KEY, key) for key in keys]
    given.append((_NAME, name))
    if aliases:
        given += [(_ALIAS, alias) for alias in aliases]
    found: dict[str, ExactName] = {}
    for kind, text in given:
        folded = text.lower() if text.isascii() and text.isalnum() else fold(text)
        if folded and folded not in found:
            found[folded] = _made(ExactName, (kind, folded))
    return tuple(found.values())


def _unaccented(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(each for each in decomposed if not unicodedata.combining(each) and each != "\u00ad")
    return unicodedata.normalize("NFC", bare).translate(_PLAIN_LETTERS)


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def _pairs(run: str) -> str:
    return run if len(run) == 1 else " ".join(run[at : at + 2] for at in range(len(run) - 1))
