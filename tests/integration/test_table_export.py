"""Tables of a PKG: what is in them, what can not be, and the command."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from slipstream.app.slipstream import Slipstream
from slipstream.app.table_export import TableSpec
from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.events.packing import lines_read
from slipstream.importers.options import ReadOptions, Relate
from tests.importers.world import entities_of, opened, relationships_of

AIRPORTS = Path(__file__).parents[1] / "data" / "tables" / "airports.csv"
IN = (Relate("country", "IN", "Country"),)


@pytest.fixture
def slip(tmp_path: Path) -> Iterator[Slipstream]:
    with opened(tmp_path / "pkg") as slipstream:
        yield slipstream


def test_a_real_table_comes_back_with_what_it_is_related_to(slip: Slipstream, tmp_path: Path) -> None:
    options = ReadOptions(id_column="icao", entity_type="Airport", relate=IN)
    slip.import_files(AIRPORTS, options=options)
    entities, relationships = entities_of(slip), relationships_of(slip)
    back = tmp_path / "back.tsv.gz"
    report = slip.export_table(back, TableSpec(entity_type="Airport", id_column="icao", relate=IN))
    assert (report.entities, report.relationships, report.unreadable) == (21, 21, 0)
    with lines_read(back) as (lines, _):
        assert lines.readline().decode() == "icao\tiata\tname\tcity\tsubd\televation\tlat\tlon\ttz\tlid\tcountry\r\n"
    with opened(tmp_path / "other") as other:
        other.import_files(back, options=options)
        assert (entities_of(other), relationships_of(other)) == (entities, relationships)


def test_values_that_are_no_texts(slip: Slipstream, tmp_path: Path) -> None:
    day = datetime(2026, 1, 2, tzinfo=UTC)
    values: dict[str, Any] = {"a": 1, "b": 1.5, "c": True, "d": day, "e": ["x", "y"]}
    slip.pkg.create_entity("Thing", "1", {**values, "f": {"k": [1, None]}, "g": ["x;y"], "h": ["z", day]})
    slip.export_table(tmp_path / "thing.csv", TableSpec(entity_type="Thing"))
    header, row = (tmp_path / "thing.csv").read_text(encoding="utf-8").splitlines()
    assert header == "id,a,b,c,d,e,f,g,h"
    assert row == (
        '1,1,1.5,true,2026-01-02T00:00:00+00:00,x;y,"{""k"": [1, null]}","[""x;y""]",'
        '"[""z"", ""2026-01-02T00:00:00+00:00""]"'
    )
    kinds = (("a", "integer"), ("b", "float"), ("c", "boolean"), ("d", "datetime"), ("e", "list"), ("g", "list"))
    with opened(tmp_path / "other") as other:
        other.import_files(tmp_path / "thing.csv", options=ReadOptions(entity_type="Thing", columns=kinds))
        found = entities_of(other)["1"][1]
    assert found == {**values, "f": '{"k": [1, null]}', "g": ["x;y"], "h": '["z", "2026-01-02T00:00:00+00:00"]'}


def test_what_does_not_fit_is_refused(slip: Slipstream, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    with pytest.raises(ConfigError, match="nothing is of the type 'Person'"):
        slip.export_table(path, TableSpec(entity_type="Person"))
    slip.pkg.create_entity("Person", "a", {"boss": "x", "mail": "other"})
    for name in ("b", "c"):
        slip.pkg.create_entity("Person", name)
        slip.pkg.relate("a", "REPORTS_TO", name)
    reports = (Relate("boss", "REPORTS_TO", "Person"),)
    with pytest.raises(InvalidInputError, match="'boss' is a property already"):
        slip.export_table(path, TableSpec(entity_type="Person", relate=reports))
    with pytest.raises(InvalidInputError, match="'mail' is a property of 'a' that is not its id"):
        slip.export_table(path, TableSpec(entity_type="Person", id_column="mail"))
    reports = (Relate("chief", "REPORTS_TO", "Person"),)
    with pytest.raises(InvalidInputError, match="--column chief=list"):
        slip.export_table(path, TableSpec(entity_type="Person", relate=reports))
    with pytest.raises(InvalidInputError, match="two columns"):
        slip.export_table(path, TableSpec(entity_type="Person", relate=(*reports, *reports)))
    with pytest.raises(InvalidInputError, match="delimiter"):
        slip.export_table(path, TableSpec(entity_type="Person", delimiter=",,"))
    assert not path.exists()
    slip.export_table(path, TableSpec(entity_type="Person", relate=reports, lists=frozenset({"chief"})))
    assert path.read_text(encoding="utf-8").splitlines()[:2] == ["id,boss,mail,chief", "a,x,other,b;c"]


def test_a_row_that_can_not_be_read_is_counted(slip: Slipstream, tmp_path: Path) -> None:
    deep = '{"x": ' * 200 + "1" + "}" * 200
    with slip.pkg.transaction() as tx:
        tx.create_entity("Person", "a", {"name": "Ada"})
    import sqlite3

    with sqlite3.connect(tmp_path / "pkg" / ".slipstream" / "graph.db") as connection:
        connection.execute("INSERT INTO entity(id, type, properties) VALUES ('b', 'Person', ?)", (deep,))
    connection.close()
    report = slip.export_table(tmp_path / "x.csv", TableSpec(entity_type="Person"))
    assert (report.entities, report.unreadable) == (1, 1)
    assert "b" in report.errors[0]
