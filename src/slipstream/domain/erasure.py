"""Erasing an entity everywhere: by what it is known, what stands in place of its id, and what was done where."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RelationshipRef, entity_key

MARK_PREFIX = "erased-"
MARK_AFTER = "erased."
"""Marks lie in the texts between the prefix and this."""
_MARK = re.compile(r"erased-[0-9a-f]{16}-[0-9a-f]{32}")
_SALT_SIZE_BYTES, _DIGEST_SIZE_BYTES = 8, 16
ID_ALONE_MIN, NAME_SIZE_MIN, TEXT_SIZE_MIN = 4, 4, 20
"""
Characters from which an id is looked for in any text (a shorter one only where it is a whole value), a name, and any
other text of the entity: shorter ones are words that others use too.
"""
BURIED_PREFIX = "x:"
"""A tombstone whose key is this and a mark fences the key that the mark was made of."""
CURSORS = ("after", "last")
"""What scans call the key that they have come to, in what they keep."""
HIDDEN = "[erased]"
"""What stands in neighbours' texts in place of an erased name."""


def mark_of(text: str, salt: str) -> str:
    """Return what stands in place of an erased text: a digest with a salt (16 hexadecimal digits), and the salt."""
    digest = hashlib.blake2b(
        text.encode("utf-8", "surrogatepass"), key=bytes.fromhex(salt), digest_size=_DIGEST_SIZE_BYTES
    )
    return f"{MARK_PREFIX}{salt}-{digest.hexdigest()}"


def salt_in(mark: str) -> str:
    """Return the salt of a mark."""
    return mark[len(MARK_PREFIX) : len(MARK_PREFIX) + 2 * _SALT_SIZE_BYTES]


def is_mark(text: str) -> bool:
    """Whether a text is a mark, and nothing else."""
    return _MARK.fullmatch(text) is not None


def is_mark_of(mark: str, text: str) -> bool:
    """Whether a mark was made of a text."""
    return is_mark(mark) and mark_of(text, salt_in(mark)) == mark


def holds_mark(identity: str | None) -> bool:
    """Whether an id, of an entity or a relationship, holds a mark: its log entry no longer says what it said."""
    return identity is not None and MARK_PREFIX in identity and _MARK.search(identity) is not None


@dataclass(frozen=True)
class Erased:
    """An entity that is erased: its id, what it was called, and longer texts of it that others may have quoted."""

    entity_id: str
    mark: str
    """What stands in place of its id from now on."""
    names: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not is_mark(self.mark):
            raise InvalidInputError(f"{self.mark!r} is no mark", field="mark")

    @property
    def key(self) -> str:
        """The encoded key of its record."""
        return entity_key(self.entity_id).encode()

    @cached_property
    def id_in_relationships(self) -> str:
        """Its id as ids of relationships hold it."""
        return self.entity_id.replace("%", "%25").replace(":", "%3A")

    def covers(self, key: str) -> bool:
        """Whether an encoded key is that of the entity, or of a relationship with it at an end."""
        if key == self.key:
            return True
        if not key.startswith("r:") or self.id_in_relationships not in key:
            return False
        try:
            ref = RelationshipRef.parse(key[2:])
        except InvalidInputError:
            return False
        return self.entity_id in (ref.source_id, ref.target_id)

    def marked(self, text: str) -> str:
        """Return the mark of another text that goes with the entity: a relationship's key, a row's name."""
        return mark_of(text, salt_in(self.mark))

    @property
    def sought(self) -> tuple[str, ...]:
        """The texts that tell of the entity wherever they stand."""
        alone = [self.entity_id] if len(self.entity_id) >= ID_ALONE_MIN else []
        names = [name for name in self.names if len(name) >= NAME_SIZE_MIN]
        return tuple(dict.fromkeys((*alone, *names, *(t for t in self.texts if len(t) >= TEXT_SIZE_MIN))))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        forms: dict[str, None] = {}
        for text in sorted(self.sought, key=len, reverse=True):
            # As it is, as JSON with and without escapes, and as a part of a relationship's id.
            encoded = text.replace("%", "%25").replace(":", "%3A")
            for form in (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], encoded):
                forms[rf"(?<!\w){re.escape(form)}(?!\w)"] = None
        if len(self.entity_id) < ID_ALONE_MIN:
            forms[re.escape(json.dumps(self.entity_id))] = None
            forms[rf"(?<!\w)e:{re.escape(self.entity_id)}(?!\w)"] = None
        return re.compile("|".join(forms), re.IGNORECASE)

    def is_told_in(self, *texts: str | None) -> bool:
        """Whether any of the texts tells of the entity: names it, or quotes it."""
        return any(text and self._pattern.search(text) for text in texts)

    def without(self, text: str) -> str:
        """Return a text in which the mark stands wherever it told of the entity."""
        return self._pattern.sub(lambda found: f'"{self.mark}"' if found[0].startswith('"') else self.mark, text)

    def cleaned(self, value: Any) -> Any:
        """Return plain data in which nothing tells of the entity; a cursor behind its key goes a little back."""
        if isinstance(value, str):
            if value == self.entity_id:
                return self.mark
            return self.without(value) if self.is_told_in(value) else value
        if isinstance(value, list):
            return [self.cleaned(item) for item in value]
        if isinstance(value, dict):
            return {self.cleaned(name): self._cleaned_item(name, item) for name, item in value.items()}
        return value

    def _cleaned_item(self, name: str, item: Any) -> Any:
        is_cursor = name in CURSORS and isinstance(item, str)
        if is_cursor and (item == self.entity_id or self.covers(item)):
            return item[:2] if item[:2] in ("e:", "r:") else ""  # everything of that kind is looked at once more
        return self.cleaned(item)

    def cursors_back(self, value: Any) -> Any:
        """Return plain data of which only the cursors that stand at a key of the entity go back."""
        if isinstance(value, list):
            return [self.cursors_back(item) for item in value]
        if isinstance(value, dict):
            return {
                name: self._cleaned_item(name, item) if name in CURSORS else self.cursors_back(item)
                for name, item in value.items()
            }
        return value

    def hidden_in(self, text: str) -> str:
        """Return a neighbour's text with `HIDDEN` in place of the erased names."""
        names = sorted({name for name in self.names if name.strip()}, key=len, reverse=True)
        if not names:
            return text
        pattern = "|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in names)
        return re.sub(pattern, HIDDEN, text, flags=re.IGNORECASE)


def without_mentions(erased: Erased, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return those properties, with their new values, whose texts (or lists of texts) named the erased entity."""
    found: dict[str, Any] = {}
    for name, value in properties.items():
        if isinstance(value, str):
            changed: Any = erased.hidden_in(value)
        elif isinstance(value, list):
            changed = [erased.hidden_in(item) if isinstance(item, str) else item for item in value]
        else:
            continue
        if changed != value:
            found[name] = changed
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What was done in one place."""

    place: str
    searched: int
    """Rows, files or entries that were looked at."""
    removed: int
    """Of these: deleted, or emptied of what told of the entity."""
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        told = {"place": self.place, "searched": self.searched, "removed": self.removed}
        return told | ({"note": self.note} if self.note else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Overwritten:
    """What became of the bytes of one file."""

    file: str
    pages: int
    wiped_bytes: int
    """Old bytes that were replaced by zeros."""
    mentions_left: int = 0
    """How often a text of the entity still stands in what others have written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """A finished erasure, or what one would do: what its receipt says."""

    mark: str
    """The digest that stands in place of the id, with its salt."""
    was_there: bool
    """Whether the graph held the entity."""
    reference: str | None = None
    """What the caller gave to find the receipt by."""
    position: int | None = None
    """The commit that deleted it; None when it was deleted before, or never there."""
    relationships: int = 0
    neighbours_changed: int = 0
    """Neighbours from whose texts its names were removed."""
    vectors_removed: int = 0
    """Vectors of neighbours that went because their model is down; they come back with it."""
    asked_at: str = ""
    done_at: str = ""
    places: Sequence[Swept] = ()
    files: Sequence[Overwritten] = ()
    unreachable: Sequence[str] = ()
    """What could not be reached, each with what to do."""
    receipt: str | None = None
    """The file with the signed receipt; None for a rehearsal."""
    document: Mapping[str, Any] = field(default_factory=dict)
    """The receipt itself."""


def names_and_texts(names: Iterable[str], properties: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of an entity, and the other texts among its properties that are long enough to be its own."""
    named = tuple(dict.fromkeys(name for name in names if name.strip()))
    texts = [text for value in properties.values() for text in _texts_in(value)]
    return named, tuple(dict.fromkeys(text for text in texts if len(text) >= TEXT_SIZE_MIN))


def _texts_in(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list):
        return [text for item in value for text in _texts_in(item)]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts_in(item)]
    return ()
