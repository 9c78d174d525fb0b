"""Cypher that writes: planned on a copy, done as typed mutations of one transaction, or refused before any is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.cypher.kglite import KgliteCypher
from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.domain.errors import AlreadyExistsError, InvalidInputError, NotFoundError, UnsupportedError
from slipstream.domain.keys import RelationshipRef
from slipstream.domain.positions import Position


class Pkg:
    """A graph and its mirror, used as the facade uses them."""

    def __init__(self, path: Path) -> None:
        self.graph = SqliteGraph(path, clock=SystemClock())
        self.cypher = KgliteCypher(path)

    def execute(self, cypher: str, **parameters: Any) -> Position:
        planned = self.cypher.plan(cypher, parameters)
        with self.graph.transaction() as transaction:
            assert transaction.position == planned.position
            planned.apply(transaction)
        return transaction.position

    def entities(self) -> dict[str, Any]:
        rows = self.cypher.query("MATCH (n) RETURN n", {})
        return {row["n"]["id"]: {k: v for k, v in row["n"].items() if k != "id"} for row in rows}

    def relationships(self) -> dict[str, Any]:
        rows = self.cypher.query("MATCH ()-[r]->() RETURN r", {})
        own = ("_label", "id", "source_id", "target_id")
        return {row["r"]["id"]: {k: v for k, v in row["r"].items() if k not in own} for row in rows}

    def close(self) -> None:
        self.cypher.close()
        self.graph.close()


@pytest.fixture
def pkg(tmp_path: Path) -> Iterator[Pkg]:
    pkg = Pkg(tmp_path / "graph.db")
    with pkg.graph.transaction() as transaction:
        transaction.create_entity("Person", "ann", {"name": "Ann", "title": "Dr", "age": 30})
        transaction.create_entity("Person", "bob", {"name": "Bob"})
        transaction.create_entity("Org", "org", {})
        transaction.relate("ann", "KNOWS", "bob", {"since": 1})
        transaction.relate("ann", "KNOWS", "bob", {"since": 2}, discriminator="two")
        transaction.relate("bob", "WORKS_AT", "org", {"type": "part time"})
    yield pkg
    pkg.close()


ANN = {"_label": "Person", "name": "Ann", "title": "Dr", "age": 30}
BOB = {"_label": "Person", "name": "Bob"}
ORG = {"_label": "Org"}
BEFORE = {"ann": ANN, "bob": BOB, "org": ORG}
RELATED = {
    "KNOWS:ann:bob": {"since": 1},
    "KNOWS:ann:bob:two": {"since": 2},
    "WORKS_AT:bob:org": {"type": "part time"},
}
AT = datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC)

WRITES: list[tuple[str, dict[str, Any], Mapping[str, Any], Mapping[str, Any]]] = [
    ("MATCH (n:Person) SET n.age = 1.5, n.title = 'Prof'", {},
     {**BEFORE, "ann": {**ANN, "age": 1.5, "title": "Prof"}, "bob": {**BOB, "age": 1.5, "title": "Prof"}}, RELATED),
    ("MATCH (n {id: 'ann'}) REMOVE n.title SET n.age = null", {},
     {**BEFORE, "ann": {"_label": "Person", "name": "Ann"}}, RELATED),
    ("MATCH (n {id: 'ann'}) SET n = {x: 1}", {}, {**BEFORE, "ann": {"_label": "Person", "x": 1}}, RELATED),
    ("MATCH (n {id: 'ann'}) SET n += $map", {"map": {"type": "t", "age": None, "at": AT, "m": {"labels": [AT, 1]}}},
     {**BEFORE, "ann": {"_label": "Person", "name": "Ann", "title": "Dr", "type": "t", "at": AT,
                        "m": {"labels": [AT, 1]}}}, RELATED),
    ("MATCH (n {id: 'bob'}) SET n += properties(n), n.x = size(keys(n))", {},
     {**BEFORE, "bob": {**BOB, "x": 2}}, RELATED),
    ("MATCH (n {id: 'bob'}) SET n.at = datetime('2024-01-02T05:04:05.000006+02:00')", {},
     {**BEFORE, "bob": {**BOB, "at": AT}}, RELATED),
    ("CREATE (:Topic {id: 'x', name: 'X', list: [1, 0.5, 'x', [true]]})", {},
     {**BEFORE, "x": {"_label": "Topic", "name": "X", "list": [1, 0.5, "x", [True]]}}, RELATED),
    ("CREATE (n:Person {id: 'x', brand_new: 1})", {}, {**BEFORE, "x": {"_label": "Person", "brand_new": 1}}, RELATED),
    ("CREATE (n:$label {id: $id}) SET n += $p", {"label": "My Type", "id": "ö ü", "p": {"end": 1}},
     {**BEFORE, "ö ü": {"_label": "My Type", "end": 1}}, RELATED),
    ("UNWIND $rows AS row MERGE (n:Person {id: row.id}) ON CREATE SET n.new = true ON MATCH SET n.seen = row.type",
     {"rows": [{"id": "ann", "type": 1}, {"id": "eve", "type": 2}]},
     {**BEFORE, "ann": {**ANN, "seen": 1}, "eve": {"_label": "Person", "new": True}}, RELATED),
    ("MATCH (n {id: 'ann'}) DETACH DELETE n", {}, {"bob": BOB, "org": ORG},
     {"WORKS_AT:bob:org": {"type": "part time"}}),
    ("MATCH (n:Org) DETACH DELETE n CREATE (:Club {id: 'org', name: 'Club'})", {},
     {"ann": ANN, "bob": BOB, "org": {"_label": "Club", "name": "Club"}},
     {k: v for k, v in RELATED.items() if k.startswith("KNOWS")}),
    ("MATCH ()-[r {since: 2}]->() DELETE r", {}, BEFORE,
     {k: v for k, v in RELATED.items() if k != "KNOWS:ann:bob:two"}),
    ("MATCH ()-[r {since: 1}]->() SET r.weight = 0.5", {}, BEFORE,
     {**RELATED, "KNOWS:ann:bob": {"since": 1, "weight": 0.5}}),
    ("MATCH ()-[r:WORKS_AT]->() SET r = {start: 1}", {}, BEFORE, {**RELATED, "WORKS_AT:bob:org": {"start": 1}}),
    ("MATCH (a:Org), (b {id: 'ann'}) CREATE (a)-[:OWNS {share: 1}]->(b), (a)-[:OWNS]->(a)", {}, BEFORE,
     {**RELATED, "OWNS:org:ann": {"share": 1}, "OWNS:org:org": {}}),
    ("MATCH (a {id: 'ann'}), (b {id: 'bob'}) CREATE (a)-[:KNOWS]->(b), (a)-[:KNOWS]->(b)", {}, BEFORE,
     {**RELATED, "KNOWS:ann:bob:2": {}, "KNOWS:ann:bob:3": {}}),
    ("MATCH (a {id: 'ann'}), (b {id: 'bob'}) MERGE (a)-[r:KNOWS]->(b) SET r.x = 1", {}, BEFORE,
     {**RELATED, "KNOWS:ann:bob": {"since": 1, "x": 1}, "KNOWS:ann:bob:two": {"since": 2, "x": 1}}),
    ("MATCH (a)-[r {since: 1}]->(b) DELETE r CREATE (a)-[:KNOWS {since: 3}]->(b)", {}, BEFORE,
     {**RELATED, "KNOWS:ann:bob": {"since": 3}}),
    ("MATCH (a {id: 'org'}) CREATE (a)-[:KNOWS {id: 'KNOWS:org:org:best'}]->(a)", {}, BEFORE,
     {**RELATED, "KNOWS:org:org:best": {}}),
    ("CREATE (a:P {id: 'x'})-[:R {name: 'r'}]->(b:P {id: 'y'})", {},
     {**BEFORE, "x": {"_label": "P"}, "y": {"_label": "P"}}, {**RELATED, "R:x:y": {"name": "r"}}),
    ("FOREACH (x IN [1, 2] | CREATE (:P {id: toString(x), v: x}))", {},
     {**BEFORE, "1": {"_label": "P", "v": 1}, "2": {"_label": "P", "v": 2}}, RELATED),
    ("CREATE (n:P {id: 'x'}) WITH n DELETE n", {}, BEFORE, RELATED),
    ("MATCH (n:Nope) SET n.x = 1", {}, BEFORE, RELATED),
    ("MATCH (n {id: 'ann'}) SET n.age = n.age, n.id = 'ann'", {}, BEFORE, RELATED),
    ("MATCH (n:Person) RETURN n", {}, BEFORE, RELATED),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "parameters", "entities", "relationships"), WRITES)
def test_what_is_written_is_what_cypher_says(
    pkg: Pkg,
    statement: str,
    parameters: dict[str, Any],
    entities: Mapping[str, Any],
    relationships: Mapping[str, Any],
) -> None:
    before = pkg.graph.feed.head()
    position = pkg.execute(statement, **parameters)
    assert pkg.entities() == entities
    assert pkg.relationships() == relationships
    assert (position > before) is ((entities, relationships) != (BEFORE, RELATED))


REFUSED: list[tuple[str, type[Exception]]] = [
    ("CREATE (:Person)", UnsupportedError),
    ("CREATE ({id: 'x'})", UnsupportedError),
    ("CREATE (:A:B {id: 'x'})", UnsupportedError),
    ("CREATE (:Person {id: 7})", UnsupportedError),
    ("CREATE (:P {id: 'x'})-[:R]->(:P)", UnsupportedError),
    ("MATCH (n:Org) SET n:Club", UnsupportedError),
    ("MATCH (n:Org) SET n.id = 'other'", UnsupportedError),
    ("MATCH (n:Org) SET n += {id: 'other'}", UnsupportedError),
    ("MATCH ()-[r:WORKS_AT]->() SET r.id = 'other'", UnsupportedError),
    ("MATCH (n:Org) CREATE (n)-[:R {id: 'other'}]->(n)", UnsupportedError),
    ("MATCH (n:Org) SET n.x = duration({days: 1})", UnsupportedError),
    ("MATCH (n:Org) SET n.x = date('2024-01-01')", InvalidInputError),
    ("MATCH (n:Org) SET n.x = localdatetime('2024-01-01T00:00')", InvalidInputError),
    ("MATCH (n:Org) SET n._x = 1", InvalidInputError),
    ("CREATE (:_P {id: 'x'})", InvalidInputError),
    ("MATCH (n {id: 'ann'}) DELETE n", InvalidInputError),
    ("CREATE INDEX FOR (n:P) ON (n.x)", UnsupportedError),
    ("MATCH (n) SET n.x = nope", InvalidInputError),
]


@pytest.mark.parametrize(("statement", "error"), REFUSED)
def test_what_can_not_be_told_exactly_is_refused_before_anything_is_written(
    pkg: Pkg, statement: str, error: type[Exception]
) -> None:
    before = pkg.graph.feed.head()
    with pytest.raises(error):
        pkg.cypher.plan(f"MATCH (b:Person) SET b.half = 1 WITH count(b) AS c {statement}", {})
    with pytest.raises(error):
        pkg.cypher.plan(statement, {})
    assert pkg.graph.feed.head() == before
    assert (pkg.entities(), pkg.relationships()) == (BEFORE, RELATED)


def test_an_id_that_is_taken_takes_the_whole_statement_back(pkg: Pkg) -> None:
    for statement in ("CREATE (:P {id: 'x'}), (:Person {id: 'ann'})", "MERGE (:Org {id: 'ann'})"):
        with pytest.raises(AlreadyExistsError):
            pkg.execute(statement)
    assert (pkg.entities(), pkg.relationships()) == (BEFORE, RELATED)


def test_planning_writes_nothing_and_leaves_the_mirror_as_it_is(pkg: Pkg) -> None:
    head = pkg.graph.feed.head()
    planned = pkg.cypher.plan("MATCH (n) DETACH DELETE n", {})
    assert planned.position == head == pkg.graph.feed.head()
    assert (pkg.entities(), pkg.relationships()) == (BEFORE, RELATED)


def test_a_plan_stands_at_its_position(pkg: Pkg) -> None:
    planned = pkg.cypher.plan("MATCH (n {id: 'ann'}) SET n.age = 31", {})
    pkg.graph.delete_entity("ann")
    with pkg.graph.transaction() as transaction:
        assert transaction.position != planned.position
        with pytest.raises(NotFoundError):
            planned.apply(transaction)


def test_a_plan_inside_the_transaction_always_stands(pkg: Pkg) -> None:
    with pkg.graph.transaction() as transaction:
        for number in range(3):
            planned = pkg.cypher.plan(f"MATCH (n {{id: 'ann'}}) SET n.x{number} = 1", {})
            assert planned.position == transaction.position
            planned.apply(transaction)
            pkg.cypher.query("MATCH (n) RETURN n", {})
    assert {"x0", "x1", "x2"} <= pkg.entities()["ann"].keys()


def test_a_plan_sees_what_was_committed_before(pkg: Pkg) -> None:
    for number in range(20):
        pkg.execute("MATCH (n {id: 'ann'}) SET n.count = coalesce(n.count, 0) + 1")
        assert pkg.entities()["ann"]["count"] == number + 1


def test_ids_of_every_kind_are_found_again(pkg: Pkg) -> None:
    ends = ["a:b", "100%", "x/y z", "ä"]
    for end in ends:
        pkg.execute("CREATE (:P {id: $id})", id=end)
    for source in ends:
        pkg.execute("MATCH (a {id: $s}), (b:P) CREATE (a)-[:R]->(b)", s=source)
        pkg.execute("MATCH (a {id: $s})-[r:R]->() SET r.x = 1", s=source)
    expected = {RelationshipRef("R", source, target).id for source in ends for target in ends}
    assert {identity for identity, found in pkg.relationships().items() if found == {"x": 1}} == expected
    pkg.execute("MATCH (:P)-[r:R]->() DELETE r")
    assert pkg.relationships() == RELATED


@pytest.mark.parametrize("write", [lambda p: p.execute("MATCH (n {id: 'ann'}) SET n.x = 1 RETURN n.x")])
def test_a_statement_that_also_returns(pkg: Pkg, write: Callable[[Pkg], Position]) -> None:
    write(pkg)
    assert pkg.entities()["ann"]["x"] == 1
