"""Random statements that write: the graph holds after the plan what kglite's copy holds after the statement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kglite
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.cypher.kglite.answering import Limits, Question, plan_writes
from slipstream.adapters.cypher.kglite.following import Follower
from slipstream.adapters.cypher.kglite.names import stored_value, user_value
from slipstream.adapters.cypher.kglite.statement import statement_of
from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.domain.errors import AlreadyExistsError
from tests.depth import examples
from tests.integration.cypher_graphs import graph_file

kglite.set_query_warning_policy("silent")
NODES = st.sampled_from([f"n{number}" for number in range(6)])
LABELS = st.sampled_from(["P", "Q"])
NAMES = st.sampled_from(["x", "title", "type", "name", "end"])
VALUES = st.one_of(
    st.none(), st.integers(-2, 2), st.sampled_from([0.5, "a", True, [1, "b"], {"type": 1, "k": [None]}])
)
CLAUSES = st.one_of(
    st.tuples(st.just("MERGE (a:{label} {{id: '{node}'}})"), st.just("SET a.{name} = $value")),
    st.tuples(st.just("MATCH (a {{id: '{node}'}})"), st.just("SET a += {{{name}: $value, y: 1}}")),
    st.tuples(st.just("MATCH (a {{id: '{node}'}})"), st.just("SET a = {{{name}: $value}}")),
    st.tuples(st.just("MATCH (a:{label})"), st.just("REMOVE a.{name}")),
    st.tuples(st.just("MATCH (a {{id: '{node}'}})"), st.just("DETACH DELETE a")),
    st.tuples(st.just("MATCH (a {{id: '{node}'}})"), st.just("DETACH DELETE a CREATE (:{label} {{id: '{node}'}})")),
    st.tuples(
        st.just("MATCH (a {{id: '{node}'}}) MATCH (b {{id: '{other}'}})"),
        st.just("CREATE (a)-[:R{label} {{{name}: $value}}]->(b)"),
    ),
    st.tuples(
        st.just("MATCH (a {{id: '{node}'}}), (b:{label})"), st.just("MERGE (a)-[r:R]->(b) SET r.{name} = $value")
    ),
    st.tuples(st.just("MATCH (:{label})-[a:R|RP]->()"), st.just("DELETE a")),
    st.tuples(st.just("MATCH (a)-[r]->({{id: '{node}'}})"), st.just("SET r.{name} = $value, a.{name} = 1")),
)
STATEMENTS = st.tuples(CLAUSES, NODES, NODES, LABELS, NAMES, VALUES)


def contents(graph: Any) -> tuple[dict[str, Any], list[Any]]:
    """Return nodes by id, and relationships without their ids: a new one gets its own only from the plan."""
    nodes = graph.cypher("MATCH (n) RETURN n.id AS id, labels(n) AS labels, properties(n) AS p").to_list()
    found = graph.cypher("MATCH (a)-[r]->(b) RETURN a.id AS a, b.id AS b, type(r) AS t, properties(r) AS p").to_list()
    related = [(row["a"], row["t"], row["b"], repr(sorted(_own(row["p"]).items()))) for row in found]
    return {row["id"]: (row["labels"], _own(row["p"])) for row in nodes}, sorted(related)


def _own(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in user_value(properties).items() if name != "id"}


@settings(
    max_examples=examples(30, 600), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(STATEMENTS, min_size=1, max_size=12))
def test_a_plan_does_what_the_statement_does(tmp_path_factory: Any, statements: list[Any]) -> None:
    path: Path = tmp_path_factory.mktemp("graph") / "graph.db"
    graph = SqliteGraph(path, clock=SystemClock())
    file = graph_file(path)
    follower = Follower(file, lambda: None)
    try:
        for clauses, node, other, label, name, value in statements:
            text = " ".join(clauses).format(node=node, other=other, label=label, name=name)
            check(graph, follower, text, {"value": value})
    finally:
        file.close()
        graph.close()


def check(graph: SqliteGraph, follower: Follower, cypher: str, parameters: dict[str, Any]) -> None:
    statement = statement_of(cypher, writing=True)
    values = stored_value(parameters) | dict(statement.literals)
    question = Question(statement.text, values, statement.keys, statement.labels, statement.functions)
    standing = follower.catch_up()
    mutations = plan_writes(standing.mirror, question, Limits(rows=10_000, timeout_ms=10_000))
    copy = standing.mirror.graph.copy()
    copy.cypher(statement.text, params=values)
    try:
        with graph.transaction() as transaction:
            assert transaction.position == standing.mark.position
            for mutation, *arguments in mutations:
                if mutation == "relate":
                    transaction.relate(*arguments[:-1], discriminator=arguments[-1])
                else:
                    getattr(transaction, mutation)(*arguments)
    except AlreadyExistsError:  # an entity of the other type has the id
        return
    assert contents(follower.catch_up().mirror.graph) == contents(copy)
