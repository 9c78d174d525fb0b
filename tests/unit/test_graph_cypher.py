"""What the Cypher guard lets through, and which types it takes a statement to touch."""

from __future__ import annotations

import pytest

from slipstream.adapters.graphs.ladybug.cypher import STATEMENT_SIZE_MAX, guarded
from slipstream.domain.errors import InvalidInputError, UnsupportedError

KNOWN = frozenset({"Person", "Org", "KNOWS", "My Type"})


@pytest.mark.parametrize(
    ("cypher", "labels"),
    [
        ("MATCH (p:Person) SET p.x = 1", {"Person"}),
        ("MATCH (p:Person)-[k:KNOWS]->(o:Org) SET k.x = 1", {"Person", "KNOWS", "Org"}),
        ("MATCH (p:Person|Org) SET p.x = 1", {"Person", "Org"}),
        ("MATCH (p:`My Type`) SET p.x = 1", {"My Type"}),
        ("MATCH (a:Person), (b:Org) CREATE (a)-[:KNOWS]->(b)", {"Person", "Org", "KNOWS"}),
        ("CREATE (:Person {id: 'x', n: 1 - 2, tags: ['a']})", {"Person"}),
        ("MATCH (p:Person) WHERE size(p.name) > (1 + 2) DELETE p", None),
        ("MATCH (p:Person) SET p.x = '(n)--[m] DETACH'", {"Person"}),
        ("MATCH (n) SET n.x = 1", None),
        ("MATCH (p:Person)-[k]->(o:Org) SET k.x = 1", None),
        ("MATCH (p:Person)-->(o:Org) SET p.x = 1", None),
        ("MATCH (p:Person)--(o:Org) SET p.x = 1", None),
        ("MATCH (p:Person)<--(o:Org) SET p.x = 1", None),
        ("MATCH (p:Person) DETACH DELETE p", None),
        ("MATCH (p:Unknown) SET p.x = 1", None),
        ("MATCH (p:Person) MATCH (q) SET q.x = 1", None),
        ("MATCH (p:Person) WHERE EXISTS { MATCH (n) } SET p.x = 1", None),
    ],
)
def test_labels_are_known_or_any(cypher: str, labels: set[str] | None) -> None:
    assert guarded(cypher, KNOWN).labels == (None if labels is None else frozenset(labels))


@pytest.mark.parametrize(
    ("cypher", "changes"),
    [
        ("MATCH (p:Person) SET p.x = 1", False),
        ("MATCH (p:Person) SET p.x = 'CREATE'", False),
        ("MATCH (p:Person) SET p.`delete` = 1", False),
        ("MERGE (p:Person {id: 'a'})", True),
        ("MATCH (p:Person) delete p", True),
    ],
)
def test_only_some_statements_change_identities(cypher: str, changes: bool) -> None:
    assert guarded(cypher, KNOWN).changes_identities is changes


@pytest.mark.parametrize(
    "cypher",
    [
        "", "  ", ";", "// nothing", "COMMIT", "BEGIN TRANSACTION", "CHECKPOINT", "EXPLAIN MATCH (n) RETURN n",
        "MATCH (n) RETURN n; MATCH (n) RETURN n", "RETURN 'open", "RETURN \"open", "MATCH (n:`open) RETURN n",
        "CALL threads=3", "MATCH (n) CALL show_tables() RETURN *", "LOAD FROM 'x' RETURN *", "COPY Person FROM 'x'",
        "MATCH (n:_Outbox) RETURN n", "MATCH (n) RETURN n._mixed", "MATCH (n:`_Meta`) RETURN n", "/* RETURN 1",
        "RETURN 1 // \n; COMMIT", "RETURN '\\'; COMMIT", "x" * (STATEMENT_SIZE_MAX + 1),
    ],
)  # fmt: skip
def test_what_leaves_the_transaction_or_names_our_tables_is_refused(cypher: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        guarded(cypher, KNOWN)
    assert caught.value.field == "cypher"


@pytest.mark.parametrize(
    "cypher",
    ["DROP TABLE Person", "alter table Person ADD x STRING", "CREATE NODE TABLE X(id STRING PRIMARY KEY)",
     "CREATE REL TABLE X(FROM A TO B)", "COMMENT ON TABLE Person IS 'x'", "create /* */ macro f(x) AS x"],
)  # fmt: skip
def test_schema_statements_are_unsupported(cypher: str) -> None:
    with pytest.raises(UnsupportedError):
        guarded(cypher, KNOWN)


@pytest.mark.parametrize(
    "cypher",
    ["MATCH (n) RETURN n;", "MATCH (n) RETURN n ; // done", "RETURN '; COMMIT', \"it's\", '\\'; x'",
     "MATCH (n:Person) WHERE n.load = $_p RETURN n.call", "UNWIND [1, 2] AS x RETURN x", "match (n) return n"],
)  # fmt: skip
def test_ordinary_statements_pass(cypher: str) -> None:
    assert guarded(cypher, KNOWN).cypher == cypher
