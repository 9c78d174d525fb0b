"""What every face does alike; `face` is the one under test, shared by the tests of a class."""

from __future__ import annotations

import json
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import slipstream
from slipstream.domain.errors import (
    AlreadyExistsError,
    InvalidInputError,
    NotFoundError,
    RepairNeedsConfirmationError,
    SlipstreamError,
)
from slipstream.domain.positions import Position
from slipstream.importers.options import ReadOptions
from tests.e2e.processes import LONG_S
from tests.faces.search_suite import SearchSuite
from tests.faces.worlds import Face

VALUES: dict[str, Any] = {
    "name": "Ünï, ❄ and \u202eleft",
    "born": datetime(1815, 12, 10, 3, tzinfo=timezone(timedelta(hours=1))),
    "numbers": [1, 2.5, -(2**62), True],
    "nested": {"a": [{"b": None}], "since": datetime(2026, 1, 1, tzinfo=UTC)},
    "looks like a tag": {"$datetime": "2026-01-01T00:00:00+00:00"},
    "is one": {"$$bytes": "AAAA"},
}
BAD_CALLS: dict[str, tuple[type[SlipstreamError], str | None, Any]] = {
    "an entity that is not there": (NotFoundError, None, lambda slip: slip.get("nobody")),
    "a relationship that is not there": (NotFoundError, None, lambda slip: slip.relationship("KNOWS:a:b")),
    "neighbours of nobody": (NotFoundError, None, lambda slip: slip.neighbours("nobody")),
    "an explanation of nobody": (NotFoundError, None, lambda slip: slip.explain("nobody")),
    "an update of nobody": (NotFoundError, None, lambda slip: slip.pkg.update_entity("nobody", {"a": 1})),
    "a deletion of nobody": (NotFoundError, None, lambda slip: slip.pkg.delete_entity("nobody")),
    "an end that is not there": (NotFoundError, None, lambda slip: slip.pkg.relate("nobody", "KNOWS", "nix")),
    "no text": (InvalidInputError, "text", lambda slip: slip.search("")),
    "no hits": (InvalidInputError, "k", lambda slip: slip.search("x", 0)),
    "too far": (InvalidInputError, "expand", lambda slip: slip.search("x", expand=99)),
    "an empty page": (InvalidInputError, "limit", lambda slip: slip.entities(limit=0)),
    "no page's end": (InvalidInputError, "after", lambda slip: slip.entities("Person", after="x")),
    "sideways": (InvalidInputError, "direction", lambda slip: slip.neighbours("ada", direction="up")),
    "no identity": (InvalidInputError, "entity_id", lambda slip: slip.pkg.create_entity("Person", "")),
    "no type": (InvalidInputError, "entity_type", lambda slip: slip.pkg.create_entity("", "x")),
    "no number": (InvalidInputError, "a", lambda slip: slip.pkg.create_entity("Person", "x", {"a": float("nan")})),
    "no zone": (InvalidInputError, "t", lambda slip: slip.pkg.upsert_entity("P", "x", {"t": datetime(2026, 1, 1)})),  # noqa: DTZ001
    "an object": (InvalidInputError, "o", lambda slip: slip.pkg.update_entity("ada", {"o": object()})),
    "no Cypher": (InvalidInputError, "cypher", lambda slip: slip.pkg.query("MATCH")),
    "Cypher that writes": (InvalidInputError, "cypher", lambda slip: slip.pkg.query("CREATE (n:Person {id: 'x'})")),
    "SQL that writes": (InvalidInputError, "sql", lambda slip: slip.pkg.query_sql("DELETE FROM entity")),
}


class FaceSuite(SearchSuite):
    """The same calls with the same expectations; a subclass gives the fixture `face`."""

    def test_a_write_is_read_waited_for_and_found(self, face: Face) -> None:
        slip = face.slip
        position = slip.pkg.create_entity("Person", "ada", {"name": "Ada Lovelace", "motto": "engines weave"})
        assert position > 0
        assert slip.pkg.last_commit == position
        assert slip.search("Ada Lovelace", 1, after=position).hits[0].entity_id == "ada"
        assert slip.sync.wait(position, LONG_S)
        hit = slip.search("engines weave", 3, entity_type="Person").hits[0]
        assert (hit.entity_id, hit.properties["name"], hit.position) == ("ada", "Ada Lovelace", position)
        assert slip.get("ada").properties == {"name": "Ada Lovelace", "motto": "engines weave"}
        found = slip.status()
        assert found.head >= found.frontier >= position
        position = slip.pkg.delete_entity("ada")
        assert "ada" not in {hit.entity_id for hit in slip.search("Ada Lovelace", after=position).hits}
        assert slip.find(["ada", "nobody"]) == []

    def test_a_file_is_imported_and_replaced(self, face: Face, tmp_path: Path) -> None:
        path = tmp_path / "people.json"
        nodes = [{"id": f"n{number}", "name": f"Name {number}"} for number in range(3)]
        document = {"directed": True, "multigraph": False, "graph": {}, "edges": []}
        for count, deleted in ((3, 0), (2, 1)):
            path.write_text(json.dumps({**document, "nodes": nodes[:count]}))
            report = face.slip.import_files(
                path, options=ReadOptions(entity_type="Node", id_prefix="sent:"), replace_source="sent"
            )
            assert (report.entities, report.deleted, report.rejected) == (count, deleted, 0)
        assert face.slip.search("Name 1", 1, after=report.position)[0].entity_id == "sent:n1"
        assert face.slip.find(["sent:n2"]) == []
        with pytest.raises(InvalidInputError) as refused:
            face.slip.import_files(path, options=ReadOptions(delimiter=";"))
        assert refused.value.field == "delimiter"

    def test_what_never_comes_is_not_waited_for(self, face: Face) -> None:
        head = face.slip.status().head
        assert face.slip.sync.wait(Position(head + 1_000_000), 0.1) is False

    def test_every_mutation(self, face: Face) -> None:
        pkg = face.slip.pkg
        positions = [
            pkg.create_entity("Person", "m1", {"a": 1, "b": 2}),
            pkg.update_entity("m1", {"a": None, "c": 3}),
            pkg.upsert_entity("Robot", "m2", {"name": "R"}),
            pkg.relate("m1", "MADE", "m2", {"year": 1}, discriminator="d"),
            pkg.update_relationship("MADE:m1:m2:d", {"year": 2}),
            pkg.relate("m1", "MADE", "m2", {"month": 3}, discriminator="d", replace=True),
        ]
        assert positions == sorted(set(positions))
        assert face.slip.get("m1").properties == {"b": 2, "c": 3}
        assert face.slip.relationship("MADE:m1:m2:d").properties == {"month": 3}
        pkg.unrelate("MADE:m1:m2:d")
        assert face.slip.neighbours("m1").items == ()
        with pytest.raises(AlreadyExistsError, match="m2"):
            pkg.create_entity("Person", "m2")

    def test_values_come_as_they_are(self, face: Face) -> None:
        face.slip.pkg.create_entity("Thing", "values", VALUES)
        expected = {**VALUES, "born": datetime(1815, 12, 10, 2, tzinfo=UTC)}
        assert face.slip.get("values").properties == expected
        [row] = face.slip.pkg.query("MATCH (n:Thing {id: 'values'}) RETURN n.born AS born, n.numbers AS numbers")
        assert row == {"born": expected["born"], "numbers": VALUES["numbers"]}
        [told] = face.slip.pkg.query_sql("SELECT x'00ff' AS b, 9e999 AS f, :t AS t", t="text")
        assert told == {"b": b"\x00\xff", "f": float("inf"), "t": "text"}

    def test_pages_of_entities_and_neighbours(self, face: Face) -> None:
        slip = face.slip
        with slip.pkg.transaction() as tx:
            for number in range(5):
                tx.create_entity("Star", f"s{number}", {"name": f"star {number}"})
            for number in range(1, 5):
                tx.relate("s0", "NEAR", f"s{number}", {"light years": number})
            tx.relate("s4", "FAR", "s0")
        listed, after = [], None
        while True:
            page = slip.entities("Star", after=after, limit=2)
            listed += [entity.id for entity in page.items]
            if (after := page.next) is None:
                break
        assert sorted(listed) == [f"s{number}" for number in range(5)]
        assert {"s0", "s4"} <= {entity.id for entity in slip.entities(limit=1_000).items}
        first = slip.neighbours("s0", limit=2)
        rest = slip.neighbours("s0", after=first.next, limit=100)
        rows = [*first.items, *rest.items]
        assert [(row.direction.value, row.entity_id) for row in rows] == [
            ("in", "s4"),
            *(("out", f"s{number}") for number in range(1, 5)),
        ]
        assert (rows[1].name, rows[1].properties, rest.next) == ("star 1", {"light years": 1}, None)
        assert [row.entity_id for row in slip.neighbours("s0", relationship_type="FAR", direction="in").items] == [
            "s4"
        ]
        hits = slip.search("star 0", 1, after=slip.pkg.last_commit, expand=1).hits
        assert {near.entity_id for near in hits[0].neighbours} == {f"s{number}" for number in range(1, 5)}

    def test_changes_are_told_in_their_order(self, face: Face) -> None:
        slip = face.slip
        before = slip.status().head
        positions = [
            slip.pkg.create_entity("Person", "c1", {"name": "C"}),
            slip.pkg.update_entity("c1", {"name": "D"}),
            slip.pkg.delete_entity("c1"),
        ]
        page = slip.changes(before, limit=100)
        mine = [change for change in page.items if change.id == "c1"]
        assert [change.kind for change in mine] == ["entity_created", "entity_updated", "entity_deleted"]
        assert [change.position for change in mine] == positions
        assert (mine[1].type, mine[1].changed) == ("Person", ("name",))
        assert mine[0].committed_at is not None
        assert page.next == page.items[-1].position == page.head
        assert slip.changes(page.next).items == ()

    def test_a_transaction_is_all_or_nothing(self, face: Face) -> None:
        slip = face.slip
        with slip.pkg.transaction() as tx:
            tx.create_entity("Person", "t1", {"name": "T"})
            tx.create_entity("Person", "t2")
            tx.relate("t1", "KNOWS", "t2")
        assert tx.position == slip.pkg.last_commit
        head = slip.status().head
        with pytest.raises(NotFoundError, match="nobody"):
            _half_wrong(slip)
        with pytest.raises(ZeroDivisionError):
            _given_up(slip)
        assert [entity.id for entity in slip.find(["t1", "t2", "t3", "t4"])] == ["t1", "t2"]
        assert slip.status().head == head

    @pytest.mark.parametrize("what", BAD_CALLS)
    def test_errors_have_their_class_and_their_field(self, face: Face, what: str) -> None:
        kind, field, call = BAD_CALLS[what]
        face.slip.pkg.upsert_entity("Person", "ada", {"name": "Ada"})
        head = face.slip.status().head
        with pytest.raises(kind) as caught:
            call(face.slip)
        assert type(caught.value) is kind
        assert getattr(caught.value, "field", None) == field
        assert face.slip.status().head == head

    def test_questions(self, face: Face) -> None:
        pkg = face.slip.pkg
        pkg.create_entity("City", "paris", {"name": "Paris", "people": 2_000_000})
        asked = "MATCH (n:City) WHERE n.people > $least RETURN n.name AS name"
        assert pkg.query(asked, least=1_000_000) == [{"name": "Paris"}]
        assert pkg.query(asked, least=3_000_000) == []
        assert pkg.query_sql("SELECT count(*) AS n FROM entity WHERE type = :type", type="City") == [{"n": 1}]
        position = pkg.execute("MATCH (n:City {id: 'paris'}) SET n.people = $people", people=3)
        assert face.slip.sync.wait(position, LONG_S)
        assert face.slip.get("paris").properties["people"] == 3
        assert pkg.counts()["City"] == 1
        assert pkg.schema().entity_types["City"] == {"name": "string", "people": "integer"}

    def test_tampering_is_found_told_and_repaired(self, face: Face) -> None:
        slip = face.slip
        for number in range(3):
            slip.pkg.upsert_entity("Person", f"d{number}", {"name": f"damaged {number}"})
        assert slip.sync.drain(LONG_S)
        with closing(sqlite3.connect(face.directory / ".slipstream" / "index.db", timeout=LONG_S)) as raw, raw:
            raw.execute("DELETE FROM records WHERE key IN ('e:d0', 'e:d1')")
        told: list[int] = []
        report = slip.verify(told.append, hurry=True)
        assert sorted(key.id for key in report.divergences["missing"]) == ["d0", "d1"]
        assert not report.is_consistent
        assert told
        assert slip.repair(report) == 2
        assert slip.sync.drain(LONG_S, lambda status: told.append(status.head))
        again = slip.verify(incremental=True)
        assert (again.is_consistent, again.kind) == (True, "incremental")
        assert slip.explain("d0").verdict == "fresh"

    def test_a_repair_past_the_brake_is_confirmed_by_its_plan(self, face: Face) -> None:
        slip = face.slip
        with slip.pkg.transaction() as tx:
            for number in range(150):
                tx.create_entity("Braked", f"b{number}", {"name": f"number {number}"})
        assert slip.sync.drain(LONG_S)
        with closing(sqlite3.connect(face.directory / ".slipstream" / "index.db", timeout=LONG_S)) as raw, raw:
            raw.execute("DELETE FROM records WHERE key LIKE 'e:b%' AND key > 'e:b11'")
        with pytest.raises(RepairNeedsConfirmationError) as caught:
            slip.repair()
        plan = caught.value.plan
        assert plan["keys"]["missing"] > 100
        with pytest.raises(NotFoundError, match="1-00000000"):
            slip.repair(confirm="1-00000000")
        assert slip.repair(confirm=plan["id"]) == plan["keys"]["missing"]
        assert slip.sync.drain(LONG_S)
        assert slip.verify().is_consistent

    def test_an_explanation_tells_what_happened(self, face: Face) -> None:
        position = face.slip.pkg.create_entity("Person", "e1", {"name": "Explained"})
        assert face.slip.sync.wait(position, LONG_S)
        found = face.slip.explain("e1")
        assert (found.key, found.text, found.verdict) == ("e:e1", "Explained", "fresh")
        assert found.stored is not None
        assert found.stored.position == position
        assert found.happenings[0].position == position

    def test_dead_letters_are_listed_replayed_and_discarded(self, face: Face) -> None:
        with slipstream.open(face.directory, run=False) as beside:
            beside.applier().run([['{"no": "event"}']])
        [letter] = face.slip.list_dead_letters()
        assert letter.payload == '{"no": "event"}'
        assert face.slip.list_dead_letters(["nix"]) == []
        assert face.slip.replay_dead_letters([letter.id]) == 0
        assert [again.id for again in face.slip.list_dead_letters([letter.id])] == [letter.id]
        assert face.slip.discard_dead_letters() == 1
        assert face.slip.list_dead_letters() == []

    def test_what_is_given_up_ends_and_holds_nobody_up(self, face: Face) -> None:
        face.slip.pkg.upsert_entity("Person", "g1", {"name": "given up"})
        face.gives_up()
        assert face.slip.sync.drain(LONG_S)
        assert face.slip.verify().is_consistent

    def test_many_threads_share_it(self, face: Face) -> None:
        slip, start = face.slip, threading.Barrier(6)

        def written(number: int) -> str:
            start.wait(LONG_S)
            position = slip.pkg.create_entity("Worker", f"w{number}", {"name": f"worker number {number}"})
            hits = slip.search(f"worker number {number}", 1, entity_type="Worker", after=position).hits
            return str(slip.get(hits[0].entity_id).id)

        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(written, range(6))) == [f"w{number}" for number in range(6)]


def _half_wrong(slip: Any) -> None:
    with slip.pkg.transaction() as tx:
        tx.create_entity("Person", "t3")
        tx.delete_entity("t1")
        tx.delete_entity("nobody")


def _given_up(slip: Any) -> None:
    with slip.pkg.transaction() as tx:
        tx.create_entity("Person", "t4")
        raise ZeroDivisionError
