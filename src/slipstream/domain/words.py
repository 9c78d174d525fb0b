"""Word rows: what is searched by words of a record, and how names and texts are folded for it."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position

STEMMERS = ("english", "none")
"""What words are cut down to: "english" by Porter's rules, so that `running` finds `runs`; "none" as they are."""

_WORDS, _NAMES = re.compile(r"[a-z0-9]+"), re.compile(r"[a-z0-9]+[+#]*")
_PLAIN_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i"}
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
    lowered = text.lower() if text.isascii() else _unaccented(text)
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
    text = text.replace("\0", " ")
    if text.isascii():
        return text
    return _UNSPACED.sub(lambda found: f" {_pairs(found[0])} ", _unaccented(text))


def is_unspaced(text: str) -> bool:
    """Whether a text holds a script that puts no blanks between words."""
    return not text.isascii() and _UNSPACED.search(text) is not None


def word_row(key: RecordKey, position: Position, fields: WordFields) -> WordRow:
    """Return the row of a record."""
    name, body = searchable(fields.name), searchable(fields.body)
    aliases = searchable("\n".join(fields.aliases))
    names = _names(fields)
    digest = digest_of(fields.entity_type, fields.stemmer, name, aliases, body, names)
    return WordRow(key, fields.entity_type, position, fields.stemmer, name, aliases, body, names, digest)


def digest_of(
    entity_type: str, stemmer: str, name: str, aliases: str, body: str, names: Iterable[ExactName]
) -> bytes:
    """Return the 16 bytes that tell whether two rows hold the same."""
    told = [f"{kind:d}{folded}" for kind, folded in names]
    parts = (entity_type, stemmer, name, aliases, body, *told)
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _names(fields: WordFields) -> tuple[ExactName, ...]:
    found: dict[str, NameKind] = {}
    given = [(NameKind.ID, fields.entity_id or ""), *((NameKind.KEY, key) for key in fields.keys)]
    given += [(NameKind.NAME, fields.name), *((NameKind.ALIAS, alias) for alias in fields.aliases)]
    for kind, text in given:
        if folded := fold(text.replace("\0", " ")):
            found.setdefault(folded, kind)
    return tuple(ExactName(kind, folded) for folded, kind in found.items())


def _unaccented(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(each for each in decomposed if not unicodedata.combining(each) and each != "\u00ad")
    return unicodedata.normalize("NFC", bare).translate(_PLAIN_LETTERS)


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def _pairs(run: str) -> str:
    return run if len(run) == 1 else " ".join(run[at : at + 2] for at in range(len(run) - 1))
