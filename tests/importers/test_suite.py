"""Every format: what a source holds, once more, less of it, broken off, killed, packed, rehearsed, damaged."""

from __future__ import annotations

import gzip
import importlib
import pkgutil
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import ConfigError, InvalidInputError, ReplacementNeedsConfirmationError
from slipstream.events.import_state import ImportProgress
from slipstream.importers.options import ReadOptions
from tests.importers import cases
from tests.importers.case import Case
from tests.importers.world import brought, entities_of, opened, relationships_of

BATCHING = ("slipstream.importers.importing", "slipstream.events.importing")
NAMES = sorted(name for _, name, _ in pkgutil.iter_modules(cases.__path__))


class BrokenOffError(Exception):
    """Whoever is told of the progress has had enough."""


def case_named(name: str) -> Case:
    """Return the case of a format."""
    case: Case = importlib.import_module(f"tests.importers.cases.{name}").CASE
    return case


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def case(name: str) -> Case:
    return case_named(name)


@pytest.fixture
def slip(tmp_path: Path) -> Iterator[Slipstream]:
    with opened(tmp_path / "pkg") as slipstream:
        yield slipstream


@pytest.fixture
def source(case: Case, tmp_path: Path) -> list[Path]:
    folder = tmp_path / "source"
    folder.mkdir()
    return case.write(folder)


def holds(slip: Slipstream, case: Case, *, without: frozenset[str] = frozenset()) -> None:
    """Check that the graph holds what the source does, but for some entities."""
    assert entities_of(slip) == {name: told for name, told in case.entities.items() if name not in without}
    if not without:
        assert relationships_of(slip) == case.relationships


def test_what_it_holds_is_there(slip: Slipstream, case: Case, source: list[Path]) -> None:
    report = brought(slip, case, source)
    assert (report.rejected, report.errors) == (0, [])
    holds(slip, case)


def test_a_second_import_changes_nothing(slip: Slipstream, case: Case, source: list[Path]) -> None:
    position = brought(slip, case, source).position
    assert brought(slip, case, source).rejected == 0
    assert slip.pkg.feed.head() == position


def test_one_that_is_broken_off_goes_on(
    slip: Slipstream, case: Case, source: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in BATCHING:
        monkeypatch.setattr(f"{module}.BATCH_BYTES", 1)  # each row is a batch of its own

    def enough(progress: ImportProgress) -> None:
        if progress.rows:
            raise BrokenOffError

    for _ in range(3):
        with pytest.raises(BrokenOffError):
            brought(slip, case, source, on_progress=enough)
    assert brought(slip, case, source).resumed_at_line > 0
    holds(slip, case)


def test_one_that_is_killed_goes_on(name: str, case: Case, source: list[Path], tmp_path: Path) -> None:
    script = (sys.executable, "-m", "tests.importers.killed", name, str(tmp_path / "pkg"), *map(str, source))
    done = subprocess.run(script, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with opened(tmp_path / "pkg") as slip:
        assert 0 < len(entities_of(slip)) < len(case.entities)
        assert brought(slip, case, source, replace_source="it").resumed_at_line > 0
        holds(slip, case)


def test_what_it_says_no_longer_is_deleted(slip: Slipstream, case: Case, source: list[Path], tmp_path: Path) -> None:
    brought(slip, case, source, replace_source="it")
    slip.pkg.create_entity("Own", "made-by-hand")
    shutil.rmtree(tmp_path / "source")
    (tmp_path / "source").mkdir()
    report = brought(slip, case, case.shorter(tmp_path / "source"), replace_source="it")
    assert report.deleted >= len(case.gone)
    slip.pkg.delete_entity("made-by-hand")
    holds(slip, case, without=case.gone)


def test_a_rehearsal_tells_and_changes_nothing(slip: Slipstream, case: Case, source: list[Path]) -> None:
    told = slip.rehearse_import(*source, format=case.format, options=case.options)
    assert sum(told.created.values()) == len(case.entities) + len(case.relationships)
    assert (slip.pkg.feed.head(), entities_of(slip)) == (0, {})
    brought(slip, case, source)
    told = slip.rehearse_import(*source, format=case.format, options=case.options)
    assert (told.created, told.updated, told.deleted) == ({}, {}, {})


@pytest.mark.parametrize("packing", [".gz", ".zst", ".zip"])
def test_a_packed_one_is_the_same(
    slip: Slipstream, case: Case, source: list[Path], tmp_path: Path, packing: str
) -> None:
    if not case.is_one_file:
        pytest.skip("it is more than one file")
    packed = tmp_path / f"{source[0].name}{packing}"
    _pack(source[0], packed)
    assert brought(slip, case, [packed]).rejected == 0
    holds(slip, case)


def _pack(path: Path, packed: Path) -> None:
    if packed.suffix == ".gz":
        packed.write_bytes(gzip.compress(path.read_bytes()))
    elif packed.suffix == ".zip":
        with zipfile.ZipFile(packed, "w") as pack:
            pack.write(path, path.name)
    else:
        from slipstream.events.packing import packed as packing

        with packed.open("wb") as file, packing(packed.name, file) as stream:
            stream.write(path.read_bytes())


@pytest.mark.parametrize(
    ("name", "fault"), [(name, fault) for name in NAMES for fault in case_named(name).damaged], ids="-".join
)
def test_a_damaged_one_is_told_by_name(slip: Slipstream, case: Case, fault: str, tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    paths = case.damaged[fault](folder)
    try:
        report = brought(slip, case, paths, replace_source="it")
    except ConfigError as error:
        assert any(path.name in str(error) for path in paths)  # noqa: PT017  (either is right)
    else:
        assert report.rejected
        assert all(len(error) > 20 for error in report.errors)
        assert any("no longer states" in note for note in report.notes)


def test_an_option_that_means_nothing_is_refused(slip: Slipstream, case: Case, source: list[Path]) -> None:
    if case.options.delimiter is not None or case.format in ("csv", "neo4j"):
        pytest.skip("it means something")
    with pytest.raises(InvalidInputError, match="delimiter"):
        slip.import_files(*source, format=case.format, options=ReadOptions(delimiter=";"))


def test_the_brake_holds_what_would_be_too_much(
    slip: Slipstream, case: Case, source: list[Path], tmp_path: Path
) -> None:
    with slip.pkg.transaction() as tx:  # a hundred more that the source is said to have stated
        for number in range(150):
            tx.create_entity("Old", f"old{number}")
    from slipstream.domain.keys import entity_key
    from slipstream.events.statements import Replacing, Statements

    said = Statements(slip.pkg, Replacing(source="it"))
    with slip.pkg.transaction() as tx:
        for number in range(150):
            said.note(entity_key(f"old{number}"))
        said.write(tx)
    with pytest.raises(ReplacementNeedsConfirmationError) as braked:
        brought(slip, case, source, replace_source="it")
    assert braked.value.plan["deletions"] == 150
    assert case.entities.keys() < entities_of(slip).keys()
    with pytest.raises(InvalidInputError, match="confirm"):
        brought(slip, case, source, replace_source="it", confirm="150-00000000")
    brought(slip, case, source, replace_source="it", confirm=braked.value.plan["id"])
    holds(slip, case)
