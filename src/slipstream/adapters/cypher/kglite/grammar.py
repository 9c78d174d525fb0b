"""What each token of a statement stands for: a clause, a variable, a property, a label, a function. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from slipstream.adapters.cypher.kglite.tokens import Kind, Token, refused, tokens_of

_READING_WORDS = """
    MATCH OPTIONAL WHERE WITH UNWIND RETURN ORDER BY SKIP LIMIT UNION ALL CALL CASE WHEN THEN ELSE END AS DISTINCT
    AND OR XOR NOT IN IS NULL TRUE FALSE STARTS ENDS CONTAINS ASC DESC ASCENDING DESCENDING
"""
READING_WORDS = frozenset(_READING_WORDS.split())
WRITING_WORDS = frozenset({"CREATE", "MERGE", "SET", "REMOVE", "DELETE", "DETACH", "ON", "FOREACH"})
DEPTH_MAX = 100
_SUBQUERY_WORDS = frozenset({"EXISTS", "COUNT", "COLLECT"})
_CLOSING = {")": "(", "]": "[", "}": "{"}


class Role(StrEnum):
    """What a token is in its statement."""

    KEYWORD = "keyword"
    SUBQUERY = "subquery"
    """EXISTS, COUNT or COLLECT before a block."""
    FUNCTION = "function"
    NAMESPACE = "namespace"
    """The part before the dot of a function's name."""
    VARIABLE = "variable"
    MEMBER = "member"
    """A property after a dot."""
    KEY = "key"
    """A key of a map, also of one in a pattern."""
    SHORTHAND = "shorthand"
    """A variable that is both key and value in a map projection."""
    LABEL = "label"
    """Also the type of a relationship."""
    ALIAS = "alias"
    VALUE = "value"
    """A text, a number or a parameter."""
    SYMBOL = "symbol"


class Bracket(StrEnum):
    """What a bracket opens."""

    GROUP = "group"
    LIST = "list"
    INDEX = "index"
    MAP = "map"
    BLOCK = "block"


_ENDS_OPERAND = frozenset({Role.VARIABLE, Role.MEMBER, Role.LABEL, Role.ALIAS, Role.SHORTHAND, Role.VALUE})
_ROLES_IN_MAP = {":": Role.KEY, ",": Role.SHORTHAND, "}": Role.SHORTHAND}
_NAMES_AFTER_LABEL = frozenset({":", "|", "&", "!"})


@dataclass(slots=True)
class Part:
    """A token with its role; for a bracket, also what it opens, and where it closes."""

    token: Token
    role: Role
    bracket: Bracket | None = None
    close: int = -1
    inside: Bracket | None = None
    """The kind of the innermost bracket around it."""

    @property
    def word(self) -> str:
        """The keyword in capitals; empty for everything else."""
        return self.token.value.upper() if self.role is Role.KEYWORD else ""

    @property
    def symbol(self) -> str:
        """The character that it is, empty for everything but a symbol."""
        return self.token.symbol

    @property
    def ends_operand(self) -> bool:
        """Whether a value ends here, so that no other value can begin right after it."""
        return self.role in _ENDS_OPERAND or self.symbol in (")", "]", "}")


@dataclass(slots=True)
class _Reader:
    tokens: Sequence[Token]
    parts: list[Part] = field(default_factory=list)
    opened: list[int] = field(default_factory=list)
    opening_of: dict[int, int] = field(default_factory=dict)

    def read(self) -> list[Part]:
        for index, token in enumerate(self.tokens):
            part = Part(token, self._role(index), inside=self._inside())
            if token.symbol in _CLOSING:
                self._close(token, index)
                part.inside = self._inside()
            self.parts.append(part)
            if token.symbol in ("(", "[", "{"):
                part.bracket = self._bracket(index)
                self.opened.append(index)
                if len(self.opened) > DEPTH_MAX:
                    raise refused(f"is nested deeper than {DEPTH_MAX} levels")
        if self.opened:
            raise refused(f"the bracket {self.tokens[self.opened[-1]].value} is never closed")
        return self.parts

    def _inside(self) -> Bracket | None:
        return self.parts[self.opened[-1]].bracket if self.opened else None

    def _close(self, token: Token, index: int) -> None:
        if not self.opened or self.tokens[self.opened[-1]].symbol != _CLOSING[token.symbol]:
            raise refused(f"the bracket {token.value} closes none that is open")
        opening = self.opened.pop()
        self.parts[opening].close = index
        self.opening_of[index] = opening

    def _bracket(self, index: int) -> Bracket:
        symbol, before = self.tokens[index].symbol, self.parts[index - 1] if index else None
        if symbol == "(":
            return Bracket.GROUP
        if symbol == "[":
            return Bracket.INDEX if before is not None and before.ends_operand else Bracket.LIST
        if before is None:
            return Bracket.MAP
        is_block = before.role is Role.SUBQUERY or before.word == "CALL" or self._ends_scope(index - 1)
        return Bracket.BLOCK if is_block else Bracket.MAP

    def _ends_scope(self, index: int) -> bool:
        """Whether this closes the parenthesis of `CALL (…)`."""
        opening = self.opening_of.get(index, 0)
        return opening > 0 and self.parts[opening - 1].word == "CALL"

    def _symbol_at(self, index: int) -> str:
        return self.tokens[index].symbol if 0 <= index < len(self.tokens) else ""

    def _role(self, index: int) -> Role:
        token = self.tokens[index]
        if not token.is_name:
            return Role.SYMBOL if token.symbol else Role.VALUE
        before, after = self._symbol_at(index - 1), self._symbol_at(index + 1)
        if before == "." and not self._ends_range(index - 1):
            return Role.FUNCTION if after == "(" else Role.MEMBER
        if before in _NAMES_AFTER_LABEL and self._is_label(index, before):
            return Role.LABEL
        if self._inside() is Bracket.MAP and before in ("{", ",") and after in _ROLES_IN_MAP:
            return _ROLES_IN_MAP[after]
        if self.parts and self.parts[-1].word == "AS":
            return Role.ALIAS
        return self._plain_role(index, after)

    def _ends_range(self, dot: int) -> bool:
        return self._symbol_at(dot - 1) == "." and not self.tokens[dot].spaced

    def _is_label(self, index: int, before: str) -> bool:
        earlier = self.parts[index - 2] if index >= 2 else None
        if before == ":":
            return earlier is None or earlier.role is not Role.KEY
        return before == "!" or (earlier is not None and earlier.role is Role.LABEL)

    def _plain_role(self, index: int, after: str) -> Role:
        token = self.tokens[index]
        word = token.value.upper() if token.kind is Kind.WORD and token.value.isascii() else ""
        if word == "ALL" and not (self.parts and self.parts[-1].word == "UNION"):
            word = ""
        if word in READING_WORDS or word in WRITING_WORDS:
            return Role.KEYWORD
        if word in _SUBQUERY_WORDS and after == "{":
            return Role.SUBQUERY
        if after == "(":
            return Role.FUNCTION
        if after == "." and index + 2 < len(self.tokens) and self.tokens[index + 2].is_name:
            return Role.NAMESPACE if self._symbol_at(index + 3) == "(" else Role.VARIABLE
        return Role.VARIABLE


def parts_of(cypher: object) -> list[Part]:
    """Return the parts of one statement; raises `InvalidInputError` (field `cypher`) when brackets do not match."""
    return _Reader(tokens_of(cypher)).read()
