"""Rows to values and back: stamps, vectors, times, and lists of parameters of any length."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np

from slipstream.domain.errors import CorruptionError, InvalidInputError
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.stamps import NO_METADATA, Stamp, Vector, VectorRecord, checked_vector

Row = tuple[Any, ...]

STAMP_COLUMNS = (
    "key",
    "space",
    "position",
    "entity_type",
    "fingerprint",
    "checksum",
    "schema_version",
    "schema_hash",
    "created_at",
    "template_version",
    "confidence",
    "quality",
    "source_document",
    "last_validated",
    "needs_reembedding",
    "reembedding_reason",
    "metadata",
    "embedded_confidence",
)
"""Columns of `records` in the order of `stamp_row`."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PARAMETERS_MAX = 512
_ROWS_MAX = 256
VECTOR_TYPE = np.dtype("<f4")
"""The type that vectors are stored as."""


def stamp_row(stamp: Stamp, space: int) -> Row:
    """Return the columns of a stamp."""
    key, entity_type, position, fingerprint, _, schema_version, schema_hash, checksum, created_at = stamp[:9]
    template_version, confidence, embedded, quality, source, validated, is_due, reason, metadata = stamp[9:]
    return (
        key.encode(),
        space,
        position,
        entity_type,
        fingerprint,
        checksum,
        schema_version,
        schema_hash,
        microseconds(created_at),
        template_version,
        confidence,
        quality,
        source,
        None if validated is None else microseconds(validated),
        is_due,
        reason,
        json.dumps(dict(metadata)) if metadata else None,
        embedded,
    )


def row_stamp(row: Row, spaces: Mapping[int, Space], key: RecordKey | None = None) -> Stamp:
    """
    Return the stamp in a row of `STAMP_COLUMNS`; give the key if it is known, which saves decoding it.

    Raises `CorruptionError` when the row can not be read.
    """
    text, space, position, entity_type, fingerprint, checksum, schema_version, schema_hash, created_at = row[:9]
    template_version, confidence, quality, source, validated, is_due, reason, metadata, embedded = row[9:18]
    try:
        return Stamp(  # by place: a value for every field, by name, would take three times as long
            key or RecordKey.decode(text),
            entity_type,
            position,
            fingerprint,
            spaces[space],
            schema_version,
            schema_hash,
            checksum,
            _EPOCH + timedelta(microseconds=created_at),
            template_version,
            confidence,
            embedded,
            quality,
            source,
            None if validated is None else moment(validated),
            bool(is_due),
            reason,
            NO_METADATA if metadata is None else json.loads(metadata),
        )
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise CorruptionError(f"the stamp of {row[0]!r} can not be read ({error}); audit and repair") from error


def readable_stamps(
    rows: Iterable[Row], spaces: Mapping[int, Space], keys: Mapping[str, RecordKey] = MappingProxyType({})
) -> list[Stamp]:
    """
    Return the stamps of rows, without rows that can not be read: their records then count as missing.

    Triggers prevent such rows; if the triggers were dropped, the self-check names and removes the rows.
    """
    stamps: list[Stamp] = []
    for row in rows:
        try:
            stamps.append(row_stamp(row, spaces, keys.get(row[0])))
        except CorruptionError:
            continue
    return stamps


def microseconds(time: datetime) -> int:
    """Return a time as microseconds since 1970; raises `InvalidInputError` for one without a zone."""
    try:
        return (time - _EPOCH) // _MICROSECOND
    except TypeError as error:
        raise InvalidInputError(f"{time!r} has no time zone", field="timestamp") from error


def moment(value: int | None) -> datetime | None:
    """Return the time, in UTC, of a number of `microseconds`; None for None."""
    return None if value is None else _EPOCH + timedelta(microseconds=value)


def vector_blobs(records: Sequence[VectorRecord]) -> list[memoryview]:
    """
    Return the bytes of the vectors, checked and of unit length, in the order of the records.

    Raises `InvalidInputError` (field `embedding`) as `checked_vector` does, before anything is returned.
    """
    by_dimension: dict[int, list[int]] = defaultdict(list)
    for at, record in enumerate(records):
        by_dimension[record.stamp.space.dimension].append(at)
    blobs: list[memoryview] = [memoryview(b"")] * len(records)
    for dimension, places in by_dimension.items():
        block = _checked_block([records[at].vector for at in places], dimension)
        data, size = memoryview(block.tobytes()), dimension * VECTOR_TYPE.itemsize
        for row, at in enumerate(places):
            blobs[at] = data[row * size : (row + 1) * size]
    return blobs


def _checked_block(vectors: Sequence[Vector], dimension: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    for vector in vectors:
        if np.shape(vector) != (dimension,):
            checked_vector(vector, dimension)  # raises the error that every adapter raises
    block = np.array(vectors, dtype=VECTOR_TYPE)
    norms = np.sqrt(np.einsum("ij,ij->i", block, block, dtype=np.float64))
    for row in np.flatnonzero(~(np.abs(norms - 1.0) < 1e-6)):  # also for NaN
        block[row] = checked_vector(block[row], dimension)
    return block


def blob_vector(blob: bytes) -> Vector:
    """Return the vector of a blob as it is, however damaged."""
    whole = len(blob) - len(blob) % VECTOR_TYPE.itemsize
    return np.frombuffer(blob[:whole], dtype=VECTOR_TYPE).astype(np.float32)


def select_in(connection: sqlite3.Connection, sql: str, values: Iterable[object], *rest: object) -> Iterator[Row]:
    """Run a query with `IN ({})` for any number of values, in portions; `rest` are the parameters after these."""
    remaining = list(values)
    for start in range(0, len(remaining), _PARAMETERS_MAX):
        portion = remaining[start : start + _PARAMETERS_MAX]
        size = 1 << (len(portion) - 1).bit_length()  # few sizes: the statements stay in the cache
        portion.extend(portion[:1] * (size - len(portion)))
        yield from connection.execute(sql.format(",".join("?" * size)), (*portion, *rest))


def insert_rows(connection: sqlite3.Connection, sql: str, rows: Sequence[Row]) -> list[Row]:
    """Run an insertion of `{rows}`, in portions; returns the rows of its RETURNING clause, if it has one."""
    returned: list[Row] = []
    start = 0
    while start < len(rows):
        # Powers of two: few sizes, so that the statements stay in the cache.
        size = min(_ROWS_MAX, 1 << ((len(rows) - start).bit_length() - 1))
        portion = rows[start : start + size]
        marks = f"({','.join('?' * len(portion[0]))})"
        statement = sql.format(rows=f"VALUES {','.join([marks] * size)}")
        returned += connection.execute(statement, list(chain.from_iterable(portion)))
        start += size
    return returned
