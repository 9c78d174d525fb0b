"""The self-check of one SQLite file: its structure, its schema, and rules that its rows must keep."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from slipstream.adapters.sqlite.connections import Database
from slipstream.adapters.sqlite.structure import Index, indexes_of, integrity, rebuild, repeated, unlike_table
from slipstream.domain.damage import Damage
from slipstream.domain.errors import CorruptionError
from slipstream.domain.positions import Position

SCHEMA = "schema"
_INDEX = "index "
_EXAMPLES_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition that no row of a table may meet, and its remedy."""

    place: str
    """`table.column`, or another name of its own."""
    table: str
    wrong: str
    """The condition; `:head` stands for the newest position of the graph."""
    shown: str
    """An expression that names a row to people."""
    what: str
    mends: tuple[str, ...] = ()
    """Statements, run in one transaction with the same parameters; none when the right value can not be known."""
    remedy: str = ""
    is_deep: bool = False


class OwnCheck(Protocol):
    """The check of a part of a file that no condition of SQL can find sound; what it finds it can mend."""

    @property
    def place(self) -> str:
        """What the part is called."""
        ...

    def find(self, *, deep: bool, head: Callable[[], int]) -> Mapping[str, str]:
        """Return what is wrong, by place; `head` is asked once what is looked at can not grow any more."""
        ...

    def mend(self, connection: sqlite3.Connection) -> bool:
        """Mend all of it, inside the open transaction; returns whether it is sound."""
        ...

    @property
    def emptied(self) -> Callable[[], object]:
        """What to call when the part was mended, and that is committed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What differs between the files that check themselves."""

    store: str
    remedy: str
    """What to do about damage that can not be mended."""
    rules: Sequence[Rule]
    unlike_schema: Callable[[sqlite3.Connection], Sequence[str]]
    """Returns the names of declared triggers and indexes that are missing or differ."""
    mend_schema: Callable[[sqlite3.Connection], None]
    newest: Mapping[str, str]
    """By table: the order of duplicate rows, of which the last one stays."""
    untriggered: frozenset[str] = frozenset()
    duplicates: Callable[[Index, Sequence[tuple[object, ...]]], tuple[str, ...]] = lambda _index, _rows: ()
    """Returns the encoded keys of records that are there more than once."""
    others: Callable[[sqlite3.Connection], Mapping[str, str]] = lambda _connection: {}
    """Returns, by place, damage that no condition of SQL can find and that can not be mended."""
    own: OwnCheck | None = None
    after_rebuild: tuple[str, ...] = ()
    """Statements to run when an index was made anew, in the same transaction."""


class SqliteSelfCheck:
    """A `SelfCheck` of a file; `exclusive` lends the one write transaction."""

    def __init__(
        self,
        database: Database,
        kept: Kept,
        exclusive: Callable[[], AbstractContextManager[sqlite3.Connection]],
    ) -> None:
        self._database, self._kept, self._exclusive = database, kept, exclusive

    @property
    def store(self) -> str:
        """The name of the file."""
        return self._kept.store

    # ------------------------------------------------------------------ looking

    def check(self, *, deep: bool, head: Callable[[], Position]) -> Sequence[Damage]:
        """Return the damage in schema, indexes and rows at one snapshot; with `deep`, check every page as well."""
        found: dict[str, Damage] = {}
        own = self._kept.own
        try:
            with self._database.reading() as connection:
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # takes the snapshot
                newest = head()
                for damage in self._all(connection, newest, deep=deep):
                    found.setdefault(damage.place, damage)
            if own is not None and SCHEMA not in found:
                for place, what in own.find(deep=deep, head=head).items():
                    found.setdefault(place, self._damage(place, what, is_mendable=True))
        except CorruptionError as error:
            found.setdefault("file", self._damage("file", str(error), hides_rows=True))
        return list(found.values())

    def _all(self, connection: sqlite3.Connection, head: Position, *, deep: bool) -> Iterator[Damage]:
        unlike = self._kept.unlike_schema(connection)
        if unlike:
            names = ", ".join(unlike)
            yield self._damage(SCHEMA, f"{names}: gone, or not as declared", is_mendable=True)
        for index in indexes_of(connection):
            yield from self._index_damage(connection, index)
        if deep:
            for place, what in integrity(connection).items():
                is_index = place.startswith(_INDEX)
                yield self._damage(place, what, is_mendable=is_index, hides_rows=is_index or place == "pages")
        for rule in self._kept.rules:
            if deep or not rule.is_deep:
                yield from self._broken(connection, rule, head)
        for place, what in self._kept.others(connection).items():
            yield self._damage(place, what)

    def _index_damage(self, connection: sqlite3.Connection, index: Index) -> Iterator[Damage]:
        what = unlike_table(connection, index)
        twice = []
        if index.is_unique:
            twice = repeated(connection, index, past_it=False)
            if what is not None:
                twice = [*twice, *(row for row in repeated(connection, index, past_it=True) if row not in twice)]
        if twice:
            what = "; ".join(filter(None, (what, f"{len(twice)} of {', '.join(index.columns)} are there twice")))
        if what is not None:
            keys = self._kept.duplicates(index, twice)
            yield self._damage(f"{_INDEX}{index.name}", what, is_mendable=True, hides_rows=True, keys=keys)

    def _broken(self, connection: sqlite3.Connection, rule: Rule, head: Position) -> Iterator[Damage]:
        statement = f"SELECT CAST({rule.shown} AS BLOB) FROM {rule.table} WHERE {rule.wrong}"  # noqa: S608  (our own)
        rows = connection.execute(statement, {"head": head})
        shown = [_text(value) for (value,) in rows.fetchmany(_EXAMPLES_MAX)]
        if not shown:
            return
        count = len(shown) + sum(1 for _ in rows)
        more = ", …" if count > len(shown) else ""
        what = f"{rule.what} ({count}: {', '.join(shown)}{more})"
        yield self._damage(rule.place, what, is_mendable=bool(rule.mends), remedy=rule.remedy)

    def _damage(
        self,
        place: str,
        what: str,
        *,
        is_mendable: bool = False,
        hides_rows: bool = False,
        keys: tuple[str, ...] = (),
        remedy: str = "",
    ) -> Damage:
        told = "repair" if is_mendable else remedy or self._kept.remedy
        return Damage(self.store, place, what, told, is_mendable, hides_rows, keys)

    # ------------------------------------------------------------------ mending

    def mend(self, damage: Damage, *, head: Callable[[], Position]) -> bool:
        """Mend one place, in one transaction, check it again, and return whether it is sound."""
        mended = self._mended(damage, head)
        own = self._kept.own
        if own is not None and damage.place in (SCHEMA, own.place):
            own.emptied()
        return mended

    def _mended(self, damage: Damage, head: Callable[[], Position]) -> bool:
        own = self._kept.own
        with self._exclusive() as connection:
            if damage.place == SCHEMA:
                self._kept.mend_schema(connection)
                return not self._kept.unlike_schema(connection)
            if own is not None and damage.place == own.place:
                return own.mend(connection)
            if damage.place.startswith(_INDEX):
                return self._rebuild(connection, damage.place.removeprefix(_INDEX))
            for rule in self._kept.rules:
                if rule.place == damage.place:
                    return _obey(connection, rule, head())
        return False

    def _rebuild(self, connection: sqlite3.Connection, name: str) -> bool:
        known = connection.execute(
            "SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = ?", (name,)
        ).fetchone()
        if known is None:  # the damage was reported by another process, or earlier
            return False
        rebuild(connection, name, self._kept.newest, self._kept.untriggered)
        for statement in self._kept.after_rebuild:
            connection.execute(statement)
        return all(unlike_table(connection, index) is None for index in indexes_of(connection) if index.name == name)


def _obey(connection: sqlite3.Connection, rule: Rule, head: Position) -> bool:
    parameters = {"head": head}
    for statement in rule.mends:
        connection.execute(statement, parameters)
    wrong = f"SELECT 1 FROM {rule.table} WHERE {rule.wrong}"  # noqa: S608  (our own text)
    return connection.execute(wrong, parameters).fetchone() is None


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
