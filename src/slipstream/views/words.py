"""What of a record is searched by words: the part of its view that needs no template and no model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from datetime import datetime

from slipstream.domain.entities import EntityState, Properties, RecordState
from slipstream.domain.errors import PoisonEventError
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.words import WordFields, WordRow, word_row
from slipstream.views.compiled import PROVENANCE
from slipstream.views.declaration import View, Words
from slipstream.views.values import format_value

RULES_VERSION = 1
"""Grows whenever the rules below, or those of `domain.words`, change: all rows are compared then."""
_DEFAULT = Words()


class WordViews:
    """
    Which properties of each type are searched by words. Pure.

    They hang on the declared views alone: a migration to another model, or another template, leaves them as they are.
    """

    def __init__(self, views: Sequence[View] = ()) -> None:
        self._entities = {view.type: view.words or _DEFAULT for view in views if not view.is_relationship}
        self._relationships = {view.type: view.words or _DEFAULT for view in views if view.is_relationship}
        told = [[sorted((name, astuple(words)) for name, words in each.items())] for each in self._both()]
        self.digest = hashlib.blake2b(json.dumps([RULES_VERSION, told]).encode(), digest_size=16).hexdigest()
        """Changes whenever a row may come out different although its record has not changed."""

    def _both(self) -> Iterable[dict[str, Words]]:
        return self._entities, self._relationships

    def covers_relationships(self, type_name: str) -> bool:
        """Return whether relationships of a type have word rows; entities of every type do."""
        return type_name in self._relationships

    def fields(self, state: RecordState) -> WordFields | None:
        """Return what is searched by words of a record, None when it has no row."""
        if isinstance(state, EntityState):
            entity = state.entity
            return _fields(entity.type, entity.id, entity.properties, self._entities.get(entity.type, _DEFAULT))
        ref = state.relationship.ref
        words = self._relationships.get(ref.type)
        return None if words is None else _fields(ref.type, None, state.relationship.properties, words)

    def row(self, key: RecordKey, state: RecordState, position: Position) -> WordRow | None:
        """
        Return the row of a record as the graph has it at a position, None when it has none.

        Raises `PoisonEventError` for a record that can not be made a row.
        """
        try:
            fields = self.fields(state)
            return None if fields is None else word_row(key, position, fields)
        except Exception as error:
            raise PoisonEventError(
                f"{key.encode()} can not be searched by words ({type(error).__name__}: {error}): mend its properties"
            ) from error


def _fields(type_name: str, entity_id: str | None, properties: Properties, words: Words) -> WordFields:
    named = next((name for name in words.name if isinstance(value := properties.get(name), str) and value), None)
    aliases = tuple(text for name in words.aliases for text in _texts(properties.get(name)))
    keys = tuple(text for name in words.keys for text in _texts(properties.get(name)))
    told = properties if words.body is None else words.body
    taken = {named, *words.aliases, *PROVENANCE} if words.body is None else {named}
    body = " \n".join([text for name in sorted(told) if name not in taken for text in _texts(properties.get(name))])
    name = "" if named is None else str(properties[named])
    return WordFields(type_name, entity_id, name, aliases, keys, body, words.stemmer)


def _texts(value: object) -> tuple[str, ...]:
    """Return the texts that a value is found by: text, numbers and times; a list item by item."""
    if type(value) is str:  # as nearly all are: the tests below take their time
        return (value,) if value else ()
    if isinstance(value, str):
        return (value,) if value else ()
    if isinstance(value, list):
        return tuple(text for item in value if isinstance(item, str) for text in _texts(item))
    if isinstance(value, int | float | datetime) and not isinstance(value, bool):
        return (format_value(value),)
    return ()
