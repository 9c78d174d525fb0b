"""Scanning all keys, Cypher, and closing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from slipstream.domain.entities import Entity
from slipstream.domain.errors import (
    AlreadyExistsError,
    InvalidInputError,
    UnavailableError,
    UnsupportedError,
)
from slipstream.domain.keys import RecordKey, entity_key, relationship_key
from slipstream.domain.log import Rescan
from slipstream.ports.graph import GraphTransaction
from slipstream.testing.suites.graph.base import (
    Graphs,
    LoggedGraph,
    Refusal,
    create,
    entries,
    properties,
    raises,
    scanned,
    within,
)


class ScanTests(Graphs):
    """The ordered scan, foreign writes, Cypher and the end."""

    def test_a_scan_is_ordered_and_complete_while_keys_come_and_go(self, graph: LoggedGraph) -> None:
        create(graph, *(f"p{n}" for n in range(0, 40, 2)))
        with graph.transaction() as tx:
            for n in range(0, 20, 2):
                tx.relate(f"p{n}", "K W", f"p{n + 2}")
                tx.relate(f"p{n}", "K", f"p{n + 2}")
        lasting, found = set(scanned(graph, 7)), list[RecordKey]()
        assert len(lasting) == 40
        gone = [entity_key("p38"), entity_key("p30")]
        for key in gone:
            lasting.discard(key)
        while page := graph.scan(found[-1] if found else None, 3):
            found += [item.key for item in page]
            create(graph, f"p{len(found):03}x", entity_type="Late")
            if gone:
                within(graph, lambda tx: tx.delete_entity(gone.pop().id))
        encoded = [key.encode() for key in found]
        assert encoded == sorted(set(encoded))
        assert lasting <= set(found)

    def test_what_commits_behind_a_scan_is_seen_by_the_next(self, graph: LoggedGraph) -> None:
        create(graph, "a", "c")
        assert [item.key.id for item in graph.scan(None, 10)] == ["a", "c"]
        create(graph, "b", entity_type="Org")
        assert [(item.key.id, item.type) for item in graph.scan(entity_key("a"), 10)] == [
            ("b", "Org"),
            ("c", "Person"),
        ]
        within(graph, lambda tx: tx.delete_entity("c"))
        assert [item.key.id for item in graph.scan(entity_key("a"), 10)] == ["b"]
        assert graph.scan(relationship_key("zz"), 10) == []

    def test_what_was_written_past_the_log_is_seen(self, graph: LoggedGraph) -> None:
        create(graph, "a", "c", name="Ada")
        head = graph.log.head()
        assert [item.key.id for item in graph.scan(None, 10)] == ["a", "c"]
        graph = self.write_raw(graph, Entity("b", "Person", {"name": "Raw"}))
        graph = self.remove_raw(graph, Entity("c", "Person"))
        assert properties(graph, "b") == {"name": "Raw"}
        assert [(item.key.id, item.type) for item in graph.scan(None, 10)] == [("a", "Person"), ("b", "Person")]
        assert entity_key("c") not in graph.read([entity_key("c")], {}).states
        assert graph.counts() == {"Person": 2}
        assert graph.log.head() == head
        raises(AlreadyExistsError, lambda: create(graph, "b"))
        within(graph, lambda tx: tx.update_entity("b", {"name": "Known"}))
        create(graph, "c", name="Back")
        assert properties(graph, "c") == {"name": "Back"}

    # -- Cypher and closing --

    def test_cypher_reads(self, graph: LoggedGraph) -> None:
        if not graph.capabilities.cypher:
            raises(UnsupportedError, lambda: graph.query("MATCH (n:Person) RETURN n"))
            raises(UnsupportedError, lambda: graph.execute("MATCH (n:Person) RETURN n"))
            return
        moment = datetime(2024, 1, 1, tzinfo=UTC)
        create(graph, "a", name="Ada", at=moment)
        assert graph.query("MATCH (p:Person) WHERE p.name = $name RETURN p.at AS at, p.id", name="Ada") == [
            {"at": moment, "p.id": "a"}
        ]
        assert graph.query("MATCH (n) RETURN n") == [
            {"n": {"_label": "Person", "id": "a", "name": "Ada", "at": moment}}
        ]
        assert graph.query("MATCH (p:Person) WHERE p.at = $at RETURN count(*) AS n", at=moment) == [{"n": 1}]
        for wrong in ("MATCH (p:Person) DELETE p", "CREATE (:Person {id: 'x'})", "MATCH (p:Person) SET p.name = ''"):
            error = raises(InvalidInputError, graph.query, wrong)
            assert getattr(error, "field", None) == "cypher"
        assert graph.counts() == {"Person": 1}

    def test_cypher_writes_are_logged_as_a_rescan(self, graph: LoggedGraph) -> None:
        if not graph.capabilities.cypher:
            return
        create(graph, "a", "b", name="Ada")
        within(graph, lambda tx: tx.relate("a", "K", "b"))
        head = graph.log.head()
        assert graph.execute("MATCH (p:Person) RETURN p") == head
        position = graph.execute("MATCH (p:Person {id: 'a'}) SET p.name = $name", name="Raw")
        assert list(graph.log.read(head, 10)) == [Rescan(position, frozenset({"Person"}))]
        graph.execute("CREATE (:Person {id: 'c', name: 'C'})")
        graph.execute("MATCH (n) WHERE n.id = 'b' DETACH DELETE n")
        graph.execute("MATCH (a:Person {id: 'a'}), (c:Person {id: 'c'}) CREATE (a)-[:K]->(c), (a)-[:K]->(c)")
        assert [e.types for e in entries(graph)[-3:] if isinstance(e, Rescan)] == [
            frozenset({"Person"}), None, frozenset({"Person", "K"})
        ]  # fmt: skip
        ids = [key.id for key in scanned(graph, 2)]
        assert ids == ["a", "c", "K:a:c", "K:a:c:2"]
        raises(AlreadyExistsError, lambda: create(graph, "c"))
        within(graph, lambda tx: tx.unrelate("K:a:c:2"))
        assert properties(graph, "a") == {"name": "Raw"}

    def test_hostile_cypher_is_refused_without_effect(self, graph: LoggedGraph) -> None:
        if not graph.capabilities.cypher:
            return
        create(graph, "a", name="Ada")
        create(graph, "o", entity_type="Org", name="Org")
        before = (entries(graph), graph.counts(), scanned(graph, 10))
        refused = [
            "", ";", "nonsense", "MATCH (", "MATCH (n:Person) RETURN n; MATCH (m) RETURN m", "RETURN 'unclosed",
            "COMMIT; CREATE (:Person)", "ROLLBACK", "MATCH (n) DETACH DELETE n", "MATCH (n:_Outbox) DELETE n",
            "MATCH (n:`_Outbox`) DELETE n", "CREATE (:_Once {_event: 'x'})", "MATCH (n:Person) SET n._mixed = '{}'",
            "MATCH (n:Person) SET n.id = 'z'", "CALL show_tables() RETURN *", "LOAD FROM '/etc/passwd' RETURN *",
            "COPY (MATCH (n) RETURN n) TO '/tmp/x'", "CREATE (:Person {id: ''})", "CREATE (:Unknown {id: 'x'})",
            "MATCH (n:Person) SET n.fresh = 1", "MATCH (n:Person) RETURN n /* */; CHECKPOINT",
            "MATCH (n:Person) DELETE n, missing",
        ]  # fmt: skip
        for cypher in refused:
            error = raises(InvalidInputError, graph.execute, cypher)
            assert getattr(error, "field", None) in ("cypher", "id"), cypher
        for cypher in (
            "CREATE NODE TABLE X(id STRING PRIMARY KEY)",
            "DROP TABLE Person",
            "ALTER TABLE Person ADD x STRING",
        ):
            raises(UnsupportedError, graph.execute, cypher)
        raises(AlreadyExistsError, lambda: graph.execute("CREATE (:Org {id: 'a'})"))
        assert (entries(graph), graph.counts(), scanned(graph, 10)) == before
        create(graph, "b")
        assert graph.counts() == {"Person": 2, "Org": 1}

    def test_a_closed_graph_says_so(self, graph: LoggedGraph) -> None:
        create(graph, "a")
        graph.scan(None, 10)
        raises(Refusal, lambda: _abandoned(graph.transaction()))
        graph.close()
        graph.close()
        calls: list[Callable[[], object]] = [
            lambda: graph.read([entity_key("a")], {}), lambda: graph.scan(None, 10), graph.counts, graph.schema,
            lambda: graph.schema_at(1), lambda: graph.adjacent(["a"], None, None, 1), lambda: create(graph, "b"),
        ]  # fmt: skip
        for call in calls:
            raises(UnavailableError, call)


def _abandoned(transaction: AbstractContextManager[GraphTransaction]) -> None:
    with transaction as tx:
        tx.create_entity("Person", "zz")
        raise Refusal
