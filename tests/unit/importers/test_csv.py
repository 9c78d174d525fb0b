"""What is read of tables, and what is refused of them."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.importers.opening import source_files
from slipstream.importers.options import ReadOptions, Relate
from slipstream.importers.reading import format_of
from slipstream.importers.rows import RefusedRow, TellingReader
from slipstream.importers.tables import records as records_module
from slipstream.importers.tables.cells import cell_of, list_of
from slipstream.importers.tables.csv_reader import reader
from tests.unit.importers.table_files import TABLES, Found, found_by


def read(tmp_path: Path, text: str, name: str = "people.csv", **options: Any) -> Found:
    """Return what a table of this text holds."""
    path = tmp_path / name
    path.write_bytes(text.encode())
    return found_by(reader, [path], ReadOptions(**options))


def properties(tmp_path: Path, text: str, **options: Any) -> dict[str, Any]:
    """Return the properties of the entity `1` of a table."""
    return read(tmp_path, text, **options).properties("1")


def test_a_text_stays_as_it_is(tmp_path: Path) -> None:
    found = properties(tmp_path, "id,a,b,c,d,e,f\n1,01,NA,null,1e5, x ,1.10\n")
    assert found == {"a": "01", "b": "NA", "c": "null", "d": "1e5", "e": " x ", "f": "1.10"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_an_empty_cell_is_absent_and_a_quoted_one_is_an_empty_text(tmp_path: Path, end: str) -> None:
    text = f'id,a,b,c{end}1,,"","say ""x"", """",{end}"{end}"2","","",""{end}{end}3,,,""'
    found = read(tmp_path, text)
    assert found.properties("1") == {"b": "", "c": f'say "x", "",{end}'}
    assert found.properties("2") == {"a": "", "b": "", "c": ""}
    assert found.properties("3") == {"c": ""}


@pytest.mark.parametrize(("sign", "form"), [(",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "bar")])
def test_what_separates_is_told_by_the_first_rows(tmp_path: Path, sign: str, form: str) -> None:
    path = tmp_path / "people.csv"
    path.write_text(f"\ufeffid{sign}name, and more; of it\n1{sign}a b\n".replace("name, and more; of it", "name"))
    found = reader(source_files([path]), ReadOptions())
    assert found.form == f"CSV ({form})"
    assert isinstance(found, TellingReader)
    assert list(found.notes) == (
        [] if sign == "," else [f"{path}: its cells were taken to be separated by the {form}"]
    )
    assert found_by(reader, [path], ReadOptions()).properties("1") == {"name": "a b"}


def test_signs_in_names_and_texts_do_not_mislead(tmp_path: Path) -> None:
    found = properties(tmp_path, "id;name, or what;born\n1;a, b;x\n2;c;y\n3;d;z\n4;;\n")
    assert found == {"name, or what": "a, b", "born": "x"}


def test_two_separators_that_fit_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"comma or semicolon.*--delimiter"):
        read(tmp_path, "id,a;b\n1,2;3\n")
    assert properties(tmp_path, "id,a;b\n1,2;3\n", delimiter="comma") == {"a;b": "2;3"}


@pytest.mark.parametrize("name", ["people.tsv", "people.tab", "PEOPLE.TSV"])
def test_a_suffix_says_what_separates(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, "id\ta,b\n1\tx,y\n", name).properties("1") == {"a,b": "x,y"}
    made = reader(source_files([tmp_path / name]), ReadOptions())
    assert isinstance(made, TellingReader)
    assert not made.notes  # nothing had to be found out


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "comma,"])
def test_what_can_not_separate_is_refused(tmp_path: Path, delimiter: str) -> None:
    with pytest.raises(InvalidInputError, match="delimiter"):
        read(tmp_path, "id,a\n", delimiter=delimiter)


def test_kinds(tmp_path: Path) -> None:
    kinds = {"i": "integer", "f": "float", "b": "boolean", "t": "datetime", "l": "list", "s": "string"}
    text = 'id,i,f,b,t,l,s\n1,+01,1.5e3,TRUE,2026-01-02T03:04:05+01:00,a;;b,01\n2,"","","","","",""\n'
    found = read(tmp_path, text, columns=tuple(kinds.items()))
    moment = datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)
    assert found.properties("1") == {"i": 1, "f": 1500.0, "b": True, "t": moment, "l": ["a", "", "b"], "s": "01"}
    assert found.properties("2") == {"l": [], "s": ""}


@pytest.mark.parametrize(
    ("kind", "cell", "reason"),
    [
        ("integer", "1_000", "no whole number"),
        ("integer", "1.0", "no whole number"),
        ("integer", "٣", "no whole number"),
        ("integer", "9223372036854775808", "64 bits"),
        ("integer", "9" * 5000, "64 bits"),
        ("float", "1e999", "past the range"),
        ("float", "nan", "no number"),
        ("float", "1,5", "no number"),
        ("boolean", "maybe", "none of true"),
        ("datetime", "2026-01-02", "no zone"),
        ("datetime", "yesterday", "no time"),
        ("datetime", "2026-01-02T03:04:05.1234567Z", "finer than a microsecond"),
    ],
)
def test_what_is_not_of_its_kind_is_refused_by_name(tmp_path: Path, kind: str, cell: str, reason: str) -> None:
    found = read(tmp_path, f'id,x\n1,"{cell}"\n2,\n', columns=(("x", kind),))
    assert [told for told in found.refused if "x: " in told and reason in told] == found.refused != []
    assert list(found.entities) == ["2"]


@pytest.mark.parametrize(
    ("row", "where", "reason"),
    [
        ("1,a,b\n", "row 1, line 2", "3 cells for 2 columns"),
        ("1\n", "row 1, line 2", "1 cells for 2 columns"),
        ('1,"a\nb"x\n', "row 1, lines 2 to 3", "closing quote"),
        (",a\n", "row 1, line 2", "needs an id"),
    ],
)
def test_a_row_that_is_wrong_is_told_and_the_rest_goes_on(tmp_path: Path, row: str, where: str, reason: str) -> None:
    found = read(tmp_path, f"id,name\n{row}2,b\n")
    assert reason in found.refused[0]
    assert next(each.where for each in found.rows) == where
    assert list(found.entities) == ["2"]
    assert [each.number for each in found.rows] == [1, 2]


def test_an_open_quote_takes_nothing_with_it_in_silence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"people\.csv: a quote opens in the record of line 3 .* before the end"):
        read(tmp_path, 'id,name\n1,a\n2,"b\n3,c\n')


def test_an_open_quote_ends_where_no_graph_could_keep_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_module, "RECORD_CHARACTERS_MAX", 1000)
    with pytest.raises(ConfigError, match="record of line 2 and is not closed within 1,000"):
        read(tmp_path, 'id,name\n1,"a\n' + "2,b\n" * 1000)


def test_a_long_cell_is_read_and_the_limit_of_others_stays(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    long = "long, \n" * 50_000
    assert properties(tmp_path, f'id,text,more\n1,"{long}",\n2,b,c\n') == {"text": long}
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_the_line_that_tells_excel_what_separates_is_no_header(tmp_path: Path, sign: str) -> None:
    text = f"\ufeffsep={sign}\r\nid{sign}a\r\n1{sign}x\r\n"
    assert properties(tmp_path, text) == {"a": "x"}


def test_what_is_piped_in_needs_a_type(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--type"):
        read(tmp_path, "id\n1\n", name="piped.csv")


def test_a_column_called_id_that_does_not_hold_the_ids_is_told_before_all_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'id' beside 'email', .* rename that column"):
        read(tmp_path, "id,email\n1,a@b\n", id_column="email")


def test_columns_without_a_name_of_their_own_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"columns 2, 4 are all called 'a'"):
        read(tmp_path, "id,a,b,a\n")
    with pytest.raises(ConfigError, match=r"column 1 of 3 has no name.*index=False"):
        read(tmp_path, ",id,a\n0,1,x\n")


def test_ids_and_types(tmp_path: Path) -> None:
    text = "mail,name\na@x,Ada\n"
    found = read(tmp_path, text, id_column="mail", entity_type="Person")
    assert found.entities["a@x"][:3] == ("a@x", "Person", {"mail": "a@x", "name": "Ada"})
    with pytest.raises(ConfigError, match=r"no column 'id'.*--id COLUMN"):
        read(tmp_path, text)
    with pytest.raises(ConfigError, match="--id ID"):
        read(tmp_path, "ID,name\n")
    with pytest.raises(InvalidInputError, match="several columns"):
        read(tmp_path, text, id_column="mail,name")
    with pytest.raises(InvalidInputError, match="did you mean 'mail'"):
        read(tmp_path, text, id_column="male")
    with pytest.raises(ConfigError, match="--type"):
        read(tmp_path, "id\n1\n", "_x.csv")


def test_a_column_that_no_file_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="did you mean 'name'"):
        read(tmp_path, "id,name\n1,a\n", columns=(("nmae", "integer"),))
    with pytest.raises(InvalidInputError, match="no file has a column 'x'"):
        read(tmp_path, "id,name\n1,a\n", relate=(Relate("x", "T", "U"),))
    with pytest.raises(InvalidInputError, match="ids, which are texts"):
        read(tmp_path, "id,name\n1,a\n", columns=(("id", "integer"),))
    with pytest.raises(InvalidInputError, match="'number' is no kind"):
        read(tmp_path, "id,name\n1,a\n", columns=(("name", "number"),))


def test_relations(tmp_path: Path) -> None:
    relate = (Relate("boss", "REPORTS_TO", "people"), Relate("teams", "IN", "Team"))
    text = 'id,boss,teams,x\n1,,a;b;;a,1\n2,1,"[""c;d""]",2\n3,1,,3\n4,,"[1]",4\n5,a;b,,5\n'
    found = read(tmp_path, text, relate=relate, columns=(("teams", "list"),))
    assert found.triples() == [
        ("1", "IN", "a", ""),
        ("1", "IN", "b", ""),
        ("2", "REPORTS_TO", "1", ""),
        ("2", "IN", "c;d", ""),
        ("3", "REPORTS_TO", "1", ""),
        ("5", "REPORTS_TO", "a;b", ""),
    ]
    assert found.mentioned == ["a", "b", "1", "c;d", "a;b"]
    assert found.properties("2") == {"x": "2"}
    assert len(found.refused) == 1
    assert "teams: '[1]' must hold texts" in found.refused[0]


def test_several_tables_that_count_from_one(tmp_path: Path) -> None:
    (tmp_path / "Person.csv").write_text("id,firm\n1,1\n")
    (tmp_path / "Firm.tsv").write_text("id\tname\n1\tAcme\n")
    options = ReadOptions(relate=(Relate("firm", "AT", "Firm"),), id_prefix="{type}:")
    found = found_by(reader, [tmp_path / "Person.csv", tmp_path / "Firm.tsv"], options)
    assert found.triples() == [("Person:1", "AT", "Firm:1", "")]
    assert found.properties("Firm:1") == {"name": "Acme"}
    assert [row.number for row in found.rows if row.where.endswith("Firm.tsv, row 1, line 2")] == [2]


def test_a_real_file_that_leaves_out_last_cells(tmp_path: Path) -> None:
    path = TABLES / "debian.csv"
    assert format_of([path]) == "csv"
    found = found_by(reader, [path], ReadOptions(id_column="series"))
    assert found.properties("buster")["version"] == "10"
    assert len(found.entities) == 7
    assert len(found.refused) == 15
    assert "buzz" in next(row.content.text for row in found.rows if isinstance(row.content, RefusedRow))


ITEMS = st.lists(st.one_of(st.text(max_size=5), st.sampled_from(["", ";", "[", "[]", '["a"]', '"'])), max_size=4)


@given(ITEMS)
@example([""])
@example([])
@example(["[1]"])
def test_a_list_is_read_back_from_its_cell(items: list[str]) -> None:
    cell = cell_of(items)
    assert cell is not None
    assert list_of(cell) == items


@pytest.mark.parametrize("value", [[1, 2.5, True, None, "a"], [["x"], {"a": 1}], [{"$datetime": "x"}]])
def test_any_list_has_a_cell(value: list[Any]) -> None:
    assert list_of(cell_of(value) or "") == value
