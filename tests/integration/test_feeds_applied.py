"""Feeds of the real Debezium end as its tables do: applied once or twice, in any order of partitions."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import slipstream
from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config, IndexConfig
from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import EntityState
from slipstream.events.applying import ApplyReport
from slipstream.ports.scans import scan_graph
from slipstream.testkit.embedders import HashEmbedder

FEEDS = Path(__file__).parents[1] / "data/feeds"
LONG = 6_400
"""Characters of the long bodies."""
KG_BEFORE_TRUNCATE = {
    "kg.public.note:1": ("alpha two", 10), "kg.public.note:4": ("delta three", LONG),
    "kg.public.note:50": ("epsilon", 5), "kg.public.note:6": ("zeta two", None),
}  # fmt: skip
KU = {
    "ku.public.note:1": ("alpha again", None), "ku.public.note:10": ("kept body", LONG),
    "ku.public.note:99": ("n12", LONG),
    **{f"ku.public.note:{number}": (f"n{number}", LONG) for number in (13, 14, 15)},
    **{f"ku.public.note:{number}": (f"n{number}", 1) for number in range(16, 22)},
}  # fmt: skip
RIGHT: dict[str, dict[str, tuple[str, int | None]]] = {
    "kg.public.note": {"kg.public.note:1": ("alpha again", None)},
    "ku.public.note": KU,
    "jetstream": {"js.public.note:4": ("four", None)},
    "kg.transaction": {},
    "kg.public.debezium_signal": {},
    "__debezium-heartbeat.kg": {},
}
"""By record file: the title of each entity, and how long its body is."""
PASSED = {
    "jetstream": {"transaction marker": 12}, "kg.transaction": {"transaction marker": 8},
    "kg.public.debezium_signal": {"signal": 4}, "__debezium-heartbeat.kg": {"heartbeat": 2},
}  # fmt: skip
OPTIONS = slipstream.FeedOptions(key_columns={"*": ("id",)})


def lines_of(name: str) -> list[str]:
    return (FEEDS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()


def entities(slip: Slipstream) -> dict[str, dict[str, Any]]:
    states = slip.pkg.read([row.key for row in scan_graph(slip.pkg)], {}).states.values()
    return {
        state.entity.id: {"_type": state.entity.type, **state.entity.properties}
        for state in states
        if isinstance(state, EntityState)
    }


def notes(slip: Slipstream) -> dict[str, tuple[str, int | None]]:
    return {
        identity: (found["title"], len(found["body"]) if "body" in found else None)
        for identity, found in entities(slip).items()
    }


def apply(slip: Slipstream, lines: Sequence[str], batch: int = 500, **options: Any) -> ApplyReport:
    applier = slip.applier(**options)
    return applier.run([lines[at : at + batch] for at in range(0, len(lines), batch)], source="a file")


def opened(directory: Path, adapter: Any = "sqlite", *, run: bool = False) -> Slipstream:
    options = Options(embedders=(HashEmbedder(dimension=16),), views=())
    return open_pkg(directory, config=Config(index=IndexConfig(adapter=adapter)), options=options, run=run)


@pytest.fixture
def slip(tmp_path: Path) -> Iterator[Slipstream]:
    with opened(tmp_path / "pkg") as slip:
        yield slip


@pytest.mark.parametrize("name", RIGHT)
def test_records_end_as_the_table_does(slip: Slipstream, name: str) -> None:
    report = apply(slip, lines_of(f"recorded-{name}"), feed=OPTIONS)
    assert (report.rejected, report.errors) == (0, [])
    assert dict(report.passed) == PASSED.get(name, {})
    assert notes(slip) == RIGHT[name]
    again = apply(slip, lines_of(f"recorded-{name}"), feed=OPTIONS)
    assert (again.applied, again.rejected) == (0, 0)
    assert again.duplicates + again.outdated == report.applied + report.duplicates
    assert notes(slip) == RIGHT[name]


def test_records_before_the_truncation(slip: Slipstream) -> None:
    apply(slip, lines_of("recorded-kg.public.note")[:22])
    assert notes(slip) == KG_BEFORE_TRUNCATE
    assert entities(slip)["kg.public.note:6"]["tags"] == ["a", "b"]


@pytest.mark.parametrize("seed", range(6))
def test_partitions_may_come_in_any_order(slip: Slipstream, seed: int) -> None:
    partitions: dict[int, list[str]] = {}
    for line in lines_of("recorded-ku.public.note"):
        partitions.setdefault(json.loads(line)["partition"], []).append(line)
    chosen = random.Random(seed)
    mixed: list[str] = []
    while waiting := [lines for lines in partitions.values() if lines]:
        mixed.append(chosen.choice(waiting).pop(0))
    assert apply(slip, mixed, batch=7).rejected == 0
    assert notes(slip) == KU


def test_a_snapshot_behind_newer_changes_puts_nothing_old_back(slip: Slipstream) -> None:
    lines = lines_of("recorded-kg.public.note")
    report = apply(slip, [*lines[4:22], *lines[:4]])
    assert report.outdated >= 3
    assert {identity: title for identity, (title, _) in notes(slip).items()} == {
        identity: title for identity, (title, _) in KG_BEFORE_TRUNCATE.items()
    }


@pytest.mark.parametrize("adapter", ["sqlite", "chroma"])
def test_the_index_follows(tmp_path: Path, adapter: str) -> None:
    with opened(tmp_path / "pkg", adapter, run=True) as slip:
        reports = [apply(slip, lines_of(f"recorded-{name}"), feed=OPTIONS) for name in RIGHT]
        slip.sync.wait(max(report.position for report in reports), 60.0)
        assert notes(slip) == {identity: found for right in RIGHT.values() for identity, found in right.items()}
        audit = slip.verify()
        assert audit.is_consistent
        assert {hit.entity_id for hit in slip.search("n12", k=20)} == set(notes(slip))


# --------------------------------------------------------------------------------------------- cases


def only(slip: Slipstream) -> dict[str, Any]:
    (entity,) = entities(slip).values()
    return entity


def test_two_tables_that_count_from_1(slip: Slipstream) -> None:
    apply(slip, lines_of("two-tables-count-from-1"))
    assert sorted(found["name"] for found in entities(slip).values()) == ["Ada", "Bob"]


def test_two_tables_under_bare_names(slip: Slipstream) -> None:
    report = apply(slip, lines_of("two-tables-count-from-1"), feed=slipstream.FeedOptions(id_prefix=""))
    assert report.rejected == 1
    assert "--id-prefix" in report.errors[0]
    assert [found["name"] for found in entities(slip).values()] == ["Bob"]  # company 1 has gone, Ada was refused
    assert slip.replay_dead_letters() == 1  # its name is free by now
    assert sorted(found["name"] for found in entities(slip).values()) == ["Ada", "Bob"]


def test_a_partition_is_refused_until_it_is_told_what_it_is(slip: Slipstream) -> None:
    report = apply(slip, lines_of("partitioned-table"))
    assert report.rejected == 2
    assert (only(slip)["title"], only(slip)["_type"]) == ("Regatta", "event")


def test_a_partition_counts_as_its_table(slip: Slipstream) -> None:
    report = apply(slip, lines_of("partitioned-table"), feed=slipstream.FeedOptions(tables={"event_2025": "event"}))
    assert (report.applied, report.duplicates, report.rejected) == (2, 1, 0)
    assert (only(slip)["title"], only(slip)["_type"]) == ("Regatta!", "event")


def test_a_changed_key_without_its_old_row_is_told(slip: Slipstream) -> None:
    report = apply(slip, lines_of("key-change-toast"))
    assert "body" not in only(slip)
    assert [column.rpartition(".")[2] for column in report.notes] == ["body"]


def test_types_with_their_schema(slip: Slipstream) -> None:
    apply(slip, lines_of("types-with-schema"))
    row = only(slip)
    assert (str(row["total"]), str(row["due"])) == ("12.34", "2026-11-01")
    assert row["at"].isoformat().startswith("2026-11-01T12:00:00.5")
    assert "12:34:56" in str(row["paid"])


def test_types_without_a_schema_are_told_once(slip: Slipstream) -> None:
    lines = lines_of("types-plain")
    report = apply(slip, lines * 3)
    assert len(report.notes) == len(set(report.said)) > 0
    assert any("schema" in said for said in report.said)


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("column-id-outside-the-key", {"id_": 43}),
        ("dropped-column", {"title": "Paint it"}),
    ],
)
def test_columns_are_those_of_the_last_image(slip: Slipstream, name: str, right: dict[str, Any]) -> None:
    apply(slip, lines_of(name))
    assert right.items() <= only(slip).items()
    assert "colour" not in only(slip)


def test_keys_of_other_types(slip: Slipstream) -> None:
    apply(slip, lines_of("keys-refused"))
    assert {identity.rpartition(":")[2] for identity in entities(slip)} == {"true", "1.5"}


def test_what_is_no_row_is_counted(slip: Slipstream) -> None:
    report = apply(slip, lines_of("not-row-changes"))
    assert report.rejected == 0
    assert report.passed.keys() >= {"heartbeat", "transaction marker", "logical message"}
    assert sorted(found["name"] for found in entities(slip).values()) == ["Bob", "Cleo"]


# --------------------------------------------------------------------------------------------- Neo4j


def neo4j(number: int, operation: str, element: str, mode: str = "FULL", **more: Any) -> str:
    """Return a change of a database without key constraints."""
    is_node = element.startswith("4:")
    states = {"before": more.pop("before", None), "after": more.pop("after", None)}
    ends = {
        side: {"elementId": end, "labels": ["Person"], "keys": {}}
        for side, end in zip(("start", "end"), more.pop("ends", ()), strict=False)
    }
    event = {
        "elementId": element, "eventType": "n" if is_node else "r", "operation": operation, "state": states,
        "keys": {} if is_node else [], **({"labels": ["Person"]} if is_node else {"type": "KNOWS", **ends}),
    }  # fmt: skip
    metadata = {"captureMode": mode, "txCommitTime": "2026-03-01T08:00:00Z"}
    return json.dumps({"id": f"c{number}", "txId": number, "seq": 0, "metadata": metadata, "event": event})


def person(**properties: Any) -> dict[str, Any]:
    return {"labels": ["Person"], "properties": properties}


ENDS = ("4:db:1", "4:db:2")
WITHOUT_KEYS = [
    neo4j(1, "c", "4:db:1", after=person(id="ada", name="Ada", born=1815)),
    neo4j(2, "c", "4:db:2", after=person(id="bob", name="Bob")),
    neo4j(3, "c", "5:db:7", ends=ENDS, after={"properties": {"since": 1833, "how": "at work"}}),
    neo4j(4, "c", "5:db:8", ends=ENDS, after={"properties": {"since": 1840}}),
    neo4j(5, "u", "4:db:1", "DIFF", before={"labels": [], "properties": {"born": 1815}},
          after={"labels": [], "properties": {"name": "Ada Lovelace"}}),
    neo4j(6, "u", "5:db:7", "DIFF", ends=ENDS, before={"properties": {"since": 1833}},
          after={"properties": {"since": 1834}}),
    neo4j(7, "u", "4:db:2", before=person(id="bob", name="Bob"), after=person(id="robert", name="Robert")),
    neo4j(8, "d", "5:db:8", ends=ENDS, before={"properties": {"since": 1840}}),
]  # fmt: skip


def test_nodes_and_relationships_without_keys_are_known_by_their_element_ids(slip: Slipstream) -> None:
    for _ in range(2):
        report = apply(slip, WITHOUT_KEYS, batch=3)
        assert (report.rejected, report.errors) == (0, [])
        assert entities(slip) == {
            "ada": {"_type": "Person", "name": "Ada Lovelace"},
            "robert": {"_type": "Person", "name": "Robert"},
        }
        keys = [row.key.id for row in scan_graph(slip.pkg) if row.key.id.startswith("KNOWS")]
        assert keys == ["KNOWS:ada:robert"]
        assert slip.pkg.query("MATCH ()-[r:KNOWS]->() RETURN r.since AS since, r.how AS how") == [
            {"since": 1834, "how": "at work"}
        ]
    assert report.applied == 0


def test_what_names_an_unknown_node_is_refused_until_that_is_here(slip: Slipstream) -> None:
    report = apply(slip, WITHOUT_KEYS[2:6])
    assert (report.applied, report.rejected) == (0, 4)
    apply(slip, WITHOUT_KEYS[:2])
    assert slip.replay_dead_letters() == 4  # as they came: a difference behind what it differs from
    assert entities(slip)["ada"] == {"_type": "Person", "name": "Ada Lovelace"}
    assert sorted(row["since"] for row in slip.pkg.query("MATCH ()-[r:KNOWS]->() RETURN r.since AS since")) == [
        1834,
        1840,
    ]


@pytest.mark.parametrize("turn", range(8))
def test_refused_events_without_an_order_are_replayed_as_they_came(slip: Slipstream, turn: int) -> None:
    """Each turn has other ids, so that their order says nothing."""
    fields = {"event_type": "entity_updated", "entity_id": "ada", "entity_type": "Person", "schema_version": 1}
    events = [
        {**fields, "event_id": f"{turn}-{hash_of}", "timestamp": "2026-01-02T03:04:05Z", "new_data": {"v": number}}
        for number, hash_of in enumerate(random.Random(turn).sample(range(100), 4))
    ]
    assert apply(slip, [json.dumps(event) for event in events]).rejected == 4
    slip.pkg.create_entity("Person", "ada")
    assert slip.replay_dead_letters() == 4
    assert entities(slip)["ada"]["v"] == 3
