"""
Rewrites a caller's statement for kglite. Pure.

It is written anew, token by token: texts become parameters and names are put in backticks, so that kglite never reads
a quote, an escape or a comment of the caller's. Names that kglite would answer itself are replaced (`names.py`), and
expressions on which kglite differs from Cypher are rewritten: `keys(x)`, `x[key]`, `id(x)`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from slipstream.adapters.cypher.kglite.allowed import FUNCTION_ALIASES, check, function_name
from slipstream.adapters.cypher.kglite.columns import Columns, columns_of
from slipstream.adapters.cypher.kglite.grammar import WRITING_WORDS, Bracket, Part, Role, parts_of
from slipstream.adapters.cypher.kglite.names import PREFIX, RESERVED, stored_name
from slipstream.adapters.cypher.kglite.tokens import Kind

_QUOTED_ROLES = frozenset({Role.MEMBER, Role.KEY, Role.LABEL, Role.ALIAS, Role.SHORTHAND, Role.VARIABLE})
_PREFIX_PARAMETER, _RESERVED_PARAMETER = f"{PREFIX}prefix", f"{PREFIX}reserved"
_AS_STORED = (
    "head([{k} IN [{inner}] | CASE WHEN {k} IN $" + _RESERVED_PARAMETER + " THEN $" + _PREFIX_PARAMETER + " + {k} "
    "ELSE {k} END])"
)
_AS_KNOWN = (
    "([{k} IN keys({inner}) WHERE NOT {k} IN $" + _RESERVED_PARAMETER + " | CASE WHEN {k} STARTS WITH $"
    + _PREFIX_PARAMETER + " THEN substring({k}, " + str(len(PREFIX)) + ") ELSE {k} END])"
)  # fmt: skip
_WORDLIKE = re.compile(r"\w", re.ASCII)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that may run."""

    text: str
    literals: Mapping[str, Any]
    """Parameters that replace its texts."""
    columns: Columns
    parameters: frozenset[str]
    """The caller's parameters that it uses."""
    keys: frozenset[str]
    """Keys of its maps, including those in patterns, in the mirror's form."""
    labels: frozenset[str]
    functions: frozenset[str]
    writes: bool

    def in_words_of_the_caller(self, message: str) -> str:
        """Return a message of kglite's in terms of the caller's statement."""
        message = re.sub(r" at line \d+, col \d+|`", "", message.partition("\n")[0])
        for name, value in sorted(self.literals.items(), reverse=True):
            message = message.replace(f"${name}", repr(value))
        return message.replace(PREFIX, "")


def statement_of(cypher: object, *, writing: bool) -> Statement:
    """Return the rewritten statement, or raise `InvalidInputError` (field `cypher`) or `UnsupportedError`."""
    parts = parts_of(cypher)
    check(parts, writing=writing)
    writer = _Writer(parts)
    text = writer.written(0, len(parts))
    return Statement(
        text=text,
        literals={name: value for value, name in writer.literals.items()} | writer.helpers,
        columns=columns_of(str(cypher), parts),
        parameters=frozenset(part.token.value for part in parts if part.token.kind is Kind.PARAMETER),
        keys=frozenset(stored_name(part.token.value) for part in parts if part.role is Role.KEY),
        labels=frozenset(part.token.value for part in parts if part.role is Role.LABEL),
        functions=frozenset(function_name(parts, i) for i, part in enumerate(parts) if part.role is Role.FUNCTION),
        writes=any(part.word in WRITING_WORDS for part in parts),
    )


@dataclass(slots=True)
class _Writer:
    parts: Sequence[Part]
    literals: dict[str, str] = field(default_factory=dict)
    helpers: dict[str, Any] = field(default_factory=dict)
    variables: int = 0

    def written(self, low: int, high: int) -> str:
        pieces: list[str] = []
        last, index = "", low
        while index < high:
            part = self.parts[index]
            piece, following = self._piece(index)
            merges = bool(last) and bool(_WORDLIKE.match(last)) and bool(_WORDLIKE.match(piece))
            if part.token.spaced or merges:
                pieces.append(" ")
            pieces.append(piece)
            last, index = piece[-1:], following
        return "".join(pieces)

    def _piece(self, index: int) -> tuple[str, int]:
        """Return the text for the part at `index` and those written with it, and the index of the next part."""
        part = self.parts[index]
        if part.role is Role.FUNCTION:
            return self._function(index)
        if part.bracket is Bracket.INDEX:
            return self._index(index)
        if part.bracket is Bracket.LIST and index and self.parts[index - 1].word == "IN":
            return self._list_behind_in(index)
        if part.token.kind is Kind.TEXT:
            return self._literal(part), index + 1
        if part.token.kind is Kind.PARAMETER:
            return f"${part.token.value}", index + 1
        return self._name(part), index + 1

    def _name(self, part: Part) -> str:
        name = part.token.value
        if part.role not in _QUOTED_ROLES:
            return name
        if part.role in (Role.MEMBER, Role.KEY):
            return f"`{stored_name(name)}`"
        if part.role is Role.SHORTHAND and stored_name(name) != name:
            return f"`{stored_name(name)}`: `{name}`"
        return f"`{name}`"

    def _literal(self, part: Part, *, is_key: bool = False) -> str:
        """Return the parameter that replaces a text; equal texts get the same one, as UNION needs."""
        value = stored_name(part.token.value) if is_key else part.token.value
        return "$" + self.literals.setdefault(value, f"{PREFIX}{len(self.literals)}_")

    def _function(self, index: int) -> tuple[str, int]:
        name = function_name(self.parts, index)
        opening = index + 1
        close = self.parts[opening].close
        if name == "keys":
            return self._wrapped(_AS_KNOWN, opening + 1, close), close + 1
        if name in ("id", "elementid"):
            inner = self.written(opening + 1, close)
            is_variable = name == "id" and close == opening + 2 and self.parts[opening + 1].role is Role.VARIABLE
            return (f"{inner}.`id`" if is_variable else f"({inner}).`id`"), close + 1
        return FUNCTION_ALIASES.get(name, self.parts[index].token.value), opening

    def _wrapped(self, template: str, low: int, high: int) -> str:
        self.helpers = {_PREFIX_PARAMETER: PREFIX, _RESERVED_PARAMETER: sorted(RESERVED)}
        self.variables += 1
        return template.format(k=f"{PREFIX}k{self.variables}", inner=self.written(low, high))

    def _list_behind_in(self, index: int) -> tuple[str, int]:
        """Write the list of `x IN […]`; kglite takes a comprehension there only in parentheses."""
        close = self.parts[index].close
        inner = self.written(index + 1, close)
        marks = (part.symbol or part.word for part in self.parts[index + 1 : close] if part.inside is Bracket.LIST)
        is_comprehension = not {"|", "WHERE", "IN"}.isdisjoint(marks)
        return (f"([{inner}])" if is_comprehension else f"[{inner}]"), close + 1

    def _index(self, index: int) -> tuple[str, int]:
        """Write `x[key]`: a literal key in its stored form, any other so that it is converted at run time."""
        close = self.parts[index].close
        inside = self.parts[index + 1 : close]
        if len(inside) == 1 and inside[0].token.kind is Kind.TEXT:
            return f"[{self._literal(inside[0], is_key=True)}]", close + 1
        numbered = bool(inside) and inside[-1].token.kind is Kind.NUMBER and len(inside) <= 2
        sliced = any(a.symbol == "." and b.symbol == "." for a, b in pairwise(inside))
        if numbered or sliced:
            return f"[{self.written(index + 1, close)}]", close + 1
        return f"[{self._wrapped(_AS_STORED, index + 1, close)}]", close + 1
