"""A graph that is exported and imported into a new PKG is the same graph, and so is what the index holds of it."""

from __future__ import annotations

import gzip
import json
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config
from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import EntityState, RelationshipState
from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.domain.keys import RecordKey
from slipstream.ports.scans import scan_graph
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import Via, View

VIEWS = (
    View(
        type="Old Friend",
        template="{{ name }} born {{ born }}: {% for p in knows %}{{ p.name }}, {% endfor %}",
        via={"knows": Via("KNOWS WELL")},
    ),
    View(
        type="KNOWS WELL",
        template="{{ source.name }} knows {{ target.name }} since {{ since }}",
        is_relationship=True,
    ),
)
BORN = datetime(1815, 12, 10, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=-5)))
AWKWARD: dict[str, Any] = {
    "name": 'Ada \u2028 \U0001f600 "quoted" back\\slash \t tab',
    "empty": "",
    "yes": True,
    "no": False,
    "zero": 0,
    "minus zero": -0.0,
    "whole": 1.0,
    "least": -(2**63),
    "most": 2**63 - 1,
    "huge": 1e308,
    "tiny": 5e-324,
    "third": 1 / 3,
    "born": BORN,
    "ancient": datetime(1, 1, 1, tzinfo=UTC),
    "list": [1, "two", 3.0, None, [True, []], {"at": BORN}],
    "empty list": [],
    "map": {"a": {"b": [BORN, {"$datetime": "not one"}]}, "": 1},
    "empty map": {},
    "looks like a time": "2026-01-01T00:00:00+00:00",
    "looks like a tag": {"$datetime": "2026-01-01T00:00:00+00:00"},
    "$": {"$": 1},
    "slipstream": {"times": [["name"]]},
    "type": "node",
    "labels": ["x"],
}


def _open(root: Path, *, run: bool = True) -> Slipstream:
    options = Options(embedders=(HashEmbedder(dimension=16),), views=VIEWS)
    return open_pkg(root, config=Config(), options=options, run=run)


def _awkward(slip: Slipstream) -> None:
    with slip.pkg.transaction() as tx:
        tx.create_entity("Old Friend", "ada: % \u00e9", AWKWARD)
        tx.create_entity("Old Friend", "7", {"name": "seven"})
        tx.create_entity("Thing", "0", {})
        tx.relate("ada: % \u00e9", "KNOWS WELL", "7", {"since": BORN, "weight": 0.1})
        tx.relate("ada: % \u00e9", "KNOWS WELL", "7", {"since": 1}, discriminator="second: %")
        tx.relate("7", "KNOWS WELL", "7")
        tx.relate("0", "PART_OF", "7", {"n": [1, {"when": BORN}]}, discriminator="0")
    slip.pkg.create_entity("Gone", "gone", {"once": 1.5})
    slip.pkg.delete_entity("gone")
    slip.pkg.update_entity("7", {"name": "Seven", "added": [BORN]})


def _content(slip: Slipstream) -> dict[RecordKey, object]:
    """Return everything there is, with its types: `repr` tells 1, 1.0 and True apart."""
    keys = [row.key for row in scan_graph(slip.pkg)]
    found: dict[RecordKey, object] = {}
    for key, state in slip.pkg.read(keys, {}).states.items():
        if isinstance(state, EntityState):
            found[key] = (state.entity.type, repr(sorted(state.entity.properties.items())))
        elif isinstance(state, RelationshipState):
            found[key] = (state.relationship.ref, repr(sorted(state.relationship.properties.items())))
    assert found.keys() == set(keys)
    return found


@pytest.mark.parametrize("name", ["graph.jsonl", "graph.jsonl.gz", "graph.jsonl.zst"])
def test_an_awkward_graph_comes_back_as_it_was(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    with _open(tmp_path / "one") as one:
        _awkward(one)
        assert one.sync.drain(timeout_s=30)
        told = one.export(file)
        assert (told.entities, told.relationships, told.unreadable) == (3, 4, 0)
        assert told.position == one.pkg.feed.head()
        with _open(tmp_path / "two") as two:
            report = two.importer().run(file)
            assert (report.entities, report.relationships, report.rejected) == (3, 4, 0), report.errors
            assert _content(two) == _content(one)
            assert two.pkg.schema().hash == one.pkg.schema().hash
            assert two.pkg.schema().version == one.pkg.schema().version
            assert [two.pkg.schema_at(number + 1) is not None for number in range(6)].count(True) > 1
            assert two.sync.drain(timeout_s=30)
            first, second = one.verify(), two.verify()
            assert first.is_consistent
            assert second.is_consistent
            assert first.graph_digest == second.graph_digest
            assert first.index_digest == second.index_digest
            head = two.pkg.feed.head()
            again = two.importer().run(file)
            assert (again.rejected, two.pkg.feed.head()) == (0, head), "importing it once more changes nothing"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [name]


def test_the_same_graph_gives_the_same_rows_in_a_stated_order(tmp_path: Path) -> None:
    with _open(tmp_path / "pkg", run=False) as slip:
        _awkward(slip)
        slip.export(tmp_path / "a.jsonl", head=False)
        slip.export(tmp_path / "b.jsonl.gz", head=False)
        slip.export(tmp_path / "c.jsonl.gz", head=False)
        assert (tmp_path / "b.jsonl.gz").read_bytes() == (tmp_path / "c.jsonl.gz").read_bytes()
        text = (tmp_path / "a.jsonl").read_bytes()
        assert gzip.decompress((tmp_path / "b.jsonl.gz").read_bytes()) == text
        rows = [json.loads(line) for line in text.decode().split("\n") if line]
    assert {row["type"] for row in rows} == {"node", "relationship"}, "without a head others can read it"
    assert [row["id"] for row in rows if row["type"] == "node"] == ["0", "7", "ada: % \u00e9"]
    related = next(row for row in rows if row.get("slipstream", {}).get("key") == "second: %")
    assert related["start"] == {"id": "ada: % \u00e9", "labels": ["Old Friend"]}
    assert related["properties"] == {"since": 1}


def test_an_export_is_as_of_one_moment(tmp_path: Path) -> None:
    """Two entities that always change together are never exported apart."""
    with _open(tmp_path / "pkg", run=False) as slip:
        for number in range(600):
            slip.pkg.create_entity("T", f"t{number:04}", {"n": 0})
        done, counts = threading.Event(), [0]

        def write() -> None:
            while not done.is_set():
                counts[0] += 1
                with slip.pkg.transaction() as tx:
                    tx.update_entity("t0000", {"n": counts[0]})
                    tx.update_entity("t0599", {"n": counts[0]})

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for number in range(5):
                file = tmp_path / f"{number}.jsonl"
                told = slip.export(file)
                rows = [json.loads(line) for line in file.read_text().splitlines()]
                values = {row["id"]: row["properties"]["n"] for row in rows[1:]}
                assert values["t0000"] == values["t0599"]
                assert rows[0]["position"] == told.position
        finally:
            done.set()
            writer.join()
    assert counts[0] > 5


def test_what_was_cut_short_is_told(tmp_path: Path) -> None:
    with _open(tmp_path / "one", run=False) as one:
        _awkward(one)
        one.export(tmp_path / "whole.jsonl")
        one.export(tmp_path / "whole.jsonl.gz")
        one.export(tmp_path / "whole.jsonl.zst")
    lines = (tmp_path / "whole.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "cut.jsonl").write_text("".join(lines[:-2]))
    for suffix in (".gz", ".zst"):
        packed = (tmp_path / f"whole.jsonl{suffix}").read_bytes()
        (tmp_path / f"cut.jsonl{suffix}").write_bytes(packed[: len(packed) // 2])
    with _open(tmp_path / "two", run=False) as two:
        report = two.importer().run(tmp_path / "cut.jsonl")
        assert report.rejected == 2
        assert "cut short" in report.errors[0]
        for suffix in (".gz", ".zst"):
            with pytest.raises(ConfigError, match="cut short"):
                two.importer().run(tmp_path / f"cut.jsonl{suffix}")
        (tmp_path / "no.jsonl.gz").write_text("plain")
        with pytest.raises(ConfigError, match="damaged"):
            two.importer().run(tmp_path / "no.jsonl.gz")


def test_an_export_that_is_interrupted_leaves_nothing_and_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "graph.jsonl"
    file.write_text("the one of yesterday")

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with _open(tmp_path / "pkg", run=False) as slip:
        _awkward(slip)
        with pytest.raises(KeyboardInterrupt):
            slip.export(file, interrupt)
        assert file.read_text() == "the one of yesterday"
        assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["graph.jsonl"]


def test_what_nobody_can_read_is_named_and_counted(tmp_path: Path) -> None:
    with _open(tmp_path / "pkg", run=False) as slip:
        slip.pkg.create_entity("T", "good", {"n": 1})
        with closing(sqlite3.connect(tmp_path / "pkg" / ".slipstream" / "graph.db")) as raw, raw:
            deep = "[" * 200 + "]" * 200
            raw.execute("INSERT INTO entity(id, type, properties) VALUES ('deep', 'T', ?)", (f'{{"x": {deep}}}',))
        told = slip.export(tmp_path / "graph.jsonl")
    assert (told.entities, told.unreadable) == (1, 1)
    assert "'deep'" in told.errors[0]


def test_a_schema_that_is_no_schema_is_a_dead_letter(tmp_path: Path) -> None:
    head = {"type": "slipstream", "format": 1, "entities": 1, "relationships": 0}
    newer = {**head, "format": 2}
    bad = {**head, "schema": [{"entity_types": {"T": {"n": "complex"}}}]}
    clash = {**head, "schema": [{"entity_types": {"T": {}}, "relationship_types": {"T": {}}}]}
    node = {"type": "node", "id": "a", "labels": ["A"], "properties": {}}
    with _open(tmp_path / "pkg", run=False) as slip:
        for number, row in enumerate((bad, clash, newer)):
            file = tmp_path / f"{number}.jsonl"
            file.write_text(f"{json.dumps(row)}\n{json.dumps(node)}\n")
            report = slip.importer().run(file)
            assert (report.entities, report.rejected) == (1, 1), report.errors
        with slip.pkg.transaction() as tx, pytest.raises(InvalidInputError):
            tx.extend_schema({"A": {}}, {"A": {}})  # type: ignore[attr-defined]
        assert slip.pkg.schema().version == 2
