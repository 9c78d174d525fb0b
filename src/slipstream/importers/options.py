"""What can be said of a source that it does not say itself."""

from __future__ import annotations

from dataclasses import dataclass

from slipstream.domain.errors import InvalidInputError

KINDS = ("string", "integer", "float", "boolean", "datetime", "list")
"""Kinds of values that a column may be said to have."""


@dataclass(frozen=True, slots=True)
class Relate:
    """A column whose values are ids of other entities, to relate each row's entity to."""

    column: str
    relationship_type: str
    other_type: str
    """Of an entity that nobody has yet: it is created, without properties."""

    @property
    def told(self) -> str:
        """What `parse` reads."""
        return f"{self.column}:{self.relationship_type}:{self.other_type}"

    @classmethod
    def parse(cls, text: str) -> Relate:
        """Return what `COLUMN:TYPE:OTHERTYPE` says; raises `InvalidInputError` (field `relate`)."""
        parts = text.rsplit(":", 2)
        if len(parts) != 3 or not all(parts):
            raise InvalidInputError(
                f"{text!r} is not COLUMN:TYPE:OTHERTYPE, as in employer:WORKS_AT:Company", field="relate"
            )
        return cls(*parts)


def parse_column(text: str) -> tuple[str, str]:
    """Return name and kind that `COLUMN=KIND` says; raises `InvalidInputError` (field `column`)."""
    name, separator, kind = text.rpartition("=")
    if not separator or not name or kind not in KINDS:
        raise InvalidInputError(
            f"{text!r} is not COLUMN=KIND, with one of the kinds {', '.join(KINDS)}", field="column"
        )
    return name, kind


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What can be said of a source; each format takes what concerns it, and refuses the rest."""

    entity_type: str | None = None
    """Of rows that do not say it."""
    id_column: str | None = None
    """The column that holds the ids."""
    relate: tuple[Relate, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    """Kinds of columns, by name; a column without one is text."""
    delimiter: str | None = None
    """Between the fields of a row; None: as the file's name, or its first line, says."""
    id_prefix: str | None = None
    """Before ids that are names within the source only (row numbers, blank nodes, a note's name)."""

    def refuse_but(self, *known: str) -> None:
        """Raise `InvalidInputError` for an option that is given but not among the known ones."""
        for name in self.__slots__:
            if name not in known and getattr(self, name) not in (None, ()):
                raise InvalidInputError(
                    f"means nothing for this format; it knows {', '.join(known) or 'none'}", field=name
                )

    def told(self) -> str:
        """Return a text that differs when the options do."""
        return "\0".join(repr(getattr(self, name)) for name in self.__slots__)
