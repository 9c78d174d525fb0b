"""Node-link JSON, as NetworkX and d3 have it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slipstream.domain.errors import ConfigError
from slipstream.importers.json_parts import VALUE_SIZE_MAX, parts
from slipstream.importers.node_link import reader
from slipstream.importers.opening import source_files
from slipstream.importers.options import ReadOptions
from slipstream.importers.reading import format_of
from slipstream.importers.rows import Stage
from tests.unit.importers.graph_files import GRAPHS, Found, found


def read(name: str, **options: Any) -> Found:
    return found(reader, GRAPHS / f"{name}.json", **options)


def read_data(folder: Path, data: Any, **options: Any) -> Found:
    path = folder / "g.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return found(reader, path, **options)


def test_what_networkx_writes_keeps_keys_ids_and_nested_values() -> None:
    written = read("node-link-edges")
    assert {name: row.type for name, row in written.entities.items()} == {
        "ada": "Person",
        "babbage": "Person",
        "engine": "Machine",
        "1": "Entity",
    }
    assert written.properties("ada")["of"] == {"place": "London", "since": None}
    assert written.properties("engine")["parts"] == ["mill", "store"]
    assert written.triples() == [
        ("ada", "WROTE_TO", "babbage", ""),
        ("ada", "WROTE_TO", "babbage", "1"),
        ("ada", "WROTE_TO", "babbage", "by hand"),
        ("ada", "DESCRIBED", "engine", "note-g"),
        ("babbage", "BUILT", "engine", ""),
        ("engine", "RELATED_TO", "1", ""),
    ]
    assert written.relationships[2].properties == {"year": 1844, "weight": 0.25}
    assert written.notes == ['values of a graph itself are not kept ({"name":"letters","year":1843})']


def test_the_number_1_and_the_text_1_are_never_made_one() -> None:
    both = read("node-link-links")
    assert both.properties("1") == {"name": "a text"}
    assert both.refused == [
        "node 2: id: a number and a text are written '1', and would be one entity: give one of them another id"
    ]
    assert both.triples() == [("1", "RELATED_TO", "x", ""), ("1", "RELATED_TO", "y", "")]
    assert "undirected edges are kept as relationships from source to target" in both.notes


def test_an_edge_to_a_refused_twin_is_refused_too(tmp_path: Path) -> None:
    twins = {"nodes": [{"id": "1"}, {"id": 1}, {"id": "a"}], "links": [{"source": 1, "target": "a"}]}
    assert read_data(tmp_path, twins).refused[1] == (
        "edge 1: source: the node '1' was refused, so nothing can lead to it"
    )


def test_older_networkx_and_d3_count_the_nodes(tmp_path: Path) -> None:
    old = {
        "graph": [],
        "nodes": [{"id": "A"}, {"id": "B"}],
        "links": [{"source": 0, "target": 1}],
        "multigraph": False,
    }
    read_old = read_data(tmp_path, old)
    assert read_old.triples() == [("A", "RELATED_TO", "B", "")]
    assert "they are places in the list of nodes" in read_old.told
    nameless = {
        "nodes": [{"name": "Myriel"}, {"name": "Napoleon"}],
        "links": [{"source": 1, "target": 0, "value": 1}],
    }
    assert read_data(tmp_path, nameless).triples() == [("g.json#1", "RELATED_TO", "g.json#0", "")]
    assert read_data(tmp_path, nameless, id_prefix="m/").triples() == [("m/1", "RELATED_TO", "m/0", "")]
    named = read_data(tmp_path, nameless, id_column="name", entity_type="Character")
    assert named.triples() == [("Napoleon", "RELATED_TO", "Myriel", "")]
    assert named.entities["Myriel"].type == "Character"
    assert named.relationships[0].properties == {"value": 1}


def test_a_number_that_may_be_an_id_or_a_place_is_refused(tmp_path: Path) -> None:
    either = {"nodes": [{"id": "0"}, {"id": "1"}], "links": [{"source": 1, "target": 0}]}
    assert "nobody can tell whether it is an id or a place" in read_data(tmp_path, either).refused[0]
    beyond = {"nodes": [{"id": "a"}], "links": [{"source": "a", "target": 1}, {"source": "a", "target": -1}]}
    assert [text.partition(": ")[2] for text in read_data(tmp_path, beyond).refused] == [
        "target: there is no node at place 1 of 1",
        "target: there is no node at place -1 of 1",
    ]


def test_numbers_are_ids_where_some_id_is_one(tmp_path: Path) -> None:
    numbers = {"links": [{"source": 0, "target": 7}, {"source": 0, "target": 8}], "nodes": [{"id": 7}, {"id": 0}]}
    counted = read_data(tmp_path, numbers)
    assert counted.triples() == [("0", "RELATED_TO", "7", ""), ("0", "RELATED_TO", "8", "")]
    assert counted.mentioned == ["8"]


def test_ends_that_d3_has_replaced_by_nodes_are_read(tmp_path: Path) -> None:
    drawn = {
        "nodes": [{"id": "a", "index": 0, "x": 1.5}, {"id": "b", "index": 1}],
        "links": [{"source": {"id": "a", "index": 0, "x": 1.5}, "target": {"id": "b"}, "index": 0}],
    }
    assert read_data(tmp_path, drawn).triples() == [("a", "RELATED_TO", "b", "")]


def test_flags_may_come_last(tmp_path: Path) -> None:
    last = '{"edges": [{"source": "a", "target": "b", "key": "k"}], "nodes": [], "multigraph": true}'
    assert read_data(tmp_path, last).triples() == [("a", "RELATED_TO", "b", "k")]
    simple = last.replace("true", "false")
    assert read_data(tmp_path, simple).relationships[0].properties == {"key": "k"}


def test_a_key_beside_an_own_id_stays_a_value(tmp_path: Path) -> None:
    edge = {"source": "a", "target": "b", "key": "k", "id": 7, "type": "R"}
    both = read_data(tmp_path, {"nodes": [], "edges": [edge, edge], "multigraph": True})
    assert both.relationships[0] == ("a", "R", "b", {"key": "k"}, "7")
    assert "another R between the same ends has the id '7' already" in both.refused[0]


def test_what_is_no_node_or_edge_is_refused_with_its_text(tmp_path: Path) -> None:
    odd = {
        "nodes": ["a", {"id": None, "name": "x"}, {"id": {"a": 1}}, {"id": ""}, {"id": [1, "b"]}],
        "edges": [{}, 7],
    }
    refused = read_data(tmp_path, odd)
    assert list(refused.entities) == ["g.json#1", '[1,"b"]']
    assert refused.refused == [
        'node 1: nodes: must be an object, not "a"',
        'node 3: id: must be a text or a number, not {"a":1}',
        "node 4: id: must be a text or a number, not ",
        "edge 1: source: must be a text or a number, not null",
        "edge 2: edges: must be an object, not 7",
    ]


def test_numbers_that_no_graph_can_keep_stay_text(tmp_path: Path) -> None:
    odd = '{"id": 1, "a": 9223372036854775808, "b": NaN, "c": -Infinity, "d": 1e999, "e": [1e999]}'
    numbers = read_data(tmp_path, f'{{"nodes": [{odd}], "links": []}}')
    assert numbers.properties("1") == {
        "a": "9223372036854775808",
        "b": "NaN",
        "c": "-Infinity",
        "d": "1e999",
        "e": ["1e999"],
    }
    assert "numbers of more than 64 bits, and those that are none, are kept as text (5 times" in numbers.told


def test_relationships_are_read_without_the_nodes_before_them() -> None:
    made = reader(source_files([GRAPHS / "node-link-edges.json"]), ReadOptions())
    rows = list(made.rows(Stage.RELATIONSHIPS, lambda _: None))
    assert rows == list(made.rows(Stage.RELATIONSHIPS, lambda _: None))
    assert len(rows) == 6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "where '{' should be, the file ends"),
        ("[]", "where '{' should be"),
        ('{"nodes": [{"id": 1},', "the file ends; it is damaged, or was cut short"),
        ('{"nodes": [{"id": 1}, {"id": ', "where a value should be"),
        ('{"nodes": [{"id": 1} {"id": 2}]}', "where ',' should be"),
        ('{"nodes": []} x', "where the end of the file should be"),
        ('{"nodes": []', "the file ends"),
        ("{7: []}", "a name of a member"),
        ('{"nodes" []}', "where ':' should be"),
        ('{"nodes": {"a": 1}}', "its member 'nodes' is no list"),
        ('{"elements": {}}', "it looks like JSON of Cytoscape"),
        ("{}", "has neither nodes nor edges"),
        ('{"nodes": [' + "[" * 200_000, "g.json"),
    ],
)
def test_what_can_not_be_read_is_refused_as_a_whole(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"g\.json") as caught:
        read_data(tmp_path, text)
    assert said in str(caught.value)


def test_what_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "g.json").write_bytes(b'{"nodes": [{"id": "\xe9"}]}')
    with pytest.raises(ConfigError, match="is not UTF-8"):
        found(reader, tmp_path / "g.json")


def test_a_value_without_end_is_not_read_for_ever() -> None:
    endless = (b'{"nodes": ["' if at == 0 else b"a" * 65_536 for at in range(10_000))
    with pytest.raises(ConfigError, match="a value of at most"):
        list(parts(endless, "g.json", ("nodes",), lambda _: None))
    assert next(endless)[:1] == b"a"  # most of it was not asked for
    assert VALUE_SIZE_MAX < 10_000 * 65_536


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_parts_are_the_same_however_the_file_is_cut(size: int) -> None:
    items = '[1, 23, -4.5e1, "\\"]", {"b": [null]}, "\U0001f600é"]'
    text = f'\ufeff{{ "a": {items} , "c" : [ ], "d":{{"e":[1]}}, "f": 12 }}\n'.encode()
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    found_parts = list(parts(chunks, "x", ("a", "c"), lambda _: None))
    values = [part.value for part in found_parts if part.member == "a"]
    assert values == [1, 23, -45.0, '"]', {"b": [None]}, "\U0001f600é"]
    assert [part[:3] for part in found_parts if part.place < 0] == [
        ("c", -1, []),
        ("d", -1, {"e": [1]}),
        ("f", -1, 12),
    ]
    assert [part.text for part in found_parts][:3] == ["1", "23", "-4.5e1"]


LONG = json.dumps([{"id": at, "name": "x" * 90} for at in range(100)])
NODE = '{"type":"node","id":"0","labels":["A"],"properties":{"id":"a","links":1,"directed":true}}'


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ('{"directed": false, "nodes": []}', "node-link"),
        (f'{{"nodes": {LONG}, "links": []}}', "node-link"),
        (f' {{\n"nodes" : {LONG}, "edges": []}}', "node-link"),
        (NODE, "apoc"),
        (f"[{NODE}]", "apoc"),
        (f'{{"nodes":[{NODE}],"rels":[]}}', "apoc"),
        (f'{{"nodes":{{"0":{NODE}}},"rels":{{}}}}', "apoc"),
        ('{"nodes":[{"id":"0","type":"node","labels":["A"]}],"rels":[]}', "apoc"),
        ('{"type":"slipstream","format":1}', "apoc"),
    ],
)
def test_json_is_told_by_what_it_looks_like(tmp_path: Path, text: str, form: str) -> None:
    (tmp_path / "g.json").write_text(text)
    assert format_of([tmp_path / "g.json"]) == form


def test_a_graph_without_nodes_is_one(tmp_path: Path) -> None:
    (tmp_path / "g.json").write_text('{"directed": true, "nodes": [], "links": []}')
    made = reader(source_files([tmp_path / "g.json"]), ReadOptions())
    assert not list(made.rows(Stage.ENTITIES, lambda _: None))
    assert not list(made.rows(Stage.RELATIONSHIPS, lambda _: None))
