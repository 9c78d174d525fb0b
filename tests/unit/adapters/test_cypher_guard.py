"""What a statement may say: a list of what is allowed, over the lexed text."""

from __future__ import annotations

from typing import Any

import pytest

from slipstream.adapters.cypher.kglite.statement import statement_of
from slipstream.adapters.cypher.kglite.tokens import STATEMENT_SIZE_MAX
from slipstream.domain.errors import InvalidInputError, UnsupportedError

READS = [
    "MATCH (n) RETURN n",
    "match (n:Person) where n.age > 3 return n.name as name order by name desc skip 1 limit 2",
    "MATCH (n) RETURN n;",
    "MATCH (n) RETURN n ; // done",
    "/* one */ MATCH (n) /* two */ RETURN count(*) // three",
    "OPTIONAL MATCH (n:`My Type`)-[r:KNOWS|LIKES*1..3]->(m {id: $id}) RETURN n, r, m",
    "UNWIND [1, 2] AS x WITH x WHERE x > 1 RETURN DISTINCT x",
    "MATCH (n) CALL { WITH n MATCH (n)-->(m) RETURN count(m) AS c } RETURN n.id, c",
    "MATCH (n) CALL (n) { MATCH (n)-->(m) RETURN count(m) AS c } RETURN c",
    "MATCH (n) WHERE EXISTS { (n)-->(:P) } AND COUNT { (n)--() } > 1 RETURN n",
    "RETURN CASE WHEN true THEN 'a' ELSE 'b' END AS x",
    "MATCH p = shortestPath((a)-[*]-(b)) RETURN [n IN nodes(p) | n.name]",
    "RETURN 1 AS x UNION ALL RETURN 2 AS x",
    "RETURN '; DROP', \"it's\", 'a\\'b', 'CREATE (n)'",
    "MATCH (n) WHERE n.create = $set RETURN n.delete, n.`merge`",
    "RETURN all(x IN [1] WHERE x > 0) AND any(x IN [1] WHERE x IN [2]) AS x",
    "RETURN duration.inDays(date('2024-01-01'), date()).days AS d",
    "MATCH (größe:Ö) RETURN größe.länge",
    "RETURN 0x1F, 1e3, 1.5, [1,2,3][0..2], [1,2][-1]",
]
WRITES = [
    "CREATE (:P {id: 'a'})",
    "MERGE (p:P {id: 'a'}) ON CREATE SET p.x = 1 ON MATCH SET p.x = 2",
    "MATCH (n) SET n.x = 1",
    "MATCH (n) SET n += $map REMOVE n.y",
    "MATCH (n) DETACH DELETE n",
    "MATCH (a), (b) CREATE p = (a)-[:R]->(b) RETURN p",
    "UNWIND $rows AS row MERGE (:P {id: row.id})",
    "FOREACH (x IN [1, 2] | CREATE (:P {id: toString(x)}))",
]
REFUSED: list[Any] = [
    "", "  ", ";", "// nothing", "/* nothing */", pytest.param("x" * (STATEMENT_SIZE_MAX + 1), id="long"),
    "BEGIN", "COMMIT", "EXPLAIN MATCH (n) RETURN n", "PROFILE MATCH (n) RETURN n", "`MATCH` (n) RETURN n",
    "MATCH (n) RETURN n; MATCH (n) RETURN n", "; RETURN 1",
    "RETURN 'open", 'RETURN "open', "MATCH (n:`open) RETURN n", "RETURN 1 /* open", "RETURN '\\'",
    "RETURN (1", "RETURN 1)", "RETURN [1}", "RETURN " + "(" * 101 + ")" * 101,
    "LOAD CSV FROM 'x' AS row RETURN row", "MATCH (n) LOAD CSV FROM 'x' AS row RETURN row",
    "CALL db.labels()", "CALL db.labels", "MATCH (n) CALL db.cdc.enable() RETURN n", "CALL (x) RETURN 1",
    "CALL { RETURN 1 AS x } YIELD x RETURN x",
    "SHOW INDEXES", "MATCH (n) SHOW INDEXES", "DROP INDEX x", "INSERT (:P)", "FINISH", "USE other MATCH (n) RETURN n",
    "MATCH (n) RETURN n FORMAT CSV", "MATCH (n) RETURN * FORMAT CSV", "MATCH (n) FILTER n.x RETURN n",
    "MATCH (n) USING INDEX n:P(x) RETURN n", "FOR VALID_TIME ALL MATCH (n) RETURN n",
    "RETURN rank() OVER (ORDER BY 1)", "RETURN n OVER (ORDER BY 1)", "MATCH (n) RETURN n HAVING n.x > 1",
    "RETURN load_csv('x')", "RETURN `load_csv`('x')", "RETURN text_score(1, 2)", "RETURN db.x()", "RETURN a.b.c('x')",
    "RETURN nope(1)", "RETURN 1 2", "RETURN 'a' 'b'", "RETURN 'it''s'", "RETURN 1 AS a b", "RETURN $1", "RETURN $",
    "RETURN 1 # 2", "RETURN 'a' AS slip__x", "RETURN $slip__0_", "RETURN 'a\\ud800'", "RETURN ``",
    "MATCH (n) OPTIONAL RETURN n", "MATCH (n) RETURN n ORDER n.x",
]  # fmt: skip


@pytest.mark.parametrize("cypher", READS)
def test_what_reads_is_allowed(cypher: str) -> None:
    assert not statement_of(cypher, writing=False).writes


@pytest.mark.parametrize("cypher", WRITES)
def test_what_writes_is_for_execute(cypher: str) -> None:
    assert statement_of(cypher, writing=True).writes
    with pytest.raises(InvalidInputError, match="use execute") as caught:
        statement_of(cypher, writing=False)
    assert caught.value.field == "cypher"


@pytest.mark.parametrize("cypher", REFUSED)
@pytest.mark.parametrize("writing", [False, True])
def test_everything_else_is_refused(cypher: str, writing: bool) -> None:
    with pytest.raises(InvalidInputError) as caught:
        statement_of(cypher, writing=writing)
    assert caught.value.field == "cypher"


@pytest.mark.parametrize(
    "cypher",
    ["CREATE INDEX FOR (n:P) ON (n.x)", "CREATE CONSTRAINT x ON (n:P)", "CREATE CONSTRAINT ON (n:P)", "MERGE x"],
)
def test_schema_statements_are_unsupported(cypher: str) -> None:
    with pytest.raises(UnsupportedError, match="need no schema"):
        statement_of(cypher, writing=True)


def test_a_function_is_called_by_its_whole_name() -> None:
    with pytest.raises(InvalidInputError, match=r"apoc\.text\.join\(\) is no function"):
        statement_of("RETURN apoc.text.join(['a'], '-')", writing=False)


def test_a_function_that_would_be_wrong_says_what_to_use() -> None:
    with pytest.raises(UnsupportedError, match="inMonths"):
        statement_of("RETURN duration.between(date(), date()).months", writing=False)


@pytest.mark.parametrize("value", [None, 7, b"RETURN 1"])
def test_only_text_is_a_statement(value: object) -> None:
    with pytest.raises(InvalidInputError):
        statement_of(value, writing=False)


@pytest.mark.parametrize("cypher", READS + WRITES)
def test_no_quote_escape_or_comment_of_the_callers_is_left(cypher: str) -> None:
    text = statement_of(cypher, writing=True).text
    assert not set("'\"\\;") & set(text)
    assert "//" not in text
    assert "/*" not in text
    assert text.replace("`", "").isascii() or "`" in text
