"""Files of neo4j-admin: what its documentation says, and what its version 5.26 was seen to do."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.importers.opening import source_files
from slipstream.importers.options import ReadOptions, Relate
from slipstream.importers.reading import format_of
from slipstream.importers.rows import TellingReader
from slipstream.importers.tables.neo4j_reader import reader
from tests.unit.importers.table_files import TABLES, Found, found_by


def read(tmp_path: Path, *texts: str, names: tuple[str, ...] = ("a.csv", "b.csv", "c.csv"), **options: Any) -> Found:
    """Return what some files hold."""
    paths = [tmp_path / name for name in names[: len(texts)]]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    return found_by(reader, paths, ReadOptions(**options))


def value(tmp_path: Path, kind: str, cell: str) -> Any:
    """Return the value of one cell, None when it has none."""
    return read(tmp_path, f':ID,"x:{kind}"\n1,"{cell}"\n').properties("1").get("x")


def test_the_format_is_told_by_the_header() -> None:
    assert format_of(sorted((TABLES / "movies").glob("*.csv"))) == "neo4j"


@pytest.mark.parametrize(
    ("kind", "cell", "expected"),
    [
        ("int", "01", 1),
        ("INT", " 7 ", 7),
        ("long", "-9223372036854775808", -(2**63)),
        ("int", "3000000000", 3_000_000_000),
        ("float", "0.1", 0.1),
        ("double", "NaN", "NaN"),
        ("boolean", "true", True),
        ("boolean", "false", False),
        ("string", "", ""),
        ("char", "x", "x"),
        ("int", "", None),
        ("string[]", "", None),
        ("string[]", "a; b ;;c", ["a", " b ", "", "c"]),
        ("int[]", "1; 2", [1, 2]),
        ("boolean[]", "true;false", [True, False]),
        ("date", "1815-12-10", "1815-12-10"),
        ("localtime", "1:2", "1:2"),
        ("time", "10:30", "10:30"),
        ("time{timezone:+02:00}", "10:30", "10:30+02:00"),
        ("time{timezone:+02:00}", "10:30Z", "10:30Z"),
        ("time{timezone:Europe/Oslo}", "10:30", "10:30[Europe/Oslo]"),
        ("localdatetime", "2018-05-10T10:30", "2018-05-10T10:30"),
        ("duration", "P1Y2M", "P1Y2M"),
        ("datetime", "2018-05-10T10:30", datetime(2018, 5, 10, 10, 30, tzinfo=UTC)),
        ("datetime", "2018-05-10T10:30+02:00", datetime(2018, 5, 10, 8, 30, tzinfo=UTC)),
        ("datetime", "2018-05-10T10:30[Europe/Berlin]", datetime(2018, 5, 10, 8, 30, tzinfo=UTC)),
        ("datetime{timezone:Europe/Stockholm}", "2018-05-10T10:30", datetime(2018, 5, 10, 8, 30, tzinfo=UTC)),
        ("datetime{timezone:+02:00}", "2018-05-10T10:30Z", datetime(2018, 5, 10, 10, 30, tzinfo=UTC)),
        ("datetime", "2018-05-10T10:30:00.1234567Z", "2018-05-10T10:30:00.1234567Z"),
        ("datetime", "+12018-05-10T10:30Z", "+12018-05-10T10:30Z"),
        ("point{crs:WGS-84}", "{y:1.5, x:-2}", {"crs": "WGS-84", "x": -2.0, "y": 1.5}),
        (
            "point",
            "{latitude:1, longitude:2, height:3, crs:'WGS-84-3D'}",
            {"latitude": 1.0, "longitude": 2.0, "height": 3.0, "crs": "WGS-84-3D"},
        ),
        ("point{srid:7203}", "{x:1,y:2}", {"srid": 7203, "x": 1.0, "y": 2.0}),
        ("vector{coordinateType:byte,dimensions:3}", "1;2;3", [1, 2, 3]),
        ("vector{coordinateType:float,dimensions:2}", "1;2.5", [1.0, 2.5]),
    ],
)
def test_typed_values(tmp_path: Path, kind: str, cell: str, expected: Any) -> None:
    found = value(tmp_path, kind, cell)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("kind", "cell", "reason"),
    [
        ("int", "x", "no whole number"),
        ("double", "1e400", "past the range"),
        ("boolean", "TRUE", "take it for false"),
        ("datetime", "2018-05-10T10:30[Mars/Base]", "no time zone"),
        ("point", "1;2", "no map of a point"),
        ("point", "{x:a}", "no number"),
        ("int[]", "1;", "no whole number"),
    ],
)
def test_values_that_are_not_of_their_type_are_refused(tmp_path: Path, kind: str, cell: str, reason: str) -> None:
    found = read(tmp_path, f':ID,"x:{kind}"\n1,"{cell}"\n2,\n')
    assert len(found.refused) == 1
    assert "row 1, line 2: x: " in found.refused[0]
    assert reason in found.refused[0]
    assert list(found.entities) == ["2"]


def test_ids_and_labels(tmp_path: Path) -> None:
    found = read(tmp_path, "name:ID,a:b:int,:label,:LABEL\nx,5,A;B,C;A\ny,6,,\n")
    assert found.entities["x"][1:3] == ("A", {"name": "x", "a:b": 5, "labels": ["A", "B", "C"]})
    assert found.entities["y"].type == "Entity"
    found = read(tmp_path, "name:ID,:LABEL\nx,\n", entity_type="Thing")
    assert found.entities["x"].type == "Thing"
    found = read(tmp_path, "id:ID(G:1),labels,:LABEL\n1,l,A\n2,l,A;B\n3,,A;B\n")
    assert found.properties("G%3A1:1") == {"labels": "l"}
    assert found.properties("G%3A1:3") == {"labels": ["A", "B"]}
    assert "several labels" in found.refused[0]


def test_what_the_command_line_would_say_is_told_by_the_names(tmp_path: Path) -> None:
    names = ("Person_header.csv", "Person-1.csv", "KNOWS.csv")
    found = read(tmp_path, ":ID,name\n", "1,a\n2,b\n", ":START_ID:int,:END_ID,since:int\n1,2,7\n", names=names)
    assert found.entities["1"][:3] == ("1", "Person", {"name": "a"})
    assert found.triples() == [("1", "KNOWS", "2", "")]
    assert found.relationships[0].properties == {"since": 7}
    found = read(tmp_path, "uuid:ID{label:Author}\n1\n")
    assert found.entities["1"].type == "Author"


def test_nodes_without_an_id_are_told_apart_by_their_place(tmp_path: Path) -> None:
    found = read(tmp_path, "id:ID,name,:LABEL\n,a,X\n,b,X\n", id_prefix="mine/")
    assert {name: row.properties for name, row in found.entities.items()} == {
        "mine/a#1": {"name": "a"},
        "mine/a#2": {"name": "b"},
    }


def test_ids_of_several_columns_are_one(tmp_path: Path) -> None:
    single = read(tmp_path, "a:ID(G),b:ID(G)\naa,11\nbb,22\n", ":START_ID(G),:TYPE,:END_ID(G)\naa11,T,bb22\n")
    header = ":START_ID(G),:START_ID(G),:TYPE,:END_ID(G),:END_ID(G)\n"
    several = read(tmp_path, "a:ID(G),b:ID(G)\naa,11\nbb,22\n", f"{header}aa,11,T,bb,22\n")
    assert single.triples() == several.triples() == [("G:aa11", "T", "G:bb22", "")]
    assert single.properties("G:aa11") == {"a": "aa", "b": "11"}


def test_a_file_without_header_has_that_of_its_name_or_its_place(tmp_path: Path) -> None:
    names = ("x_1.csv", "x-header.csv", "z.csv")
    assert list(read(tmp_path, "1\n", "id:ID\n", "2\n", names=names).entities) == ["1", "2"]
    with pytest.raises(ConfigError, match=r"y\.csv has no header.*y_header\.csv"):
        read(tmp_path, "1\n", "id:ID\n", names=("y.csv", "x-header.csv"))


def test_which_header_was_taken_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1;a\n")
    (tmp_path / "x-header.csv").write_text("id:ID;name\n")
    made = reader(source_files([tmp_path / "x.csv", tmp_path / "x-header.csv"]), ReadOptions())
    assert isinstance(made, TellingReader)
    header = tmp_path / "x-header.csv"
    assert list(made.notes) == [
        f"{header}: its cells were taken to be separated by the semicolon",
        f"{tmp_path / 'x.csv'} was read with the header of {header}",
    ]


def test_what_the_files_say_themselves_is_refused_as_an_option(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="relate"):
        read(tmp_path, "id:ID\n", relate=(Relate("a", "B", "C"),))
    with pytest.raises(ConfigError, match="several columns are called 'name'"):
        read(tmp_path, "id:ID,name,name:string\n")


@pytest.mark.parametrize("zone", ["Mars/Base", "/etc/passwd", "+99"])
def test_a_column_in_no_time_zone_is_refused_by_name(tmp_path: Path, zone: str) -> None:
    with pytest.raises(ConfigError, match=r"a\.csv: born: is in .* no time zone"):
        read(tmp_path, f":ID,born:datetime{{timezone:{zone}}}\n1,\n")
