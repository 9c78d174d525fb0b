"""GraphML, as real tools write it, and as nobody should."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.importers.graphml.elements import DEFAULTS_SIZE_MAX, DEPTH_MAX, KEYS_MAX, TAG_BYTES_MAX, TEXT_SIZE_MAX
from slipstream.importers.graphml.reader import reader
from slipstream.importers.opening import source_files
from slipstream.importers.options import ReadOptions, Relate
from slipstream.importers.rows import Stage
from tests.unit.importers.graph_files import GRAPHS, Found, found

BIG = str(2**63)
MANY_KEYS = "".join(f'<key id="{at}"/>' for at in range(KEYS_MAX + 1))
HYPEREDGE = "hyperedge: joins several nodes at once, which no relationship can: make it a node with an edge to each"


def read(name: str, **options: Any) -> Found:
    return found(reader, GRAPHS / f"{name}.graphml", **options)


def read_text(folder: Path, text: str, **options: Any) -> Found:
    path = folder / "g.graphml"
    path.write_text(text, encoding="utf-8")
    return found(reader, path, **options)


def graph(*inside: str, keys: str = "") -> str:
    return f'<graphml>{keys}<graph edgedefault="directed">{"".join(inside)}</graph></graphml>'


def test_what_apoc_writes_has_its_own_ids_types_and_edge_ids() -> None:
    apoc = read("apoc")
    assert {row.id: row.type for row in apoc.entities.values()} == {
        "ann": "Admin",
        "bob": "Entity",
        "n2": "City",
        "n3": "Entity",
    }
    ann = apoc.properties("ann")
    assert ann["labels"] == ["Admin", "Entity", "Person"]
    assert (ann["big"], ann["half"], ann["flag"]) == ("9223372036854775807", "0.1", "true")  # APOC says no types here
    assert ann["note"] == "two\nlines; semi,comma\ttab"
    assert ann["es"] == ""
    assert "id" not in ann
    assert apoc.triples() == [
        ("ann", "KNOWS", "bob", "k1"),
        ("ann", "KNOWS", "bob", ""),
        ("bob", "LIVES_IN", "n2", ""),
        ("ann", "SELF", "ann", ""),
    ]
    assert apoc.relationships[0].properties == {"w": "0.5", "since": "2020-01-01"}
    assert (apoc.refused, apoc.notes) == ([], [])


def test_apoc_with_types_writes_lists_as_json(tmp_path: Path) -> None:
    keys = (
        '<key id="tags" for="node" attr.name="tags" attr.type="string" attr.list="string"/>'
        '<key id="nums" for="node" attr.name="nums" attr.type="long" attr.list="long"/>'
    )
    lists = read_text(
        tmp_path,
        graph(
            '<node id="n0" labels=":A"><data key="tags">["a","b;c"]</data><data key="nums">[1,2]</data></node>',
            f'<node id="n1" labels=":A"><data key="tags">a,b</data><data key="nums">[{BIG}]</data></node>',
            keys=keys,
        ),
    )
    assert lists.properties("n0") == {"tags": ["a", "b;c"], "nums": [1, 2]}
    assert lists.properties("n1") == {"tags": "a,b", "nums": f"[{BIG}]"}
    assert "values of 'tags' that are no list are kept as text" in lists.told


def test_a_neo4j_property_called_as_the_label_is_not_lost(tmp_path: Path) -> None:
    same = read_text(
        tmp_path,
        graph(
            '<node id="a" labels=":P"><data key="labels">:P</data><data key="labels">mine</data></node>',
            '<edge source="a" target="a" label="R"><data key="label">R</data><data key="label">mine</data></edge>',
            keys='<key id="labels" for="node" attr.name="labels"/><key id="label" for="edge" attr.name="label"/>',
        ),
    )
    assert same.entities["a"].type == "P"
    assert same.properties("a") == {"labels": "mine"}
    assert same.relationships[0][:3] == ("a", "R", "a")
    assert same.relationships[0].properties == {"label": "mine"}


def test_what_networkx_writes_keeps_an_edge_property_called_id_and_keys_of_parallel_edges() -> None:
    written = read("networkx")
    assert written.entities["ada"].type == "Person"
    assert written.properties("ada") == {"name": "Ada Lovelace", "born": 1815, "known": True}
    assert written.entities["1"].type == "Entity"
    assert written.triples() == [
        ("ada", "WROTE_TO", "babbage", ""),
        ("ada", "WROTE_TO", "babbage", "1"),
        ("ada", "WROTE_TO", "babbage", "by hand"),
        ("ada", "DESCRIBED", "engine", "note-g"),
        ("babbage", "BUILT", "engine", ""),
        ("engine", "RELATED_TO", "1", ""),
    ]
    assert [row.properties.get("weight") for row in written.relationships[:3]] == [None, 2, 0.25]
    assert written.notes == ["values of a graph itself are not kept (2 times, first line 59, line 60)"]


def test_what_igraph_writes_is_named_by_a_value_that_the_user_names() -> None:
    named = read("igraph", id_column="name", entity_type="Person")
    assert list(named.entities) == ["ada", "babbage", "mary"]
    assert named.properties("mary") == {"known": True}
    assert named.triples() == [
        ("ada", "RELATED_TO", "babbage", "e-1"),
        ("ada", "RELATED_TO", "mary", "e-2"),
        ("ada", "RELATED_TO", "mary", "e-3"),
    ]
    assert named.relationships[1].properties == {"weight": "Inf"}
    assert "undirected edges are kept as relationships from source to target (3 times)" in named.notes
    assert "values of 'weight' that are no double of 64 bits are kept as text (Inf)" in named.notes
    assert list(read("igraph", id_prefix="g/").entities) == ["g/n0", "g/n1", "g/n2"]


def test_what_gephi_writes_has_captions_defaults_and_both_kinds_of_edges() -> None:
    gephi = read("gephi")
    assert gephi.properties("1") == {"label": "Ada Lovelace", "size": 10.0, "group": "people"}
    assert gephi.properties("2") == {"label": "Analytical Engine", "size": 4.5, "group": "unknown"}
    assert gephi.triples() == [("1", "described", "2", ""), ("2", "RELATED_TO", "1", "")]
    assert gephi.relationships[1].properties == {"weight": "NaN", "directed": True}


def test_what_yed_draws_gives_its_texts_and_groups() -> None:
    yed = read("yed")
    labels = {name: row.properties.get("label") for name, row in yed.entities.items()}
    assert labels == {"n0": "The engine", "n0::n0": "Mill", "n0::n1": None, "n1": "Ada\nLovelace"}
    assert yed.properties("n0::n0")["description"] == "where numbers are worked on"
    assert yed.triples() == [
        ("n0", "CONTAINS", "n0::n0", ""),
        ("n0", "CONTAINS", "n0::n1", ""),
        ("n0::n0", "reads", "n0::n1", ""),
        ("n1", "RELATED_TO", "n0", ""),
    ]
    assert yed.relationships[-1].properties == {"label": "two\nlines"}  # no type can be called that
    assert "drawings (colours, shapes, places) are not kept, but for their texts" in yed.told


def test_everything_else_that_graphml_has_is_taken_or_refused_by_name() -> None:
    primer = read("primer")
    assert primer.properties("n0") == {"color": "green", "desc": "café au lait"}
    assert primer.properties("n1") == {"big": BIG, "born": 1000.0, "day": "1815-12-10", "color": "yellow"}
    assert primer.properties("n2") == {"big": -7, "born": "1e999", "later": "x", "color": "yellow"}
    assert primer.mentioned == ["n9"]
    assert primer.triples() == [
        ("n0", "RELATED_TO", "n2", ""),
        ("n0", "RELATED_TO", "n9", ""),
        ("h0", "RELATED_TO", "n0", ""),
    ]
    assert primer.relationships[0].properties == {"color": "yellow", "sourceport": "North"}
    assert primer.relationships[1].properties == {"color": "yellow", "directed": False}
    assert primer.refused == [
        "line 13: id: is missing in this node",
        "line 14: color: is there twice, with different values: remove one of them",
        f"line 15: {HYPEREDGE}",
        "line 18: target: is missing in this edge",
        "line 19: target: the node 'n3' was refused, so nothing can lead to it",
    ]
    for note in (
        "ports of nodes are not read",
        "the key 'later' is declared nowhere before its values",
        "further graphs of a file are taken as one with the first",
        "graphs in other files (<locator>) are not read",
        "values of 'big' that are no long of 64 bits are kept as text",
        "the type 'date' of 'day' is unknown",
        "undirected edges are kept as relationships",
    ):
        assert note in primer.told


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("int", "007", 7),
        ("long", "-9223372036854775808", -(2**63)),
        ("integer", "1_0", "1_0"),
        ("int", "1.0", "1.0"),
        ("double", "1e-3", 0.001),
        ("float", "1,5", "1,5"),
        ("double", "-INF", "-INF"),
        ("double", "\u0661", "\u0661"),
        ("boolean", "True", True),
        ("boolean", "0", False),
        ("boolean", "yes", "yes"),
        ("string", " kept ", " kept "),
        ("", "1", "1"),
        ("STRING", "", ""),
    ],
)
def test_values_have_their_type_or_stay_the_text_they_are(tmp_path: Path, kind: str, text: str, value: Any) -> None:
    typed = read_text(
        tmp_path,
        graph(
            f'<node id="a"><data key="k">{text}</data></node>', keys=f'<key id="k" for="node" attr.type="{kind}"/>'
        ),
    )
    assert typed.properties("a") == {"k": value}
    assert type(typed.properties("a")["k"]) is type(value)
    assert bool(typed.notes) is (kind not in ("string", "STRING", "") and isinstance(value, str))


def test_an_empty_number_is_absent(tmp_path: Path) -> None:
    empty = read_text(
        tmp_path, graph('<node id="a"><data key="k"/></node>', keys='<key id="k" for="node" attr.type="int"/>')
    )
    assert empty.properties("a") == {}


@pytest.mark.parametrize("name", ["labelV", "labels", "entity_type", "type", "TYPE"])
def test_a_type_is_said_by_a_value(tmp_path: Path, name: str) -> None:
    typed = read_text(
        tmp_path,
        graph('<node id="a"><data key="t">Person</data></node>', keys=f'<key id="t" attr.name="{name}"/>'),
        entity_type="Thing",
    )
    assert typed.entities["a"].type == "Person"
    assert typed.properties("a") == {}


def test_tinkerpop_may_have_a_property_called_type(tmp_path: Path) -> None:
    typed = read_text(
        tmp_path,
        graph(
            '<node id="1"><data key="labelV">airport</data><data key="type">big</data></node>',
            '<edge id="9" source="1" target="1"><data key="labelE">route</data><data key="type">air</data></edge>',
            keys="".join(f'<key id="{name}" attr.name="{name}"/>' for name in ("labelV", "labelE", "type")),
        ),
    )
    assert typed.entities["1"].type == "airport"
    assert typed.properties("1") == {"type": "big"}
    assert typed.relationships[0][:4] == ("1", "route", "1", {"type": "air"})


def test_what_no_type_can_be_called_stays_a_value(tmp_path: Path) -> None:
    typed = read_text(tmp_path, graph('<node id="a"><data key="type">_x</data></node>', keys='<key id="type"/>'))
    assert typed.entities["a"].type == "Entity"
    assert typed.properties("a") == {"type": "_x"}


def test_edges_may_come_before_their_nodes_and_lead_nowhere(tmp_path: Path) -> None:
    early = read_text(
        tmp_path,
        graph('<edge source="a" target="b"/>', '<node id="a"/>', '<edge source="c" target="a"/>'),
        entity_type="Thing",
        id_prefix="x:",
    )
    assert list(early.entities) == ["x:a", "x:b", "x:c"]
    assert early.mentioned == ["x:b", "x:c"]
    assert early.entities["x:b"].type == "Thing"
    assert early.triples() == [("x:a", "RELATED_TO", "x:b", ""), ("x:c", "RELATED_TO", "x:a", "")]


def test_one_name_for_two_nodes_is_refused(tmp_path: Path) -> None:
    keys = '<key id="id" for="node"/>'
    twice = read_text(
        tmp_path,
        graph(
            '<node id="n"><data key="id">a</data></node>', '<node id="n"><data key="id">b</data></node>', keys=keys
        ),
    )
    assert list(twice.entities) == ["a"]
    assert "the node 'n' is there twice, as 'a' and as 'b'" in twice.refused[0]


def test_one_id_for_two_edges_between_the_same_ends_is_refused(tmp_path: Path) -> None:
    edge = '<edge source="a" target="a"><data key="id">k</data></edge>'
    twice = read_text(tmp_path, graph(edge, edge, keys='<key id="id" for="edge"/>'))
    assert twice.triples() == [("a", "RELATED_TO", "a", "k")]
    assert "another RELATED_TO between the same ends has the id 'k' already" in twice.refused[0]


def test_parallel_edges_are_told_apart_whatever_they_are_called(tmp_path: Path) -> None:
    edges = [f'<edge source="a" target="a"{said}/>' for said in ("", ' id="3"', "", ' id="3"', "")]
    assert [row[3] for row in read_text(tmp_path, graph(*edges)).triples()] == ["", "3", "3 3", "4", "5"]


def test_an_id_that_the_user_names_must_be_there(tmp_path: Path) -> None:
    with_id = read_text(tmp_path, graph('<node id="a"/>'), id_column="name")
    assert with_id.refused == ["line 1: name: is missing in this node: without --id, nodes are called by their ids"]


def test_relationships_are_read_without_the_nodes_before_them() -> None:
    made = reader(source_files([GRAPHS / "apoc.graphml"]), ReadOptions())
    rows = list(made.rows(Stage.RELATIONSHIPS, lambda _: None))
    assert rows == list(made.rows(Stage.RELATIONSHIPS, lambda _: None))
    assert rows[0].content[:4:2] == ("ann", "bob")


def test_several_files_have_names_of_their_own(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.graphml").write_text(
            graph(
                f'<node id="n0"><data key="id">{name}</data></node>',
                '<edge source="n0" target="n0"/>',
                keys='<key id="id"/>',
            )
        )
    both = found(reader, tmp_path / "a.graphml", tmp_path / "b.graphml")
    assert [row[0] for row in both.triples()] == ["a", "b"]
    assert both.rows[0].where == f"{tmp_path / 'a.graphml'}, line 1"


def test_packed_files_are_read_as_the_plain_ones(tmp_path: Path) -> None:
    packed = tmp_path / "networkx.graphml.gz"
    packed.write_bytes(gzip.compress((GRAPHS / "networkx.graphml").read_bytes()))
    assert found(reader, packed).rows == read("networkx").rows


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<gexf/>", "is no GraphML: its outermost element is <gexf>"),
        ("", "is not well-formed XML at line 1"),
        ("a,b\n1,2\n", "is not well-formed XML at line 1, column 0 (syntax error)"),
        ("<graphml><graph><node id='a'/>", "it is damaged, or was cut short"),
        ("<graphml><graph><node id='a'></graph></graphml>", "mismatched tag"),
        ("<graphml><desc>form\ffeed</desc></graphml>", "Take control characters out with tr -d"),
        ("<graphml><desc>you & me</desc></graphml>", "write a bare & as &amp;"),
        ("<graphml>&nbsp;</graphml>", "undefined entity"),
        ("<!DOCTYPE graphml SYSTEM 'x.dtd'><graphml>&nbsp;</graphml>", "uses the entity &nbsp;"),
        ("<!DOCTYPE graphml [<!ENTITY a 'b'>]><graphml>&a;</graphml>", "declares the entity 'a'"),
        ("<!DOCTYPE graphml [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><graphml/>", "declares the entity 'a'"),
        ("<!DOCTYPE graphml [<!ENTITY % a 'b'>]><graphml/>", "declares the entity 'a'"),
        ("<?xml version='1.0' encoding='nonsense'?><graphml/>", "nonsense"),
        ("<graphml>" + "<graph><node id='a'>" * DEPTH_MAX, "nests graphs deeper than"),
        (f"<graphml><graph><node id='{'a' * (TAG_BYTES_MAX + 70_000)}", "a tag or comment of more than 4,194,304"),
        (
            f"<graphml><key id='a'><default>{'a' * (DEFAULTS_SIZE_MAX + 1)}</default></key>",
            "which every node would get",
        ),
        (f"<graphml><graph><data key='a'>{'a' * TEXT_SIZE_MAX}</data>", "more than 16,777,216"),
        ("<graphml><graph><node>" + f"<data>{4_000 * 'a'}</data>" * 4_195, "more than 16,777,216"),
        (f"<graphml>{MANY_KEYS}", "more than 100,000 keys"),
        (f"<graphml><graph><node><data key='a'>{'a' * (TEXT_SIZE_MAX + 1)}</data>", "more than 16,777,216"),
    ],
)
def test_what_can_not_be_read_is_refused_as_a_whole(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"g\.graphml") as caught:
        read_text(tmp_path, text)
    assert said in str(caught.value)


def test_options_that_mean_nothing_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="means nothing for this format"):
        reader([], ReadOptions(relate=(Relate("a", "B", "C"),)))
