"""What dumps call their nodes and relationships counts in that file only, and nothing leads to another node."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config
from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import EntityState
from slipstream.domain.errors import ConfigError
from slipstream.domain.keys import entity_key
from slipstream.events.import_state import ImportProgress, ImportReport
from slipstream.ports.scans import scan_graph
from slipstream.testkit.embedders import HashEmbedder

Row = dict[str, Any]


@pytest.fixture
def slip(tmp_path: Path) -> Iterator[Slipstream]:
    options = Options(embedders=(HashEmbedder(dimension=16),))
    with open_pkg(tmp_path / "pkg", config=Config(), options=options, run=False) as opened:
        yield opened


def node(number: int, label: str | None = "Person", **properties: Any) -> Row:
    row: Row = {"type": "node", "id": str(number)}
    if label:
        row["labels"] = [label]
    return {**row, "properties": properties} if properties else row


def edge(number: int, start: int, end: int, kind: str = "KNOWS", **properties: Any) -> Row:
    ends = {"start": {"id": str(start), "labels": ["Person"]}, "end": {"id": str(end), "labels": ["Person"]}}
    return {"type": "relationship", "id": str(number), "label": kind, **ends, "properties": properties}


GRAPH = [
    node(0, id="ann", name='Ann "A" {O\'Neil} [x]\\'),
    node(1, id="bob", name="Bob"),
    node(2, "City", name="Rome"),
    node(3, None),
    edge(0, 0, 1, id="k1", w=0.5),
    edge(1, 0, 1),
    edge(2, 1, 2, "LIVES_IN"),
    edge(3, 0, 0, "SELF"),
]


def lines(rows: Sequence[Row]) -> str:
    return "\n".join(json.dumps(row) for row in rows)


def document(rows: Sequence[Row], *, is_by_id: bool) -> str:
    found: dict[str, Any] = {"nodes": {} if is_by_id else [], "rels": {} if is_by_id else []}
    for row in rows:
        group = found["nodes" if row["type"] == "node" else "rels"]
        if is_by_id:
            group[row["id"]] = row
        else:
            group.append(row)
    return json.dumps(found)


def run(slip: Slipstream, path: Path, text: str, **options: Any) -> ImportReport:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return slip.importer().run(path, **options)


def keys(slip: Slipstream) -> list[str]:
    return [row.key.encode() for row in scan_graph(slip.pkg)]


def told(report: ImportReport) -> tuple[int, int, int]:
    return report.entities, report.relationships, report.rejected


def name_of(slip: Slipstream, entity_id: str) -> tuple[str, Any]:
    state = slip.pkg.read([entity_key(entity_id)], {}).states[entity_key(entity_id)]
    assert isinstance(state, EntityState)
    return state.entity.type, state.entity.properties.get("name")


def names_of(slip: Slipstream, kind: str) -> list[tuple[str, str]]:
    rows = slip.pkg.query(f"MATCH (a)-[:{kind}]->(b) RETURN a.name AS a, b.name AS b ORDER BY a, b")
    return [(row["a"], row["b"]) for row in rows]


# ---------------------------------------------------------------------- the forms


@pytest.mark.parametrize(
    "text",
    [
        lines(GRAPH),
        lines(GRAPH).replace("\n", "\r\n") + "\r\n\r\n",
        "\ufeff" + lines(GRAPH),
        json.dumps(GRAPH),
        json.dumps(GRAPH, indent=2),
        "\ufeff \n" + json.dumps(GRAPH),
        document(GRAPH, is_by_id=False),
        json.dumps(json.loads(document(GRAPH, is_by_id=False)), indent="\t"),
        document(GRAPH, is_by_id=True),
        document(list(reversed(GRAPH)), is_by_id=True),
    ],
)
@pytest.mark.parametrize("name", ["graph.json", "graph.jsonl.gz"])
def test_every_json_form_gives_the_same_graph(slip: Slipstream, tmp_path: Path, text: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    report = slip.importer().run(path)
    assert told(report) == (4, 4, 0), report.errors
    nodes = ["e:ann", "e:bob", "e:graph#2", "e:graph#3"]
    assert keys(slip) == [
        *nodes, "r:KNOWS:ann:bob", "r:KNOWS:ann:bob:k1", "r:LIVES_IN:bob:graph#2", "r:SELF:ann:ann",
    ]  # fmt: skip
    assert name_of(slip, "ann") == ("Person", GRAPH[0]["properties"]["name"])
    assert name_of(slip, "graph#3") == ("Entity", None)
    head = slip.pkg.feed.head()
    assert told(slip.importer().run(path)) == (4, 4, 0)
    assert slip.pkg.feed.head() == head, "importing it once more changes nothing"


def test_a_dump_without_node_properties_has_as_many_of_each(slip: Slipstream, tmp_path: Path) -> None:
    bare = [{name: value for name, value in row.items() if name != "properties"} for row in GRAPH]
    report = run(slip, tmp_path / "bare.jsonl", lines(bare))
    assert told(report) == (4, 4, 0), report.errors
    assert [key for key in keys(slip) if key.startswith("e:")] == [f"e:bare#{number}" for number in range(4)]
    assert "r:KNOWS:bare#0:bare#1" in keys(slip)
    assert "r:KNOWS:bare#0:bare#1:1" in keys(slip), "the second one is told apart by its number"


@pytest.mark.parametrize("is_by_id", [True, False])
def test_a_document_that_was_cut_short_is_told(slip: Slipstream, tmp_path: Path, is_by_id: bool) -> None:
    text = document(GRAPH, is_by_id=is_by_id)
    report = run(slip, tmp_path / "graph.json", text[: text.index('"LIVES_IN"')])
    assert told(report) == (4, 2, 1)
    assert "the document ends before its last bracket: the file was cut short" in report.errors[0]


def test_a_bad_row_of_a_document_costs_itself_only(slip: Slipstream, tmp_path: Path) -> None:
    text = json.dumps([*GRAPH[:2], {"type": "node", "id": "9", "labels": 5}, 7, *GRAPH[2:]])
    report = run(slip, tmp_path / "graph.json", text)
    assert told(report) == (4, 4, 2)
    assert report.errors[0].startswith("row 3: labels: must be an array")
    assert len(slip.list_dead_letters()) == 2


# ---------------------------------------------------------------------- row numbers


def test_an_end_that_was_refused_or_is_not_there_takes_its_relationship_with_it(
    slip: Slipstream, tmp_path: Path
) -> None:
    rows = [
        node(0, "Person", id=1, name="Mira Holm"),
        node(1, "Town", id=1, name="Osterby"),
        node(4, "Recipe", id="7", name="Barley soup"),
        edge(0, 0, 1, "LIVES_IN"),
        edge(1, 0, 7, "EMPLOYED_BY"),
        edge(2, 0, 4, "COOKS"),
    ]
    report = run(slip, tmp_path / "g.jsonl", lines(rows))
    assert told(report) == (2, 1, 3)
    assert names_of(slip, "COOKS") == [("Mira Holm", "Barley soup")]
    assert keys(slip) == ["e:1", "e:7", "r:COOKS:1:7"]
    assert "'1' is the id of row 0 already" in report.errors[0]
    assert "its end, row 1, was refused" in report.errors[1]
    assert "its end, row 7, is not in this file" in report.errors[2]


def test_two_files_that_count_from_zero_do_not_write_over_each_other(slip: Slipstream, tmp_path: Path) -> None:
    run(slip, tmp_path / "people.jsonl", lines([node(0, name="Ann"), node(1, name="Bob"), edge(0, 0, 1)]))
    run(slip, tmp_path / "towns.jsonl", lines([node(0, "Town", name="Rome"), node(1, "Town", name="Oslo")]))
    run(slip, tmp_path / "ids.jsonl", lines([node(5, id="0", name="Zero"), node(6, id="1", name="One")]))
    found = {key: name_of(slip, key[2:])[1] for key in keys(slip) if key.startswith("e:")}
    assert found == {
        "e:people#0": "Ann", "e:people#1": "Bob", "e:towns#0": "Rome", "e:towns#1": "Oslo",
        "e:0": "Zero", "e:1": "One",
    }  # fmt: skip
    assert names_of(slip, "KNOWS") == [("Ann", "Bob")]


def test_a_file_of_the_same_name_elsewhere_is_asked_for_a_prefix(slip: Slipstream, tmp_path: Path) -> None:
    run(slip, tmp_path / "one" / "graph.jsonl", lines([node(0, name="Ann")]))
    run(slip, tmp_path / "two" / "graph.jsonl", lines([node(3, id="own", name="Own")]))
    with pytest.raises(ConfigError, match=r"'graph#' if it is the same graph") as refused:
        run(slip, tmp_path / "three" / "graph.jsonl", lines([node(0, name="Bob")]))
    assert str(tmp_path / "one" / "graph.jsonl") in str(refused.value)
    run(slip, tmp_path / "three" / "graph.jsonl", lines([node(0, name="Bob")]), id_prefix="bobs ")
    assert keys(slip) == ["e:bobs 0", "e:graph#0", "e:own"]
    run(slip, tmp_path / "three" / "graph.jsonl", lines([node(0, name="Bob")]), id_prefix="graph#")
    assert name_of(slip, "graph#0") == ("Person", "Bob")
    run(slip, tmp_path / "three" / "graph.jsonl", lines([node(0, name="Bare")]), id_prefix="")
    assert name_of(slip, "0") == ("Person", "Bare")


def test_a_row_number_is_never_taken_for_an_id_of_the_same_file(slip: Slipstream, tmp_path: Path) -> None:
    rows = [node(0, id="1", name="Ann"), node(1, name="Bob"), node(2, id="g#1", name="Eve"), edge(0, 0, 1)]
    report = run(slip, tmp_path / "g.jsonl", lines(rows))
    assert told(report) == (2, 1, 1), "an id that looks like one of the file's own names is no other node's"
    assert names_of(slip, "KNOWS") == [("Ann", "Bob")]


def test_dumps_that_were_joined_to_one_file_are_not_mixed_up(slip: Slipstream, tmp_path: Path) -> None:
    one = [node(0, id="ann", name="Ann"), node(1, name="Bob"), edge(0, 0, 1)]
    two = [node(0, id="eve", name="Eve"), node(1, name="Dan"), edge(0, 0, 1)]
    report = run(slip, tmp_path / "g.jsonl", lines([*one, *two]))
    assert told(report) == (2, 0, 4)
    assert "import dumps one by one" in report.errors[0]
    assert keys(slip) == ["e:ann", "e:g#1"]


def test_an_end_that_says_another_id_than_its_row_is_refused(slip: Slipstream, tmp_path: Path) -> None:
    wrong = edge(0, 0, 1)
    wrong["end"]["properties"] = {"id": "ann"}
    report = run(slip, tmp_path / "g.jsonl", lines([node(0, id="ann"), node(1, id="bob"), wrong]))
    assert told(report) == (2, 0, 1)


# ---------------------------------------------------------------------- relationships without a key


def test_relationships_without_a_key_are_told_apart_by_their_number_only_where_they_must(
    slip: Slipstream, tmp_path: Path
) -> None:
    people = [node(0, id="ann"), node(1, id="bob")]
    report = run(slip, tmp_path / "g.jsonl", lines([*people, edge(7, 0, 1, n=1), edge(9, 0, 1, n=2), edge(8, 1, 0)]))
    assert told(report) == (2, 3, 0)
    assert keys(slip)[2:] == ["r:KNOWS:ann:bob", "r:KNOWS:ann:bob:9", "r:KNOWS:bob:ann"]
    head = slip.pkg.feed.head()
    again = run(slip, tmp_path / "h.jsonl", lines([*people, edge(9, 0, 1, n=2), edge(7, 0, 1, n=1), edge(8, 1, 0)]))
    assert told(again) == (2, 3, 0)
    assert slip.pkg.feed.head() == head, "in whatever order they come, each keeps its identity"


def test_what_an_earlier_version_imported_under_its_number_keeps_it(slip: Slipstream, tmp_path: Path) -> None:
    with slip.pkg.transaction() as tx:
        tx.create_entity("Person", "ann")
        tx.create_entity("Person", "bob")
        tx.relate("ann", "KNOWS", "bob", {"n": 1}, discriminator="7")
    report = run(slip, tmp_path / "g.jsonl", lines([node(0, id="ann"), node(1, id="bob"), edge(7, 0, 1, n=1)]))
    assert told(report) == (2, 1, 0)
    assert keys(slip)[2:] == ["r:KNOWS:ann:bob:7"]


# ---------------------------------------------------------------------- dead letters


def test_letters_replay_with_the_names_of_their_file(slip: Slipstream, tmp_path: Path) -> None:
    rows = [
        node(0, id="1", name="Mira"),
        node(1, "Town", id="1", name="Osterby"),
        *[node(number, name=f"Person {number}") for number in range(2, 10)],
        edge(0, 2, 1, "LIVES_IN"),
        edge(1, 2, 1, "LIVES_IN", n=2),
    ]
    assert told(run(slip, tmp_path / "g.jsonl", lines(rows))) == (9, 0, 3)
    assert slip.replay_dead_letters() == 0, "nothing is mended yet"
    assert name_of(slip, "1") == ("Person", "Mira")
    slip.pkg.create_entity("Town", "2", {"name": "not row 2"})
    slip.pkg.delete_entity("1")
    assert slip.replay_dead_letters() == 3, "the node, and then what leads to it"
    assert name_of(slip, "1") == ("Town", "Osterby")
    assert names_of(slip, "LIVES_IN") == [("Person 2", "Osterby")] * 2
    assert keys(slip)[-2:] == ["r:LIVES_IN:g#2:1", "r:LIVES_IN:g#2:1:1"]
    assert slip.list_dead_letters() == []


def test_a_letter_never_leads_to_another_node_of_the_same_id(slip: Slipstream, tmp_path: Path) -> None:
    away = edge(0, 0, 5)
    away["end"] = {"id": "5", "labels": ["Company"], "properties": {"id": "acme"}}
    twins = [node(0, id="ann"), node(1, id="ann", name="another Ann"), node(2, id="bob")]
    assert told(run(slip, tmp_path / "g.jsonl", lines([*twins, away, edge(1, 2, 1)]))) == (2, 0, 3)
    slip.pkg.create_entity("Person", "acme", {"name": "no company"})
    slip.pkg.create_entity("Person", "5", {"name": "no row"})
    assert slip.replay_dead_letters() == 0
    slip.pkg.delete_entity("acme")
    slip.pkg.create_entity("Company", "acme")
    assert slip.replay_dead_letters() == 1
    assert keys(slip)[-1] == "r:KNOWS:ann:acme"
    assert len(slip.list_dead_letters()) == 2, "which Ann is meant nobody can tell"


def test_letters_of_older_versions_are_imported_only_where_they_say_enough(slip: Slipstream, tmp_path: Path) -> None:
    said = edge(0, 0, 1)
    said["start"]["properties"], said["end"]["properties"] = {"id": "ann"}, {"id": "bob"}
    run(slip, tmp_path / "g.jsonl", lines([node(0, id="ann"), *([{"type": "x"}] * 4)]))
    letters = slip.list_dead_letters()
    rows = [said, edge(1, 0, 1), node(1, id="bob"), node(2, name="nameless")]
    old = [type(letter)(letter.id, None, "x", 1, letter.failed_at, None, json.dumps(row))
           for letter, row in zip(letters, rows, strict=True)]  # fmt: skip
    slip._parts.guest_letters.bury(old)  # as an older version left them
    assert slip.replay_dead_letters() == 1
    assert slip.replay_dead_letters() == 1, "now that both ends are there"
    assert keys(slip) == ["e:ann", "e:bob", "r:KNOWS:ann:bob:0"], "as that version called it"
    assert "import the file again" in " ".join(letter.error for letter in slip.list_dead_letters())


# ---------------------------------------------------------------------- interrupted


class _StoppedError(Exception):
    pass


@pytest.mark.parametrize("stop_at", [2, 4, 6, 7])
def test_an_interrupted_import_knows_what_it_refused(slip: Slipstream, tmp_path: Path, stop_at: int) -> None:
    rows = [
        node(0, id="ann"), node(1, "_Hidden", id="x"), node(2, id="bob"), node(3, name="nameless"),
        edge(5, 0, 2), edge(6, 0, 2), edge(7, 0, 1), edge(8, 2, 3),
    ]  # fmt: skip
    path, count = tmp_path / "g.jsonl", 0

    def stop(progress: ImportProgress) -> None:
        nonlocal count
        count += 1
        if count == stop_at:
            raise _StoppedError

    path.write_text(lines(rows))
    with pytest.raises(_StoppedError):
        slip.importer().run(path, stop, batch=1)
    slip.importer().run(path, batch=1)
    assert keys(slip) == [
        "e:ann", "e:bob", "e:g#3", "r:KNOWS:ann:bob", "r:KNOWS:ann:bob:6", "r:KNOWS:bob:g#3",
    ]  # fmt: skip
    assert len(slip.list_dead_letters()) == 2


# ---------------------------------------------------------------------- names


def test_a_property_that_can_not_be_kept_costs_no_more_than_itself(slip: Slipstream, tmp_path: Path) -> None:
    odd: dict[str, Any] = {"a.b": 2, "n" * 129: 3, "bell\a": 4}
    rows = [
        node(0, id="ann", name="Ann", _created=1, ID="x", **odd),
        node(1, id="bob", name="Bob", _created=2),
        edge(0, 0, 1, _since=3, since=4),
    ]
    report = run(slip, tmp_path / "g.jsonl", lines(rows))
    assert told(report) == (2, 1, 0)
    assert report.left_out == {
        "Person._created": 2, "Person.ID": 1, f"Person.{'n' * 129}": 1, "Person.bell\a": 1, "KNOWS._since": 1,
    }  # fmt: skip
    assert any(
        "Person._created can not be kept and is left out: '_created' starts with" in note for note in report.notes
    )
    state = slip.pkg.read([entity_key("ann")], {}).states[entity_key("ann")]
    assert isinstance(state, EntityState)
    assert state.entity.properties == {"name": "Ann", "a.b": 2}


def test_types_that_differ_in_case_only_are_two_types(slip: Slipstream, tmp_path: Path) -> None:
    report = run(slip, tmp_path / "g.jsonl", lines([node(0, "person", id="a"), node(1, "Person", id="b")]))
    assert told(report) == (2, 0, 0)
    assert slip.pkg.schema().entity_types.keys() == {"person", "Person"}
