"""
What a statement may contain, decided on its parts before kglite sees any of it. Pure.

This lists what is allowed, not what is forbidden: a word that is not an allowed clause can only be a name, two names
are never adjacent, and a name before a parenthesis must be a listed function. So a clause that is not listed can not
be written, whatever kglite would make of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from slipstream.adapters.cypher.kglite.grammar import WRITING_WORDS, Bracket, Part, Role
from slipstream.adapters.cypher.kglite.names import PREFIX
from slipstream.adapters.cypher.kglite.tokens import Kind, refused
from slipstream.domain.errors import UnsupportedError

_FUNCTIONS = """
    abs ceil floor round sign sqrt exp log log10 pi sin cos tan cot asin acos atan atan2 degrees radians haversin rand
    tointeger tofloat tostring toboolean size length head last tail range reverse coalesce left right substring
    replace split trim ltrim rtrim tolower toupper randomuuid valuetype
    id elementid keys labels properties type startnode endnode nodes relationships degree indegree outdegree
    shortestpath allshortestpaths exists
    count sum avg min max collect stdev percentile_cont percentile_disc median
    all any none single reduce
    date datetime localdatetime time localtime duration point distance
    date.truncate datetime.truncate localdatetime.truncate duration.indays duration.inmonths duration.inseconds
"""
FUNCTIONS = frozenset(_FUNCTIONS.split())
"""In lower case; case does not matter."""
FUNCTION_ALIASES = {
    "percentilecont": "percentile_cont",
    "percentiledisc": "percentile_disc",
    "lower": "toLower",
    "upper": "toUpper",
    "char_length": "size",
    "character_length": "size",
    "rels": "relationships",
}
"""Standard names that kglite spells differently."""
_WRONG_FUNCTIONS = {
    "duration.between": "use duration.inMonths, duration.inDays or duration.inSeconds, which say what they count",
}
_FIRST_WORDS = frozenset({"MATCH", "OPTIONAL", "UNWIND", "WITH", "RETURN", "CALL", "CREATE", "MERGE", "FOREACH"})
_FOLLOWERS = {
    "OPTIONAL": ("MATCH",),
    "ORDER": ("BY",),
    "DETACH": ("DELETE",),
    "ON": ("CREATE", "MATCH"),
    "STARTS": ("WITH",),
    "ENDS": ("WITH",),
}
_BEGINS_OPERAND = frozenset({Role.VARIABLE, Role.FUNCTION, Role.NAMESPACE, Role.SUBQUERY, Role.VALUE, Role.ALIAS})
_CLAUSES = "MATCH, OPTIONAL MATCH, WHERE, WITH, UNWIND, CALL { }, RETURN, ORDER BY, SKIP, LIMIT, UNION"
_NAMED = frozenset({Role.VARIABLE, Role.ALIAS, Role.SHORTHAND})


def check(parts: Sequence[Part], *, writing: bool) -> None:
    """Raise `InvalidInputError` (field `cypher`) or `UnsupportedError` for a statement that may not run."""
    first = parts[0]
    if first.word not in _FIRST_WORDS:
        raise refused(f"starts with {first.token.value!r}: begin with one of {', '.join(sorted(_FIRST_WORDS))}")
    for index, part in enumerate(parts):
        if part.word in WRITING_WORDS and not writing:
            raise refused(f"would write ({part.word}): a query only reads, use execute")
        if part.word:
            _check_follower(parts, index)
        if part.role is Role.FUNCTION:
            _check_function(function_name(parts, index))
        _check_name(part)
    for before, part in pairwise(parts):
        if before.ends_operand and part.role in _BEGINS_OPERAND:
            raise refused(f"{part.token.value!r} is not allowed here: allowed are {_CLAUSES}")


def _check_follower(parts: Sequence[Part], index: int) -> None:
    word = parts[index].word
    after = parts[index + 1] if index + 1 < len(parts) else None
    if word in _FOLLOWERS and (after is None or after.word not in _FOLLOWERS[word]):
        raise refused(f"{word} is followed by {' or '.join(_FOLLOWERS[word])}")
    if word in ("CREATE", "MERGE") and parts[index - 1].word != "ON" and not _opens_pattern(parts, index + 1):
        raise UnsupportedError(
            f"{word} is followed by a pattern: types and properties need no schema, they are there once they are used"
        )
    if word == "CALL" and not _opens_block(parts, index + 1):
        raise refused("CALL is followed by a subquery in braces: procedures are not allowed")
    if word == "FOREACH" and (after is None or after.symbol != "("):
        raise refused("FOREACH is followed by (variable IN list | clauses)")


def _opens_pattern(parts: Sequence[Part], index: int) -> bool:
    if index >= len(parts):
        return False
    named = parts[index].token.is_name and index + 1 < len(parts) and parts[index + 1].symbol == "="
    return parts[index].symbol == "(" or named


def _opens_block(parts: Sequence[Part], index: int) -> bool:
    if index < len(parts) and parts[index].symbol == "(":
        index = parts[index].close + 1
    return index < len(parts) and parts[index].bracket is Bracket.BLOCK


def function_name(parts: Sequence[Part], index: int) -> str:
    """Return the full name of the function called at `index`, in lower case."""
    name = parts[index].token.value
    while index >= 2 and parts[index - 1].symbol == ".":
        index -= 2
        name = f"{parts[index].token.value}.{name}"
    return name.lower()


def _check_function(name: str) -> None:
    if name in _WRONG_FUNCTIONS:
        raise UnsupportedError(f"{name} does not count as it should here: {_WRONG_FUNCTIONS[name]}")
    if name not in FUNCTIONS and name not in FUNCTION_ALIASES:
        raise refused(f"{name}() is no function that is allowed; docs/cypher.md lists them")


def _check_name(part: Part) -> None:
    token = part.token
    named = part.role in _NAMED or token.kind is Kind.PARAMETER
    if named and token.value.startswith(PREFIX):
        raise refused(f"{token.value!r}: names must not start with {PREFIX}")
    if token.kind is Kind.WORD and part.role is Role.FUNCTION and not token.value.isascii():
        raise refused(f"{token.value}() is no function that is allowed")
