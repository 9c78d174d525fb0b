"""A graph as GraphML: it comes back, NetworkX reads it, and what XML can not hold is told."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.adapters.graphs.values import same_properties
from slipstream.app.exporting import ExportReport
from slipstream.app.slipstream import Slipstream
from tests.depth import deeper, examples
from tests.importers.world import entities_of, opened, relationships_of

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=12)
PLAIN = st.one_of(
    TEXTS,
    st.sampled_from(["", " ", "\n", "a\r\nb", "\t<&>\"'", "1", "true"]),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)
VALUES = st.one_of(PLAIN, st.lists(PLAIN, max_size=3))
PROPERTIES = st.dictionaries(
    st.sampled_from(["name", "type", "labels", "label", "a <b>", "desc"]), VALUES, max_size=4
)
KEYS = st.sampled_from(["", "k", "2", "a:b", " "])


def through_graphml(slip: Slipstream, folder: Path) -> ExportReport:
    """Export a PKG, and import that into another one, which must be the same."""
    report = slip.export(folder / "g.graphml")
    with opened(folder / "other") as other:
        brought = other.import_files(folder / "g.graphml")
        assert (brought.rejected, brought.left_out) == (0, {})
        there, back = entities_of(slip), entities_of(other)
        assert {each: kind for each, (kind, _) in there.items()} == {each: kind for each, (kind, _) in back.items()}
        for each, (_, properties) in there.items():
            assert same_properties(properties, back[each][1])
        assert relationships_of(slip) == relationships_of(other)
        for each in relationships_of(slip):
            assert same_properties(slip.relationship(each).properties, other.relationship(each).properties)
    return report


@deeper
@settings(max_examples=examples(8, 300))
@given(st.data())
def test_a_graph_through_graphml_is_the_same(data: st.DataObject) -> None:
    ids = ["a", "b:c", "é & \n<d>", "7"]
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "pkg") as slip:
        with slip.pkg.transaction() as tx:
            for name in ids:
                entity_type = data.draw(st.sampled_from(["Person", ":a:b", "A & B"]))
                tx.create_entity(entity_type, name, data.draw(PROPERTIES))
            for key in data.draw(st.sets(KEYS)):
                tx.relate("a", "KNOWS", data.draw(st.sampled_from(ids)), data.draw(PROPERTIES), discriminator=key)
            tx.relate("7", ":KNOWS", "a", {"labels": "x", "type": "y"})
        report = through_graphml(slip, Path(folder))
        assert (report.entities, report.unreadable) == (4, 0)


def test_networkx_reads_it_packed_or_not(tmp_path: Path) -> None:
    with opened(tmp_path / "pkg") as slip:
        with slip.pkg.transaction() as tx:
            tx.create_entity(
                "Person", "ada", {"name": "Ada", "born": 1815, "size": 1.5, "known": True, "tags": ["a"]}
            )
            tx.create_entity("Machine", "engine", {"born": "1837"})
            tx.relate("ada", "DESCRIBED", "engine", {"pages": 66})
            tx.relate("ada", "DESCRIBED", "engine", {}, discriminator="again")
        slip.export(tmp_path / "g.graphml.gz")
        told: list[tuple[int, int]] = []
        report = slip.export(tmp_path / "g.graphml", lambda *rows: told.append(rows))
        assert (report.entities, report.relationships, report.position) == (2, 2, slip.pkg.feed.head())
        assert told[-1] == (4, 4)
    graph: Any = nx.read_graphml(tmp_path / "g.graphml.gz")
    assert graph.nodes["ada"] == {
        "labelV": "Person",
        "name": "Ada",
        "born": 1815,
        "size": 1.5,
        "known": True,
        "tags": '["a"]',
    }
    assert graph.nodes["engine"]["born"] == "1837"
    assert sorted(graph.edges(keys=True)) == [
        ("ada", "engine", "DESCRIBED:ada:engine"),
        ("ada", "engine", "DESCRIBED:ada:engine:again"),
    ]


def test_times_and_maps_come_back_as_text(tmp_path: Path) -> None:
    with opened(tmp_path / "pkg") as slip, opened(tmp_path / "other") as other:
        born = datetime(1815, 12, 10, tzinfo=UTC)
        slip.pkg.create_entity("P", "a", {"born": born, "map": {"at": born, "n": 1}, "list": [{"n": None}]})
        slip.export(tmp_path / "g.graphml")
        other.import_files(tmp_path / "g.graphml")
        assert entities_of(other)["a"][1] == {
            "born": "1815-12-10T00:00:00+00:00",
            "map": '{"at": "1815-12-10T00:00:00+00:00", "n": 1}',
            "list": '[{"n": null}]',
        }


def test_what_xml_can_not_hold_is_left_out_and_told(tmp_path: Path) -> None:
    with opened(tmp_path / "pkg") as slip, opened(tmp_path / "other") as other:
        slip.pkg.create_entity("P", "a", {"bell": "\a", "name": "Ada", "labelV": "x", "n\ufffe": 1})
        slip.pkg.create_entity("P", "b\a", {})
        report = slip.export(tmp_path / "g.graphml")
        assert (report.entities, report.unreadable) == (1, 4)
        assert sorted(error.rpartition(": ")[2] for error in report.errors) == [
            *["it holds a character that XML can not"] * 3,
            "the type has this name in GraphML",
        ]
        other.import_files(tmp_path / "g.graphml")
        assert entities_of(other) == {"a": ("P", {"name": "Ada"})}


def test_what_another_program_wrote_unreadably_is_left_out_and_told(tmp_path: Path) -> None:
    with opened(tmp_path / "pkg") as slip, opened(tmp_path / "other") as other:
        slip.pkg.create_entity("P", "a")
        with closing(sqlite3.connect(tmp_path / "pkg" / ".slipstream" / "graph.db")) as connection, connection:
            deep = '{"x": ' * 200 + "1" + "}" * 200
            connection.execute("INSERT INTO entity(id, type, properties) VALUES ('b', 'P', ?)", (deep,))
        report = slip.export(tmp_path / "g.graphml")
        assert (report.entities, report.unreadable) == (1, 1)
        assert "another program wrote properties that can not be read" in report.errors[0]
        other.import_files(tmp_path / "g.graphml")
        assert entities_of(other) == {"a": ("P", {})}
