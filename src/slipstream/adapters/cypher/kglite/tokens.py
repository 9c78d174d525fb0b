"""Cypher text as tokens. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from slipstream.domain.errors import InvalidInputError

STATEMENT_SIZE_MAX = 100_000
_TOKEN = re.compile(
    r"""
    (?P<skip>\s+|//[^\n]*|/\*.*?\*/)
  | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
  | \$(?P<parameter>[A-Za-z_][A-Za-z0-9_]*)
  | `(?P<quoted>[^`]*)`
  | (?P<word>[^\W\d]\w*)
  | (?P<number>0[xX][0-9A-Fa-f]+|0o[0-7]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
  | (?P<symbol>[()\[\]{}<>=+\-*/%^.,:|&!~])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "'": "'", '"': '"', "\\": "\\"}
_CODE_POINT_MAX = 0x10FFFF


class Kind(StrEnum):
    """What a token is."""

    WORD = "word"
    QUOTED = "quoted"
    TEXT = "text"
    PARAMETER = "parameter"
    NUMBER = "number"
    SYMBOL = "symbol"


@dataclass(frozen=True, slots=True)
class Token:
    """
    A piece of a statement.

    `value` is a name without its backticks, a text without its quotes and escapes, a parameter without its `$`.
    """

    kind: Kind
    value: str
    start: int
    end: int
    spaced: bool
    """Whether white space or a comment stands before it."""

    @property
    def is_name(self) -> bool:
        """Whether it can name a variable, label, property or function."""
        return self.kind in (Kind.WORD, Kind.QUOTED)

    @property
    def symbol(self) -> str:
        """The character that it is, empty for everything but a symbol."""
        return self.value if self.kind is Kind.SYMBOL else ""


def refused(message: str) -> InvalidInputError:
    """Return the error for a statement that is wrong or not allowed."""
    return InvalidInputError(message, field="cypher")


def tokens_of(cypher: object) -> list[Token]:
    """Return the tokens of ONE statement; raises `InvalidInputError` (field `cypher`) for none or several."""
    if not isinstance(cypher, str) or not cypher.strip():
        raise refused("is empty: send one Cypher statement")
    if len(cypher) > STATEMENT_SIZE_MAX:
        raise refused(f"has {len(cypher)} characters, at most {STATEMENT_SIZE_MAX}")
    found: list[Token] = []
    index, spaced, ended = 0, False, False
    while index < len(cypher):
        if cypher[index] == ";":
            index, ended, spaced = index + 1, True, True
            continue
        match = _TOKEN.match(cypher, index)
        if match is None or (match.lastgroup == "symbol" and cypher.startswith("/*", index)):
            raise _unreadable(cypher, index)
        index = match.end()
        if match.lastgroup == "skip":
            spaced = True
            continue
        if ended:
            raise refused("holds several statements: send one at a time")
        found.append(_token(match, spaced=spaced))
        spaced = False
    if not found:
        raise refused("is empty: send one Cypher statement")
    return found


def _unreadable(cypher: str, index: int) -> InvalidInputError:
    character = cypher[index]
    if character in "'\"`":
        return refused(f"holds a quote that is not closed: {cypher[index : index + 20]!r}")
    if cypher.startswith("/*", index):
        return refused("holds a comment that is not closed")
    if character == "$":
        return refused("a parameter is $ and a name of letters, digits and underscores")
    return refused(f"{character!r} is no character of Cypher outside a text")


def _token(match: re.Match[str], *, spaced: bool) -> Token:
    kind = Kind(str(match.lastgroup))
    value = match.group(match.lastgroup or 0)
    if kind is Kind.TEXT:
        value = _ESCAPE.sub(_unescaped, value[1:-1])
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise refused("holds a surrogate that is not valid Unicode text")
    if kind is Kind.QUOTED and (not value or any(character < " " for character in value)):
        raise refused("a name in backticks has at least one character, and no control characters")
    return Token(kind, value, match.start(), match.end(), spaced)


def _unescaped(match: re.Match[str]) -> str:
    escape = match.group(1)
    if len(escape) == 1:
        return _ESCAPES.get(escape, match.group())  # `\d` of a regular expression stays as it is
    point = int(escape[1:], 16)
    if point > _CODE_POINT_MAX:
        raise refused(f"{match.group()} is no character")
    return chr(point)
