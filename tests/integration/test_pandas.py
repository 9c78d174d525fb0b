"""pandas in and out: what is missing is absent, and nothing changes its kind on the way."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import slipstream
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import AlreadyExistsError, ConfigError, InvalidInputError, NotFoundError
from slipstream.importers.options import Relate
from slipstream.integrations.pandas import (
    entities_frame,
    from_frame,
    relationships_frame,
    relationships_from_frame,
    search_frame,
)
from tests.importers.world import entities_of, opened, relationships_of
from tests.integration.http_running import running

BORN = datetime(1815, 12, 10, 6, tzinfo=UTC)


@pytest.fixture
def slip(tmp_path: Path) -> Iterator[Slipstream]:
    with opened(tmp_path / "pkg") as found:
        yield found


def people() -> Any:
    return pd.DataFrame(
        {
            "id": ["ada", "bob", "eve"],
            "name": ["Ada", None, "Eve"],
            "age": pd.Series([36, None, 7], dtype="Int64"),
            "size": [1.5, float("nan"), 2.0],
            "known": pd.Series([True, pd.NA, False], dtype="boolean"),
            "born": pd.to_datetime(["1815-12-10T01:00-05:00", None, None], utc=True),
            "group": pd.Categorical(["x", "y", "x"]),
            "tags": [["a", 1], None, np.array([1.5, 2.0])],
            "odd": [Decimal("1.10"), {"n": np.int8(3), "none": None}, np.float32(0.5)],
            "works": ["acme", ["acme", "home"], float("nan")],
        }
    )


def test_a_frame_is_written_with_plain_values(slip: Slipstream) -> None:
    brought = from_frame(slip, people(), entity_type="Person", relate=["works:WORKS_AT:Company"])
    assert (brought.entities, brought.relationships) == (5, 3)
    assert entities_of(slip) == {
        "ada": (
            "Person",
            {
                "name": "Ada",
                "age": 36,
                "size": 1.5,
                "known": True,
                "born": BORN,
                "group": "x",
                "tags": ["a", 1],
                "odd": "1.10",
            },
        ),
        "bob": ("Person", {"group": "y", "odd": {"n": 3, "none": None}}),
        "eve": (
            "Person",
            {"name": "Eve", "age": 7, "size": 2.0, "known": False, "group": "x", "tags": [1.5, 2.0], "odd": 0.5},
        ),
        "acme": ("Company", {}),
        "home": ("Company", {}),
    }
    assert relationships_of(slip) == {"WORKS_AT:ada:acme", "WORKS_AT:bob:acme", "WORKS_AT:bob:home"}
    again = from_frame(slip, people(), entity_type="Person", relate=[Relate("works", "WORKS_AT", "Company")])
    assert again.position == brought.position


def test_values_of_numpy_become_plain_ones(slip: Slipstream) -> None:
    arrays = [
        np.array([[1, 2], [3, 4]], "uint8"),
        np.ma.array([1.5, 2.5], mask=[False, True]),
        np.array(7),
        [np.float16(0.5), np.bool_(True), np.str_("x"), Decimal("NaN"), np.datetime64("NaT")],
    ]
    from_frame(slip, pd.DataFrame({"id": list("abcd"), "of": arrays}), entity_type="Row")
    kept = [entities_of(slip)[name][1]["of"] for name in "abcd"]
    assert repr(kept) == repr([[[1, 2], [3, 4]], [1.5, None], 7, [0.5, True, "x", None, None]])


def test_an_entity_that_a_column_leads_to_keeps_what_it_has(slip: Slipstream) -> None:
    slip.pkg.create_entity("Company", "acme", {"name": "Acme"})
    from_frame(slip, people(), entity_type="Person", relate=["works:WORKS_AT:Firm"])
    assert entities_of(slip)["acme"] == ("Company", {"name": "Acme"})


def test_columns_keep_their_kinds_where_values_are_missing(slip: Slipstream) -> None:
    from_frame(slip, people().drop(columns="works"), entity_type="Person")
    frame = entities_frame(slip, "Person").set_index("id")
    kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert kinds["age"] == "Int64"
    assert kinds["known"] == "boolean"
    assert kinds["size"] == "float64"
    assert kinds["born"] == "datetime64[us, UTC]"
    assert kinds["tags"] == kinds["odd"] == "object"
    assert kinds["name"] in ("str", "object")  # of pandas 3, and of pandas 2
    assert frame.loc["ada", "born"] == BORN
    assert frame.loc["bob"].isna().sum() == 6
    big = 2**62 + 1
    slip.pkg.create_entity("Number", "n", {"value": big})
    slip.pkg.create_entity("Number", "m", {})
    assert entities_frame(slip, "Number")["value"].dropna().tolist() == [big]


def test_frames_of_all_types_come_back_the_same(slip: Slipstream, tmp_path: Path) -> None:
    from_frame(slip, people(), entity_type="Person", relate=["works:WORKS_AT:Company"])
    slip.pkg.relate("ada", "WORKS_AT", "acme", {"since": 1840}, discriminator="again")
    entities, relationships = entities_frame(slip), relationships_frame(slip)
    assert list(relationships.columns) == ["source", "type", "target", "key", "since"]
    with opened(tmp_path / "other") as other:
        from_frame(other, entities)
        relationships_from_frame(other, relationships)
        assert entities_of(other) == entities_of(slip)
        assert relationships_of(other) == relationships_of(slip)
        assert other.relationship("WORKS_AT:ada:acme:again").properties == {"since": 1840}


def test_the_index_may_hold_the_ids(slip: Slipstream) -> None:
    from_frame(slip, pd.DataFrame({"name": ["a", "b"]}), entity_type="Row", id=None)
    assert entities_of(slip) == {"0": ("Row", {"name": "a"}), "1": ("Row", {"name": "b"})}


def test_a_frame_of_ids_alone_is_written(slip: Slipstream) -> None:
    assert from_frame(slip, pd.DataFrame({"id": [1, 2]}), entity_type="Row").entities == 2


def test_an_empty_frame_changes_nothing(slip: Slipstream) -> None:
    head = slip.pkg.feed.head()
    assert from_frame(slip, entities_frame(slip, "Nothing"), entity_type="Nothing").position == head
    assert relationships_from_frame(slip, relationships_frame(slip)).position == head


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pd.DataFrame({"name": ["a"]}), "id: is no column of the frame: name the one of the ids"),
        (pd.DataFrame({"id": ["a", "a"]}), "'a' is there twice"),
        (pd.DataFrame({"id": ["a", None]}), "row 1 has no id"),
        (pd.DataFrame({"id": [1, None]}), r"frame\['id'\].astype\('Int64'\)"),
        (pd.DataFrame({"id": [True]}), "row 0 has True: an id is a text or a whole number"),
        (pd.DataFrame({"id": ["a"], 0: [1]}), "the column 0 is a int: give the columns names"),
        (pd.DataFrame([["a", 1, 2]], columns=["id", "x", "x"]), "x: two columns are called so"),
        (pd.DataFrame({"id": ["a"], "at": pd.to_datetime(["2020-01-01"])}), r"at: its times have no zone"),
        (pd.DataFrame({"id": ["a"], "at": [datetime(2020, 1, 1)]}, dtype="object"), "has no time zone"),  # noqa: DTZ001
        (pd.DataFrame({"id": ["a"], "for": [timedelta(1)]}), "for of row 0: Timedelta can not be stored"),
        (pd.DataFrame({"id": ["a"], "at": [np.array(["2020-01-01"], "datetime64[ns]")]}), "has no time zone"),
        (pd.DataFrame({"id": ["a"], "for": [np.array([1], "timedelta64[ns]")]}), "timedelta64 can not be stored"),
        (pd.DataFrame({"id": ["a"], "n": [[np.longdouble(1)]]}), "longdouble can not be stored"),
        (pd.DataFrame({"id": ["a"], "n": [float("inf")]}), "inf is not a finite number"),
    ],
)
def test_what_a_pkg_can_not_keep_is_refused_with_the_remedy(slip: Slipstream, frame: Any, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        from_frame(slip, frame, entity_type="Row")
    assert entities_of(slip) == {}


def test_a_type_is_needed(slip: Slipstream) -> None:
    with pytest.raises(InvalidInputError, match="type: is no column of the frame; there are id"):
        from_frame(slip, pd.DataFrame({"id": ["a"]}))
    with pytest.raises(InvalidInputError, match="type: row 0 has None, which is no type"):
        from_frame(slip, pd.DataFrame({"id": ["a"], "type": [None]}))


def test_columns_that_properties_are_called_like_are_told(slip: Slipstream) -> None:
    slip.pkg.create_entity("Airport", "a", {"type": "big"})
    slip.pkg.relate("a", "ROUTE", "a", {"source": "map"})
    with pytest.raises(InvalidInputError, match=r"type: 'a' has a property of that name.*type_column='kind'"):
        entities_frame(slip)
    assert list(entities_frame(slip, "Airport").columns) == ["id", "type"]
    assert list(entities_frame(slip, type_column="kind").columns) == ["id", "kind", "type"]
    with pytest.raises(InvalidInputError, match="source: 'ROUTE:a:a' has a property of that name"):
        relationships_frame(slip)
    assert relationships_frame(slip, "ROUTE", source="from")["source"].tolist() == ["map"]


def test_relationships_need_their_ends_and_differ(slip: Slipstream) -> None:
    frame = pd.DataFrame({"source": ["a", "a"], "target": ["b", "b"]})
    with pytest.raises(InvalidInputError, match="key: row 1 has type, ends and key of another one"):
        relationships_from_frame(slip, frame, relationship_type="R")
    with pytest.raises(NotFoundError, match="a"):
        relationships_from_frame(slip, frame[:1], relationship_type="R")


def test_nanoseconds_are_cut_and_zones_become_utc(slip: Slipstream) -> None:
    moment = pd.Timestamp(1_000_000_001, tz="Europe/Berlin")
    from_frame(slip, pd.DataFrame({"id": ["a"], "at": [moment]}), entity_type="Row")
    assert entities_of(slip)["a"][1] == {"at": datetime(1970, 1, 1, 1, 0, 1, tzinfo=timezone(timedelta(hours=1)))}


def test_a_server_takes_frames_and_answers_searches_as_one(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": range(1_200), "name": [f"number {at}" for at in range(1_200)]})
    with (
        running(tmp_path, is_empty=True) as served,
        slipstream.connect(f"http://127.0.0.1:{served.api.port}") as slip,
    ):
        brought = from_frame(slip, frame, entity_type="Number")
        assert brought.entities == 1_200
        pd.testing.assert_frame_equal(
            entities_frame(slip, "Number").sort_values("name", ignore_index=True),
            frame.astype({"id": "str"}).sort_values("name", ignore_index=True),
        )
        hits = search_frame(slip.search("number 7", 3, after=brought.position))
        told = search_frame(slip.search("number 7", 3, explain=True))
    assert list(hits.columns) == ["id", "type", "score", "name", "text"]
    assert hits["type"].tolist() == ["Number"] * 3
    assert hits["score"].is_monotonic_decreasing
    assert list(told.columns) == [*hits.columns, "arms", "matched", "snippet"]
    assert told["id"].tolist()[0] == "7"
    assert {"exact", "vector"} <= set(told["arms"][0])
    assert told["matched"][0] == ["number", "7"]


def test_an_id_of_another_type_is_not_overwritten(slip: Slipstream) -> None:
    from_frame(slip, pd.DataFrame({"id": [1], "name": ["Ada"]}), entity_type="Person")
    with pytest.raises(AlreadyExistsError, match="'1' is the id of a Person already"):
        from_frame(slip, pd.DataFrame({"id": [1], "name": ["Acme"]}), entity_type="Company")
    assert entities_of(slip) == {"1": ("Person", {"name": "Ada"})}


def test_without_pandas_the_remedy_is_told(slip: Slipstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match=r"install slipstream-pkg\[pandas\]"):
        entities_frame(slip)
