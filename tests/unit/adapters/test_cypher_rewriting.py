"""How a statement is written anew, and how its columns are called."""

from __future__ import annotations

import pytest

from slipstream.adapters.cypher.kglite.columns import Columns
from slipstream.adapters.cypher.kglite.names import PREFIX, RESERVED, stored_name, stored_value, user_name, user_value
from slipstream.adapters.cypher.kglite.statement import statement_of
from slipstream.domain.errors import InvalidInputError


@pytest.mark.parametrize(
    ("cypher", "text"),
    [
        ("MATCH (n) RETURN n.age", "MATCH (`n`) RETURN `n`.`age`"),
        ("MATCH (n) RETURN n.title", "MATCH (`n`) RETURN `n`.`slip__title`"),
        ("MATCH (n {type: 1}) RETURN {name: 2}", "MATCH (`n` {`slip__type`: 1}) RETURN {`slip__name`: 2}"),
        ("MATCH (n:title)-[r:type]->() RETURN r", "MATCH (`n`:`title`)-[`r`:`type`]->() RETURN `r`"),
        ("WITH 1 AS type RETURN type", "WITH 1 AS `type` RETURN `type`"),
        ("RETURN n {.title, title, x}", "RETURN `n` {.`slip__title`, `slip__title`: `title`, `x`}"),
        ("RETURN {a: title, b: x}", "RETURN {`a`: `title`, `b`: `x`}"),
        ("RETURN 'x'AS y", "RETURN $slip__0_ AS `y`"),
        ("RETURN 'x', \"x\", 'y'", "RETURN $slip__0_, $slip__0_, $slip__1_"),
        ("MATCH (n) RETURN id(n), id(startNode(n))", "MATCH (`n`) RETURN `n`.`id`, (startNode(`n`)).`id`"),
        ("RETURN [1,2][0], [1,2][0..1], [1][-1]", "RETURN [1,2][0], [1,2][0..1], [1][-1]"),
        ("RETURN 1 IN [x IN [1] | x], 1 IN [1]", "RETURN 1 IN ([`x` IN [1] | `x`]), 1 IN [1]"),
        ("RETURN upper('a'), percentileCont(1, 2)", "RETURN toUpper($slip__0_), percentile_cont(1, 2)"),
        ("MATCH ()-[*1..3]-() RETURN 1// end", "MATCH ()-[*1..3]-() RETURN 1"),
        ("RETURN date().year", "RETURN date().`year`"),
    ],
)  # fmt: skip
def test_a_statement_is_written_anew(cypher: str, text: str) -> None:
    assert statement_of(cypher, writing=False).text == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"'a\'b'", "a'b"),
        (r"'\n\t\\'", "\n\t\\"),
        (r"'\u00e9\U0001F600'", "é😀"),
        (r"'\d+\.'", r"\d+\."),
        ('"\'"', "'"),
    ],
)
def test_texts_become_parameters(text: str, value: str) -> None:
    assert statement_of(f"RETURN {text}", writing=False).literals == {"slip__0_": value}


@pytest.mark.parametrize("name", [*sorted(RESERVED), "age", PREFIX, f"{PREFIX}title", f"{PREFIX}{PREFIX}x", ""])
def test_a_name_comes_back(name: str) -> None:
    assert stored_name(name) not in RESERVED
    assert user_name(stored_name(name)) == name


def test_keys_of_nested_maps_come_back_and_those_of_kglite_do_not() -> None:
    value = {"title": [{"type": 1, "x": {"labels": []}}], "id": 2}
    assert user_value(stored_value(value) | {"title": "virtual", "type": "virtual"}) == value


@pytest.mark.parametrize(
    ("cypher", "found", "named"),
    [
        ("RETURN n.title, n.x AS x, 'a'  + 'b'", ["?", "x", "?"], ["n.title", "x", "'a'  + 'b'"]),
        ("MATCH (n) RETURN *, n.title", ["n", "?"], ["n", "n.title"]),
        ("MATCH (n) RETURN *", ["n"], ["n"]),
        ("MATCH (n) RETURN DISTINCT n.x ORDER BY n.x LIMIT 3", ["?"], ["n.x"]),
        ("MATCH (n) CALL { RETURN 1 AS a } RETURN n, [1, 2]", ["?", "?"], ["n", "[1, 2]"]),
        ("RETURN {a: 1, b: 2}, 3 UNION RETURN 1, 2", ["?", "?"], ["{a: 1, b: 2}", "3"]),
        ("MATCH (n) SET n.x = 1", [], []),
    ],
)
def test_columns_are_called_as_they_were_written(cypher: str, found: list[str], named: list[str]) -> None:
    assert statement_of(cypher, writing=True).columns.named(found) == named


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="AS"):
        Columns(("a", "a")).named(["x", "y"])


def test_a_message_is_told_in_the_callers_words() -> None:
    statement = statement_of("MATCH (n {title: 'x'}) RETURN m", writing=False)
    message = "Undefined `m` at line 1, col 7: slip__title is not $slip__0_\n  more"
    assert statement.in_words_of_the_caller(message) == "Undefined m: title is not 'x'"
