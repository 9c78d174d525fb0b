"""CSV, a PKG, CSV: what comes out is what went in, whatever the texts are."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from slipstream.app.slipstream import Slipstream
from slipstream.app.table_export import TableSpec
from slipstream.importers.options import ReadOptions, Relate
from tests.importers.world import opened

AWKWARD = [
    "",
    " ",
    ",",
    ";",
    '"',
    '""',
    "\n",
    "\r\n",
    "\r",
    "\t",
    "01",
    "NA",
    "null",
    "1e5",
    "=1+1",
    "\ufeff",
    "[",
    "é",
]
ALPHABET = st.characters(codec="utf-8", exclude_characters="\0")
TEXTS = st.one_of(
    st.sampled_from(AWKWARD),
    st.lists(st.one_of(st.sampled_from(AWKWARD), st.text(ALPHABET, max_size=3)), max_size=4).map("".join),
)
NAMES = st.text(st.characters(categories=("L", "N"), include_characters=' ,;"-.'), min_size=1, max_size=6).filter(
    lambda name: name.strip() and name.casefold() not in ("id", "boss")
)
IDS = TEXTS.filter(bool)
MANY_IDS = st.lists(IDS, max_size=3, unique=True)
World = tuple[Slipstream, Path]
Rows = Mapping[str, Mapping[str, str | None]]
"""Texts by the names of columns, by id; None where a cell is empty."""
TABLES: st.SearchStrategy[Rows] = st.lists(NAMES, min_size=1, max_size=4, unique=True).flatmap(
    lambda names: st.dictionaries(
        IDS, st.fixed_dictionaries({name: st.none() | TEXTS for name in names}), min_size=1, max_size=6
    )
)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "pkg") as slip:
        yield slip, Path(folder)


@contextmanager
def emptied(slip: Slipstream) -> Iterator[None]:
    """Leave nothing of what the block puts there."""
    try:
        yield
    finally:
        with slip.pkg.transaction() as tx:
            for row in slip.pkg.scan(None, 100_000, ()):
                tx.delete_entity(row.key.id)


def written(rows: Rows, delimiter: str, *, quoted: bool) -> bytes:
    """Return a table as others write one: all quoted, or only what must be."""
    names = ["id", *next(iter(rows.values()))]
    lines: list[list[str | None]] = [[*names]]
    lines += [[entity_id, *(cells[name] for name in names[1:])] for entity_id, cells in rows.items()]

    def cell(text: str | None) -> str:
        if text is None:
            return ""
        plain = text and not quoted and not any(sign in text for sign in f'"\r\n\ufeff{delimiter}')
        return text if plain else '"' + text.replace('"', '""') + '"'

    return "".join(delimiter.join(cell(text) for text in line) + "\n" for line in lines).encode()


def parsed(path: Path, delimiter: str) -> list[dict[str, str]]:
    """Return the rows of a table as the standard library reads them."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter, strict=True))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=TABLES, delimiter=st.sampled_from([",", ";", "\t", "|"]), quoted=st.booleans())
@example(rows={"\ufeff": {"a": ""}, "x": {"a": None}}, delimiter=",", quoted=False)
def test_a_table_comes_back(world: World, rows: Rows, delimiter: str, *, quoted: bool) -> None:
    slip, folder = world
    path, back = folder / "Person.csv", folder / "back.csv"
    path.write_bytes(written(rows, delimiter, quoted=quoted))
    spec = TableSpec(entity_type="Person", delimiter=delimiter)
    with emptied(slip):
        report = slip.import_files(path, options=ReadOptions(delimiter=delimiter), format="csv")
        assert (report.entities, report.errors, report.left_out) == (len(rows), [], {})
        assert slip.export_table(back, spec).entities == len(rows)
    there = {name: None for cells in rows.values() for name, text in cells.items() if text is not None}
    expected = [{"id": each, **{name: rows[each][name] or "" for name in there}} for each in sorted(rows)]
    assert parsed(back, delimiter) == expected
    with emptied(slip):
        slip.import_files(back, options=ReadOptions(delimiter=delimiter, entity_type="Person"), format="csv")
        slip.export_table(folder / "again.csv", spec)
    assert (folder / "again.csv").read_bytes() == back.read_bytes(), "absent and empty apart, in the same order"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bosses=st.dictionaries(IDS, st.lists(IDS, max_size=3, unique=True), min_size=1, max_size=5), several=st.booleans()
)
def test_related_ids_come_back(world: World, bosses: dict[str, list[str]], *, several: bool) -> None:
    slip, folder = world
    bosses = {each: others if several else others[:1] for each, others in bosses.items()}
    relate = (Relate("boss", "REPORTS_TO", "Other"),)
    spec = TableSpec(entity_type="Person", relate=relate, lists=frozenset({"boss"} if several else ()))
    with emptied(slip):
        with slip.pkg.transaction() as tx:
            for other in {other for others in bosses.values() for other in others} - bosses.keys():
                tx.create_entity("Other", other)
            for entity_id in bosses:
                tx.create_entity("Person", entity_id)
            for entity_id, others in bosses.items():
                for other in others:
                    tx.relate(entity_id, "REPORTS_TO", other)
        before = {row.key.encode() for row in slip.pkg.scan(None, 100_000)}
        slip.export_table(folder / "Person.csv", spec)
    with emptied(slip):
        columns = (("boss", "list"),) if several else ()
        slip.import_files(folder / "Person.csv", options=ReadOptions(relate=relate, columns=columns))
        assert {row.key.encode() for row in slip.pkg.scan(None, 100_000)} == before
