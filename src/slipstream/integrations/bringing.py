"""What every bridge of values into a PKG shares: plain values, and writing them in batches."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import numpy as np

from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import Properties
from slipstream.domain.errors import AlreadyExistsError, InvalidInputError
from slipstream.domain.positions import ORIGIN, Position

_BATCH, _BATCH_SIZE = 500, 512 * 1024
"""Mutations of one transaction, and their bytes as JSON: other writers hardly wait, and a server takes it (1 MiB)."""
_TRIES = 5
"""How often a batch is written while others create what it is to create."""


_NUMBERS = (np.bool_, np.integer, np.float16, np.float32, np.float64)
"""Scalars of numpy that plain ones can be made of without loss."""


@dataclass(slots=True)
class Brought:
    """What was written into a PKG, and the position to wait for (`slip.search(…, after=report.position)`)."""

    entities: int = 0
    relationships: int = 0
    position: Position = ORIGIN
    notes: list[str] = field(default_factory=list)
    """What could not be taken as it was."""


class Writing:
    """
    Writes entities and relationships in batches, each one transaction; the block's end writes the last one.

    It stands beside `importers.importing`, which reads in the transaction that it writes in, and keeps in the journal
    how far it came: neither can be had over a connection, and values in memory have no identity to go on by. Nothing
    is kept here: whoever was interrupted writes the same again, which changes nothing of what is there.
    """

    def __init__(self, slip: Slipstream, batch: int = _BATCH) -> None:
        self._slip, self._batch = slip, batch
        self._entities: dict[str, tuple[str, Properties]] = {}
        self._mentioned: dict[str, str] = {}
        self._relationships: list[tuple[str, str, str, Properties, str]] = []
        self._size = 0
        self.brought = Brought(position=slip.pkg.feed.head())

    def entity(self, entity_type: str, entity_id: str, properties: Properties) -> None:
        """Have an entity be exactly so."""
        self._make_room(entity_type, entity_id, properties)
        self._entities[entity_id] = (entity_type, properties)

    def mention(self, entity_type: str, entity_id: str) -> None:
        """Have an entity be there: it is created without properties if nobody has it."""
        self._make_room(entity_type, entity_id)
        self._mentioned.setdefault(entity_id, entity_type)

    def relate(
        self, source_id: str, relationship_type: str, target_id: str, properties: Properties, key: str = ""
    ) -> None:
        """Have a relationship be exactly so; its ends were written before it, or are there."""
        self._make_room(source_id, relationship_type, target_id, properties, key)
        self._relationships.append((source_id, relationship_type, target_id, properties, key))

    def _make_room(self, *told: object) -> None:
        """Write the batch if this would make it too large; what is larger by itself is a batch of its own."""
        size = len(json.dumps(told, skipkeys=True, default=str))
        count = len(self._entities) + len(self._mentioned) + len(self._relationships)
        if count >= self._batch or self._size + size > _BATCH_SIZE:
            self.flush()
        self._size += size

    def flush(self) -> None:
        """Write what has gathered; what the graph refuses raises its error, and this batch is not written."""
        for tries_left in reversed(range(_TRIES)):
            there = self._there()
            try:
                self._write(there)
                break
            except AlreadyExistsError:  # somebody has just created one of them: nothing of this batch was done
                if not tries_left:
                    raise
        self._entities, self._mentioned, self._relationships, self._size = {}, {}, [], 0

    def _there(self) -> set[str]:
        """Return which of the entities exist; raises `AlreadyExistsError` for one that would be overwritten."""
        names = [*self._entities, *self._mentioned]
        found = self._slip.find(names) if names else []
        for entity in found:
            said, _ = self._entities.get(entity.id, (entity.type, {}))
            if entity.properties and said != entity.type:
                raise AlreadyExistsError(
                    f"{entity.id!r} is the id of a {entity.type} already, which a {said} would overwrite: put "
                    "something before the ids of one of both, or delete that one"
                )
        return {entity.id for entity in found}

    def _write(self, there: Collection[str]) -> None:
        """Write the batch; raises `AlreadyExistsError` when an entity that was not there is there by now."""
        entities: dict[str, tuple[str, Properties]] = {
            name: (said, {}) for name, said in self._mentioned.items() if name not in there
        }
        entities |= self._entities
        if entities or self._relationships:
            with self._slip.pkg.transaction() as tx:
                for entity_id, (entity_type, properties) in entities.items():
                    have = tx.upsert_entity if entity_id in there else tx.create_entity
                    have(entity_type, entity_id, properties)
                for source_id, name, target_id, properties, key in self._relationships:
                    tx.relate(source_id, name, target_id, properties, discriminator=key, replace=True)
            self.brought.position = tx.position
        self.brought.entities += len(entities)
        self.brought.relationships += len(self._relationships)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()


def is_absent(value: object) -> bool:
    """Return whether a value stands for none: None, NaN, NaT, the NA of pandas, or what numpy masks."""
    if value is None or value is np.ma.masked or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    if isinstance(value, Decimal):
        return value.is_nan()
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def plain(value: object, place: str) -> Any:
    """
    Return a value as a graph keeps it; None for an absent one.

    Scalars and arrays of numpy become plain ones; tuples and sets lists; dates, times of the day and decimals text.
    Raises `InvalidInputError` (field: the place) for a time without its zone, and for what no graph keeps.
    """
    if isinstance(value, str):
        return str(value)
    if is_absent(value):
        return None
    if isinstance(value, _NUMBERS) and not isinstance(value, np.timedelta64):
        return value.item()
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, datetime | np.datetime64):
        return _moment(value, place)
    return _gathered(value, place)


def _gathered(value: object, place: str) -> Any:
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return {name: plain(item, place) for name, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(item, place) for item in value), key=repr)
    if isinstance(value, np.ndarray):  # not its `tolist`, which makes bare numbers of times
        return [plain(item, place) for item in value] if value.ndim else plain(value[()], place)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [plain(item, place) for item in value]
    raise InvalidInputError(
        f"{type(value).__name__} can not be stored: make it text, a number, a boolean, a time with its zone, a list, "
        "or a map",
        field=place,
    )


def _moment(value: datetime | np.datetime64, place: str) -> datetime:
    if isinstance(value, np.datetime64) or value.utcoffset() is None:
        raise _naive(value, place)
    if type(value) is datetime:
        return value
    stamp: Any = value  # a Timestamp of pandas
    if getattr(stamp, "nanosecond", 0):
        stamp = stamp.floor("us")
    found: datetime = stamp.to_pydatetime() if hasattr(stamp, "to_pydatetime") else value
    return found


def _naive(value: object, place: str) -> InvalidInputError:
    return InvalidInputError(
        f"{value} has no time zone, so nobody knows when it is: give it one, as with .replace(tzinfo=UTC), or "
        ".dt.tz_localize('UTC') for a column",
        field=place,
    )
