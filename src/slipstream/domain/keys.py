"""Keys of vector records and identities of relationships."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple
from urllib.parse import unquote

from slipstream.domain.errors import InvalidInputError

ID_SIZE_MAX = 1024
"""Longest accepted entity id, in characters."""


class KeyKind(StrEnum):
    """What a record stands for."""

    ENTITY = "e"
    RELATIONSHIP = "r"


_ENTITY, _RELATIONSHIP = KeyKind.ENTITY, KeyKind.RELATIONSHIP
_KINDS = {"e:": KeyKind.ENTITY, "r:": KeyKind.RELATIONSHIP}


class RecordKey(NamedTuple):
    """
    The key of one vector record: an entity or a relationship of one graph.

    Ordered by its encoded text everywhere (`encode`), so that graph and index scans can be merged.
    """

    kind: KeyKind
    id: str

    def encode(self) -> str:
        """Return the text form, `e:<entity id>` or `r:<relationship id>`."""
        # One of the hottest lines there are, and an enum's `value` is slow.
        return ("e:" if self.kind is _ENTITY else "r:") + self.id

    @classmethod
    def decode(cls, text: str) -> RecordKey:
        """Parse the text form; raises `InvalidInputError` when it is not one."""
        kind = _KINDS.get(text[:2])
        if kind is None:
            raise InvalidInputError(f"{text!r} is not a record key (e:<id> or r:<id>)", field="key")
        return cls(kind, text[2:])


def entity_key(entity_id: str) -> RecordKey:
    """Return the key of an entity's record."""
    return RecordKey(_ENTITY, entity_id)


def relationship_key(relationship_id: str) -> RecordKey:
    """Return the key of a relationship's record."""
    return RecordKey(_RELATIONSHIP, relationship_id)


class RelationshipRef(NamedTuple):
    """
    Identity of a relationship: its type, both endpoints and, for parallel ones, a discriminator.

    The id is derived from these (`%` and `:` percent-encoded, joined by `:`) and can be parsed back, so a key alone
    is enough to find the relationship again. The graph file derives the same id in SQL.
    """

    type: str
    source_id: str
    target_id: str
    discriminator: str = ""

    @property
    def id(self) -> str:
        """The relationship id, `type:source:target[:discriminator]`, each part percent-encoded."""
        shown = self if self.discriminator else self[:3]
        joined = ":".join(shown)
        if "%" not in joined and joined.count(":") == len(shown) - 1:
            return joined  # nothing to encode, as in nearly all
        return ":".join(part.replace("%", "%25").replace(":", "%3A") for part in shown)

    def renamed(self, entity_id: str, new_id: str) -> RelationshipRef:
        """Return the reference with every end `entity_id` replaced by `new_id`."""
        source, target = (new_id if end == entity_id else end for end in (self.source_id, self.target_id))
        return self._replace(source_id=source, target_id=target)

    @classmethod
    def parse(cls, relationship_id: str) -> RelationshipRef:
        """Parse a relationship id; raises `InvalidInputError` when it is not one."""
        parts = relationship_id.split(":")
        if "%" in relationship_id:
            parts = [unquote(part) for part in parts]
        if len(parts) not in (3, 4) or not all(parts[:3]):
            raise InvalidInputError(
                f"{relationship_id!r} is not a relationship id (type:source:target[:discriminator])",
                field="relationship_id",
            )
        return cls(*parts)
