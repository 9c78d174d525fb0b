"""Whatever text gets past the guard, kglite reads no word outside of backticks that is not on the list."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.adapters.cypher.kglite.allowed import FUNCTION_ALIASES, FUNCTIONS
from slipstream.adapters.cypher.kglite.grammar import READING_WORDS, WRITING_WORDS
from slipstream.adapters.cypher.kglite.names import PREFIX
from slipstream.adapters.cypher.kglite.statement import statement_of
from slipstream.domain.errors import InvalidInputError, UnsupportedError
from tests.depth import examples

_PIECES = r"""
    MATCH OPTIONAL WHERE WITH UNWIND RETURN ORDER BY SKIP LIMIT UNION ALL CALL CASE WHEN THEN ELSE END AS DISTINCT
    AND OR NOT IN IS NULL TRUE STARTS CREATE MERGE SET REMOVE DELETE DETACH ON FOREACH EXISTS COUNT COLLECT
    LOAD CSV FROM INDEX CONSTRAINT FOR SHOW DROP FORMAT FINISH FILTER INSERT EXPLAIN USING OVER YIELD HAVING
    db.cdc.enable n m title keys size id labels date duration date.truncate text_score
    ( ) [ ] { } . .. , : | = <> -> <- - * + 'a' "b" 'it\'s' `q` `LOAD` $x 1 2.5 1..2 // /* */ ; ( ) ( ) { } [ ] n n
"""
PIECES = st.sampled_from(_PIECES.split())
SOUP = st.lists(st.tuples(PIECES, st.sampled_from(["", " ", "\n"])), max_size=25)
OPENINGS = st.sampled_from(
    ["MATCH (n) ", "RETURN ", "MATCH (n) RETURN n", "UNWIND [1] AS x ", "CALL { RETURN 1 AS y } "]
)
_QUOTED = re.compile(r"`[^`]*`")
_WORD = re.compile(r"(?<![\w$.])\$?[A-Za-z_]\w*(?:\.(?!\.)[A-Za-z_]\w*)*")
_SPELLED = {alias.lower() for alias in FUNCTION_ALIASES.values()}


def is_listed(word: str) -> bool:
    return (
        word.startswith(("$", f"{PREFIX}k"))
        or word.upper() in READING_WORDS | WRITING_WORDS | {"EXISTS", "COUNT", "COLLECT"}
        or word.lower() in FUNCTIONS | _SPELLED
    )


def check(cypher: str, *, writing: bool) -> None:
    try:
        text = statement_of(cypher, writing=writing).text
    except (InvalidInputError, UnsupportedError):
        return
    words = _WORD.findall(_QUOTED.sub(" ` ", text))
    assert [word for word in words if not is_listed(word)] == []
    assert writing or not {word.upper() for word in words} & WRITING_WORDS
    assert not set("'\"\\;#@?") & set(_QUOTED.sub("", text))


@settings(max_examples=examples(500, 10_000))
@given(OPENINGS, SOUP, st.booleans())
def test_words_in_any_order(opening: str, soup: list[tuple[str, str]], writing: bool) -> None:
    check(opening + "".join(piece + space for piece, space in soup), writing=writing)


@settings(max_examples=examples(200, 5_000))
@given(OPENINGS, st.text(max_size=60), st.booleans())
def test_any_text(opening: str, text: str, writing: bool) -> None:
    check(opening + text, writing=writing)
