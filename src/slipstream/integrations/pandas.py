"""
pandas: entities, relationships and hits as frames, and frames as entities and relationships.

    from slipstream.integrations.pandas import entities_frame, from_frame, search_frame

    people = entities_frame(slip, "Person")
    from_frame(slip, people, entity_type="Person", relate=["employer:WORKS_AT:Company"])
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import repeat
from typing import TYPE_CHECKING, Any

from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import Properties
from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.importers.options import Relate
from slipstream.integrations.bringing import Brought, Writing, is_absent, plain
from slipstream.integrations.reading import all_entities, all_relationships
from slipstream.search.hits import SearchResults

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Brought",
    "Relate",
    "entities_frame",
    "from_frame",
    "relationships_frame",
    "relationships_from_frame",
    "search_frame",
]

_HIT = ("id", "type", "score", "name", "text")
_WHY = ("arms", "matched", "snippet")


def entities_frame(slip: Slipstream, entity_type: str | None = None, *, type_column: str = "type") -> pd.DataFrame:
    """
    Return the entities of a type (None: all, with a column for the type), a column for each property.

    Whole numbers stay whole where some are missing (`Int64`), truth values too (`boolean`), times are in UTC; a
    column of several kinds holds Python's values. Raises `ConfigError` without pandas, and `InvalidInputError` when a
    property is called like `type_column`.
    """
    frame = _Columns(["id"] if entity_type is not None else ["id", type_column])
    for entity in all_entities(slip, None if entity_type is None else [entity_type]):
        known = {"id": entity.id} if entity_type is not None else {"id": entity.id, type_column: entity.type}
        frame.add(known, entity.properties, entity.id, "type_column='kind'")
    return frame.made()


def relationships_frame(
    slip: Slipstream,
    relationship_type: str | None = None,
    *,
    source: str = "source",
    target: str = "target",
    key: str = "key",
    type_column: str = "type",
) -> pd.DataFrame:
    """
    Return the relationships of a type (None: all, with a column for the type), a column for each property.

    `source` and `target` are ids of entities; `key` tells parallel relationships apart, and is empty for most. Values
    are as in `entities_frame`. Raises `ConfigError` without pandas, and `InvalidInputError` when a property is called
    like one of these columns.
    """
    names = [source, target, key] if relationship_type is not None else [source, type_column, target, key]
    frame = _Columns(names)
    for found in all_relationships(slip, None if relationship_type is None else [relationship_type]):
        ref = found.ref
        told = {source: ref.source_id, type_column: ref.type, target: ref.target_id, key: ref.discriminator}
        frame.add({name: told[name] for name in names}, found.properties, ref.id, "source='from', or as it is called")
    return frame.made()


def search_frame(results: SearchResults) -> pd.DataFrame:
    """
    Return what a search found, best first: id, type, score, name and text.

    Of a search with `explain` also its arms (their names), the words that matched (both as lists) and a snippet of
    the text around them. Raises `ConfigError` without pandas.
    """
    is_explained = results.explanation is not None
    frame = _Columns([*_HIT, *_WHY] if is_explained else list(_HIT))
    for hit in results:
        known: dict[str, Any] = dict(
            zip(_HIT, (hit.entity_id, hit.entity_type, hit.score, hit.name, hit.text), strict=True)
        )
        if is_explained and (why := hit.explanation) is not None:
            known |= {"arms": [each.arm for each in why.arms], "matched": list(why.matched), "snippet": why.snippet}
        frame.add(known, {}, hit.entity_id, "")
    return frame.made()


def from_frame(
    slip: Slipstream,
    frame: pd.DataFrame,
    *,
    entity_type: str | None = None,
    id: str | None = "id",  # noqa: A002  (what the column is called)
    type_column: str = "type",
    relate: Sequence[Relate | str] = (),
) -> Brought:
    """
    Write each row of a frame as an entity with exactly the row's values; repeating it changes nothing.

    `id` names the column of ids, None the index; `entity_type` the type, None a column for it. What is missing (None,
    NaN, NaT, NA) is absent. A column in `relate` (`COLUMN:TYPE:OTHERTYPE`, or a `Relate`) holds ids of other
    entities, one or a list, and becomes relationships; an entity that is not there is created without properties.

    Ids, names and zones of columns are looked at before anything is written; then batches are committed one by one,
    so that after an error, what came before it is there. Raises `InvalidInputError` for what a PKG can not keep: an
    id that is missing, a fraction, or there twice; a time without its zone.
    """
    related = [rule if isinstance(rule, Relate) else Relate.parse(rule) for rule in relate]
    needed = [*([] if entity_type is not None else [type_column]), *(rule.column for rule in related)]
    columns = _checked(frame, needed)
    ids = _ids(frame, id)
    kept = [name for name in columns if name not in {id, *needed}]
    with Writing(slip) as writing:
        for number, properties in _rows(frame, kept):
            said = entity_type or _type_of(frame, type_column, number)
            writing.entity(said, ids[number], properties)
        writing.flush()  # entities stand before all relationships
        for rule in related:
            for number, others in enumerate(_others(frame[rule.column], rule.column)):
                for other in others:
                    writing.mention(rule.other_type, other)
                    writing.relate(ids[number], rule.relationship_type, other, {})
    return writing.brought


def relationships_from_frame(
    slip: Slipstream,
    frame: pd.DataFrame,
    *,
    relationship_type: str | None = None,
    source: str = "source",
    target: str = "target",
    key: str = "key",
    type_column: str = "type",
) -> Brought:
    """
    Write each row of a frame as a relationship with exactly the row's values; repeating it changes nothing.

    Both ends must be there (`NotFoundError`). The column `key` may be missing; rows of one type, ends and key are
    refused, for they would become one. Values, batches and errors are as in `from_frame`.
    """
    needed = [source, target, *([] if relationship_type is not None else [type_column])]
    columns = _checked(frame, needed)
    own = {*needed, key}
    ends = [_ids(frame, name, are_unique=False) for name in (source, target)]
    keys = [_key(value) for value in frame[key]] if key in columns else [""] * len(frame)
    seen: set[tuple[str, str, str, str]] = set()
    with Writing(slip) as writing:
        for number, properties in _rows(frame, [name for name in columns if name not in own]):
            said = relationship_type or _type_of(frame, type_column, number)
            place = (ends[0][number], said, ends[1][number], keys[number])
            if place in seen:
                raise InvalidInputError(f"row {number} has type, ends and key of another one: {place}", field=key)
            seen.add(place)
            writing.relate(*place[:3], properties, place[3])
    return writing.brought


# ---------------------------------------------------------------------- out of the PKG


class _Columns:
    """Gathers rows as columns; what a row has not is None."""

    def __init__(self, names: Sequence[str]) -> None:
        self._pandas = _pandas()
        self._columns: dict[str, list[Any]] = {name: [] for name in names}
        self._rows = 0

    def add(self, known: Mapping[str, Any], properties: Mapping[str, Any], identity: str, remedy: str) -> None:
        if shared := known.keys() & properties.keys():
            name = min(shared)
            raise InvalidInputError(
                f"{identity!r} has a property of that name, and a column of the frame is called so: give that "
                f"another name ({remedy})",
                field=name,
            )
        for name, value in (*known.items(), *properties.items()):
            column = self._columns.get(name)
            if column is None:
                column = self._columns[name] = [None] * self._rows
            column.append(value)
        self._rows += 1
        for column in self._columns.values():
            if len(column) < self._rows:
                column.append(None)

    def made(self) -> pd.DataFrame:
        series = {name: self._series(values) for name, values in self._columns.items()}
        return self._pandas.DataFrame(series, columns=list(series))

    def _series(self, values: list[Any]) -> Any:
        """Return a column of the narrowest kind that loses nothing."""
        kinds = {type(value) for value in values if value is not None}
        has_gaps = None in values if kinds <= {int, bool, datetime} else False
        if kinds == {int}:
            return self._pandas.Series(values, dtype="Int64" if has_gaps else "int64")
        if kinds == {bool}:
            return self._pandas.Series(values, dtype="boolean" if has_gaps else "bool")
        if kinds == {float}:
            return self._pandas.Series(values, dtype="float64")
        if kinds == {datetime}:
            return self._pandas.Series(values, dtype="datetime64[us, UTC]")
        if kinds == {str}:
            return self._pandas.Series(values)
        return self._pandas.Series(values, dtype="object")


# ---------------------------------------------------------------------- into the PKG


def _rows(frame: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[int, Properties]]:
    """Yield the number of each row, and what its columns have."""
    rows = zip(*(frame[name] for name in columns), strict=True) if columns else repeat((), len(frame))
    for number, values in enumerate(rows):
        found = {name: plain(value, f"{name} of row {number}") for name, value in zip(columns, values, strict=True)}
        yield number, {name: value for name, value in found.items() if value is not None}


def _checked(frame: pd.DataFrame, needed: Sequence[str]) -> list[str]:
    """Return the names of the columns; raises `InvalidInputError` for what no row could be written of."""
    columns: list[str] = []
    for name in frame.columns:
        if not isinstance(name, str):
            raise InvalidInputError(
                f"the column {name!r} is a {type(name).__name__}: give the columns names (frame.columns = …)",
                field="columns",
            )
        if name in columns:
            raise InvalidInputError("two columns are called so: rename one of them", field=name)
        columns.append(name)
    for name in needed:
        if name not in columns:
            raise InvalidInputError(f"is no column of the frame; there are {', '.join(columns)}", field=name)
    for name in columns:
        if frame[name].dtype.kind == "M" and getattr(frame[name].dtype, "tz", None) is None:
            raise InvalidInputError(
                f"its times have no zone, so nobody knows when they are: frame[{name!r}].dt.tz_localize('UTC'), or "
                "the zone they are of",
                field=name,
            )
    return columns


def _ids(frame: pd.DataFrame, name: str | None, *, are_unique: bool = True) -> list[str]:
    if name is not None and name not in frame.columns:
        raise InvalidInputError(
            f"is no column of the frame: name the one of the ids (id='email'), or take the index (id=None); there "
            f"are {', '.join(map(str, frame.columns))}",
            field=name,
        )
    values: Iterable[Any] = frame.index if name is None else frame[name]
    field = name or "index"
    found = [_id(value, field, number) for number, value in enumerate(values)]
    if are_unique and len(set(found)) < len(found):
        ((most, _),) = Counter(found).most_common(1)
        raise InvalidInputError(f"{most!r} is there twice: an id is of one row", field=field)
    return found


def _id(value: Hashable, field: str, number: int) -> str:
    found = plain(value, field)
    if isinstance(found, str) and found:
        return found
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    if isinstance(found, float):
        raise InvalidInputError(
            f"row {number} has {found}: a column with gaps makes fractions of whole numbers, so "
            f"frame[{field!r}].astype('Int64'), and leave out rows without an id",
            field=field,
        )
    shown = "no id" if found in (None, "") else repr(value)[:80]
    raise InvalidInputError(f"row {number} has {shown}: an id is a text or a whole number", field=field)


def _type_of(frame: pd.DataFrame, column: str, number: int) -> str:
    found = plain(frame[column].iloc[number], column)
    if isinstance(found, str):
        return found
    raise InvalidInputError(f"row {number} has {found!r}, which is no type: a type is a text", field=column)


def _others(values: Iterable[Any], column: str) -> Iterator[list[str]]:
    """Yield, for each row, the ids that it leads to."""
    for number, value in enumerate(values):
        found = plain(value, f"{column} of row {number}")
        several = found if isinstance(found, list) else [found]
        yield list(dict.fromkeys(_id(other, column, number) for other in several if other not in (None, "")))


def _key(value: Any) -> str:
    return "" if is_absent(value) else str(value)


def _pandas() -> Any:
    try:
        import pandas as pd
    except ImportError as error:
        raise ConfigError("this needs pandas, which is not installed: install slipstream-pkg[pandas]") from error
    return pd
