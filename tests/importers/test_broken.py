"""Readers that are broken on purpose: the suite fails each of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from slipstream.app import bringing
from slipstream.importers.options import ReadOptions
from slipstream.importers.reading import reader_of
from slipstream.importers.rows import EntityRow, RefusedRow, Row, RowReader, Stage, Tell
from tests.importers import test_suite as suite
from tests.importers.world import opened

CASE = suite.case_named("node_link")
Broken = Callable[[Iterator[Row], int], Iterator[Row]]
"""What a fault makes of rows, at which reading."""


@dataclass
class Reader:
    """Passes on what another reader yields, with a fault."""

    inner: RowReader
    fault: Broken
    readings: int = field(default=0)

    @property
    def form(self) -> str:
        return self.inner.form

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def identity(self) -> str:
        return self.inner.identity

    @property
    def size_bytes(self) -> int:
        return self.inner.size_bytes

    @property
    def has_relationships(self) -> bool:
        return self.inner.has_relationships

    def rows(self, stage: Stage, tell: Tell) -> Iterator[Row]:
        """Yield rows with the fault in them."""
        self.readings += 1
        return self.fault(self.inner.rows(stage, tell), self.readings)


def loses_the_last(rows: Iterator[Row], reading: int) -> Iterator[Row]:
    """Lose the last row, as who does not flush what he holds."""
    yield from list(rows)[:-1]


def reads_once(rows: Iterator[Row], reading: int) -> Iterator[Row]:
    """Yield nothing the second time, as who keeps a stream."""
    return rows if reading == 1 else iter(())


def numbers_from_one_at_each_row(rows: Iterator[Row], reading: int) -> Iterator[Row]:
    """Give every row the same number: nobody can go on behind one."""
    return (row._replace(number=1) for row in rows)


def names_anew(rows: Iterator[Row], reading: int) -> Iterator[Row]:
    """Name entities anew at each reading, as parsers do to what has no name."""
    salt = secrets.token_hex(4)
    for row in rows:
        if isinstance(row.content, EntityRow):
            yield row._replace(content=row.content._replace(id=f"{row.content.id}{salt}"))


def tells_nothing_refused(rows: Iterator[Row], reading: int) -> Iterator[Row]:
    """Pass over what can not be taken."""
    return (row for row in rows if not isinstance(row.content, RefusedRow))


def turns_into_text(rows: Iterator[Row], reading: int) -> Iterator[Row]:
    """Keep the wrong kind of value."""
    for row in rows:
        if isinstance(row.content, EntityRow):
            texts = {name: f"{value} " for name, value in row.content.properties.items()}
            yield row._replace(content=row.content._replace(properties=texts))
        else:
            yield row


@pytest.mark.parametrize(
    "fault",
    [loses_the_last, reads_once, names_anew, turns_into_text],
    ids=lambda fault: fault.__name__,
)
def test_what_a_broken_reader_loses_is_noticed(
    fault: Broken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _break(fault, monkeypatch)
    with opened(tmp_path / "pkg") as slip, pytest.raises(AssertionError):
        suite.test_what_it_holds_is_there(slip, CASE, CASE.write(_folder(tmp_path)))


def test_names_that_change_are_noticed_at_the_second_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _break(names_anew, monkeypatch)
    with opened(tmp_path / "pkg") as slip, pytest.raises(AssertionError):
        suite.test_a_second_import_changes_nothing(slip, CASE, CASE.write(_folder(tmp_path)))


def test_numbers_that_nobody_can_go_on_behind_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _break(numbers_from_one_at_each_row, monkeypatch)
    with opened(tmp_path / "pkg") as slip, pytest.raises((AssertionError, pytest.fail.Exception)):
        suite.test_one_that_is_broken_off_goes_on(slip, CASE, CASE.write(_folder(tmp_path)), monkeypatch)


def test_refusals_that_are_not_told_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _break(tells_nothing_refused, monkeypatch)
    fault = next(name for name in CASE.damaged if "row" in name or "node" in name or "edge" in name)
    with opened(tmp_path / "pkg") as slip, pytest.raises(AssertionError):
        suite.test_a_damaged_one_is_told_by_name(slip, CASE, fault, tmp_path)


def test_an_option_that_is_passed_over_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReadOptions, "refuse_but", lambda *_: None)
    with opened(tmp_path / "pkg") as slip, pytest.raises(pytest.fail.Exception):
        suite.test_an_option_that_means_nothing_is_refused(slip, CASE, CASE.write(_folder(tmp_path)))


def _break(fault: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bringing, "reader_of", lambda *given, **more: Reader(reader_of(*given, **more), fault))


def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "given"
    folder.mkdir()
    return folder
