"""
What a caller's Cypher may say, decided on its tokens before it reaches the database. Pure.

The read-only transaction stops writes; this guard stops what would leave the transaction (`COMMIT; …`), touch files
(`LOAD`, `COPY`), change the schema or the session, or name the tables of our own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from slipstream.domain.errors import InvalidInputError, UnsupportedError
from slipstream.ports.sync_states import SYNC_VIEW

STATEMENT_SIZE_MAX = 100_000
_TOKEN = re.compile(
    r"""
    (?P<skip>\s+|//[^\n]*|/\*.*?\*/)
  | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
  | (?P<quoted>`[^`]*`)
  | (?P<word>[^\W\d]\w*)
  | (?P<number>\d[\w.]*)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_FIRST_WORDS = frozenset({"MATCH", "OPTIONAL", "UNWIND", "WITH", "RETURN", "CREATE", "MERGE"})
_SCHEMA_WORDS = frozenset({"ALTER", "DROP", "COMMENT"})
_TABLE_WORDS = frozenset({"NODE", "REL", "TABLE", "SEQUENCE", "TYPE", "MACRO", "GRAPH", "INDEX", "CONSTRAINT"})
_REFUSED_WORDS = frozenset({"CALL", "LOAD", "COPY", "EXPORT", "IMPORT", "ATTACH", "DETACHDB", "INSTALL", "USE"})
_ID_WORDS = frozenset({"CREATE", "MERGE", "DELETE"})
_PATTERN_WORDS = frozenset({"MATCH", "CREATE", "MERGE", "EXISTS", "COUNT", "WHERE", "AND", "OR", "NOT", "XOR"})


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a quoted name, a text, a number or a single character."""

    kind: str
    value: str

    @property
    def is_name(self) -> bool:
        """Whether it can name a variable, label or property."""
        return self.kind in ("word", "quoted")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that passed the guard."""

    cypher: str
    labels: frozenset[str] | None
    """Every label that it names; None when some pattern of it has none, so that it can touch any type."""
    changes_identities: bool
    """Whether it can create or delete, not only set properties."""
    sets_properties: bool
    """Whether it can set properties of what is there."""
    names_sync_view: bool
    """Whether a pattern of it asks for the engine's own sync view by its name."""


def guarded(cypher: str, known_types: frozenset[str]) -> Statement:
    """Return the statement when it may run; `InvalidInputError` (field `cypher`) or `UnsupportedError` when not."""
    tokens = _tokens(cypher)
    _check_one_statement(tokens)
    _check_words(tokens)
    upper = {token.value.upper() for token in tokens if token.kind == "word"}
    labels = _labels(tokens)
    typed = labels is not None and labels <= known_types and "DETACH" not in upper
    is_theirs = any(name.casefold() == SYNC_VIEW.casefold() for name in known_types)
    names_view = not is_theirs and _names_sync_view(tokens)
    return Statement(cypher, labels if typed else None, not _ID_WORDS.isdisjoint(upper), "SET" in upper, names_view)


def _names_sync_view(tokens: Sequence[Token]) -> bool:
    """Whether the view is named as a label anywhere; the database does not tell upper case from lower case."""
    return any(
        token.is_name and token.value.casefold() == SYNC_VIEW.casefold() and before.value in (":", "|", "&")
        for before, token in pairwise(tokens)
    )


def _tokens(cypher: str) -> list[Token]:
    if not isinstance(cypher, str) or not cypher.strip():
        raise InvalidInputError("is empty: send one Cypher statement", field="cypher")
    if len(cypher) > STATEMENT_SIZE_MAX:
        raise InvalidInputError(f"has {len(cypher)} characters, at most {STATEMENT_SIZE_MAX}", field="cypher")
    tokens = [
        Token(str(match.lastgroup), match.group().strip("`") if match.lastgroup == "quoted" else match.group())
        for match in _TOKEN.finditer(cypher)
        if match.lastgroup != "skip"
    ]
    while tokens and tokens[-1].value == ";" and tokens[-1].kind == "other":
        tokens.pop()
    if not tokens:
        raise InvalidInputError("is empty: send one Cypher statement", field="cypher")
    return tokens


def _check_one_statement(tokens: Sequence[Token]) -> None:
    for token in tokens:
        if token.kind == "other" and token.value in ";'\"`":
            raise InvalidInputError(
                "holds an unclosed quote or several statements: send one at a time", field="cypher"
            )


def _check_words(tokens: Sequence[Token]) -> None:
    first = tokens[0].value.upper()
    second = tokens[1].value.upper() if len(tokens) > 1 else ""
    if first in _SCHEMA_WORDS or (first == "CREATE" and tokens[1].kind == "word" and second in _TABLE_WORDS):
        raise UnsupportedError(
            f"{first} {second} changes the schema: types and properties are extended by the typed mutations"
        )
    if tokens[0].kind != "word" or first not in _FIRST_WORDS:
        allowed = ", ".join(sorted(_FIRST_WORDS))
        raise InvalidInputError(f"starts with {tokens[0].value!r}: begin with one of {allowed}", field="cypher")
    for before, token in zip((Token("other", ""), *tokens), tokens, strict=False):
        is_member = before.value in (".", ":", "$") or token.kind != "word"
        if not is_member and token.value.upper() in _REFUSED_WORDS:
            raise InvalidInputError(
                f"{token.value} is not allowed: no procedures, no files, no other databases", field="cypher"
            )
        if token.is_name and token.value.startswith("_") and before.value != "$":
            raise InvalidInputError(f"{token.value!r} is internal: names must not start with _", field="cypher")


def _labels(tokens: Sequence[Token]) -> frozenset[str] | None:
    """Return every label of every pattern; None as soon as one pattern can match any type."""
    labels: set[str] = set()
    bound: set[str] = set()
    for index, token in enumerate(tokens):
        if token.kind != "other" or token.value not in "([-<":
            continue
        if token.value in "-<":
            if _is_bare_arrow(tokens, index):
                return None
            continue
        if not _opens_pattern(tokens, index):
            continue
        name, found = _pattern_labels(tokens, index + 1)
        if found:
            labels |= found
            bound |= {name}
        elif not name or name not in bound:
            return None
    return frozenset(labels)


def _is_bare_arrow(tokens: Sequence[Token], index: int) -> bool:
    """Whether this is a relationship without brackets: `--`, `-->` or `<--`."""
    follower = tokens[index + 1].value if index + 1 < len(tokens) else ""
    previous = tokens[index - 1].value if index else ""
    return tokens[index].value == "-" and follower == "-" and previous in (")", "<")


def _opens_pattern(tokens: Sequence[Token], index: int) -> bool:
    before = tokens[index - 1] if index else Token("other", "")
    if tokens[index].value == "[":
        return before.value == "-"
    return not before.is_name or before.value.upper() in _PATTERN_WORDS


def _pattern_labels(tokens: Sequence[Token], index: int) -> tuple[str, set[str]]:
    """Return the variable and the labels of a pattern that starts here, as `name :Label |Other`."""
    name = ""
    if index < len(tokens) and tokens[index].is_name:
        name, index = tokens[index].value, index + 1
    labels: set[str] = set()
    while index + 1 < len(tokens) and tokens[index].value in (":", "|", "&") and tokens[index + 1].value != ":":
        if not tokens[index + 1].is_name:
            return name, set()
        labels.add(tokens[index + 1].value)
        index += 2
    return name, labels
