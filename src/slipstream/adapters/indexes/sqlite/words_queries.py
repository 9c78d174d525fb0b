"""Queries of the word index as FTS5 expressions: each word is quoted, so no text acts as an operator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.word_queries import (
    FIELDS,
    AllOf,
    AnyOf,
    Near,
    Phrase,
    Term,
    Within,
    Without,
    WordQuery,
)

_NESTED_MAX = 60  # FTS5's parser takes about a hundred brackets inside one another


def quoted(word: str) -> str:
    """Return a word as a string of FTS5."""
    return '"' + word.replace("\0", " ").replace('"', '""') + '"'


def expression(query: WordQuery, depth: int = 0) -> str | None:
    """
    Return the expression for a query, None when no word is asked for.

    Raises `InvalidInputError` (field `query`) for a query that is nested too deeply, and for an unknown field.
    """
    if depth > _NESTED_MAX:
        raise InvalidInputError(f"more than {_NESTED_MAX} brackets inside one another: ask in parts", field="query")
    match query:
        case Term() | Phrase() | Near():
            return _leaf(query)
        case AnyOf(parts):
            return _joined(" OR ", parts, depth)
        case AllOf(parts):
            return _joined(" AND ", parts, depth)
        case Without(part, excluded):
            wanted, unwanted = expression(part, depth + 1), expression(excluded, depth + 1)
            return wanted if wanted is None or unwanted is None else f"({wanted} NOT {unwanted})"
        case Within(fields, part):
            return _within(fields, expression(part, depth + 1))


def _leaf(query: Term | Phrase | Near) -> str | None:
    words = (query.word,) if isinstance(query, Term) else query.words
    asked = [quoted(word) for word in words if word]
    if not asked:
        return None
    if isinstance(query, Near):
        return f"NEAR({' '.join(asked)}, {max(query.distance, 0)})"
    return " + ".join(asked) + (" *" if query.is_prefix else "")


def _joined(operator: str, parts: Sequence[WordQuery], depth: int) -> str | None:
    found = [text for part in parts if (text := expression(part, depth + 1)) is not None]
    if len(found) < 2:
        return found[0] if found else None
    return f"({operator.join(found)})"


def _within(fields: Sequence[str], inner: str | None) -> str | None:
    unknown = [name for name in fields if name not in FIELDS]
    if unknown:
        raise InvalidInputError(f"{unknown[0]!r} is not a field of words: {', '.join(FIELDS)}", field="query")
    return f"({{{' '.join(fields)}}} : ({inner}))" if inner is not None and fields else None


def wanted_parts(query: WordQuery) -> Iterator[Term | Phrase | Near]:
    """Yield the words, phrases and near words that a query asks for, without what it excludes."""
    match query:
        case Term() | Phrase() | Near():
            yield query
        case AnyOf(parts) | AllOf(parts):
            for part in parts:
                yield from wanted_parts(part)
        case Without(part, _) | Within(_, part):
            yield from wanted_parts(part)
