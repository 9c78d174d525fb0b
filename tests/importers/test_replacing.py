"""What a source no longer says goes, and nothing else does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import (
    ConfigError,
    InvalidInputError,
    ReplacementNeedsConfirmationError,
    UnavailableError,
)
from slipstream.events.import_state import ImportReport
from slipstream.events.statements import Replacing, Statements, Survey, last_run
from slipstream.importers.importing import SourceImporter
from slipstream.importers.options import ReadOptions
from slipstream.importers.rows import EntityRow, RefusedRow, RelationshipRow
from slipstream.ports.journal import NamedValues
from tests.importers.given import Content, Given
from tests.importers.world import entities_of, opened, relationships_of

ADA, BAB = EntityRow("ada", "Person", {"name": "Ada"}), EntityRow("bab", "Person", {"name": "Charles"})
KNOWS = RelationshipRow("ada", "KNOWS", "bab")
REFUSED = RefusedRow(InvalidInputError("is empty", field="id"), "a row")


@pytest.fixture
def slip(tmp_path: Path) -> Iterator[Slipstream]:
    with opened(tmp_path / "pkg") as slipstream:
        yield slipstream


def said(slip: Slipstream, *contents: Content, source: str = "hr", confirm: str | None = None) -> ImportReport:
    return slip.import_from(Given(contents), replace_source=source, confirm=confirm)


def test_a_relationship_that_is_no_longer_stated_goes_alone(slip: Slipstream) -> None:
    said(slip, ADA, BAB, KNOWS)
    assert said(slip, ADA, BAB).deleted == 1
    assert entities_of(slip).keys() == {"ada", "bab"}
    assert not relationships_of(slip)


def test_what_another_source_states_stays_until_that_one_stops_too(slip: Slipstream) -> None:
    said(slip, ADA, BAB)
    said(slip, BAB, source="club")
    assert said(slip, ADA).deleted == 0
    assert entities_of(slip).keys() == {"ada", "bab"}
    assert said(slip, source="club").deleted == 1
    assert entities_of(slip).keys() == {"ada"}


def test_what_was_only_named_and_somebody_else_made_stays(slip: Slipstream) -> None:
    slip.pkg.create_entity("Company", "aes", {"name": "Analytical Engine Society"})
    works = RelationshipRow("ada", "WORKS_AT", "aes")
    new = RelationshipRow("ada", "WORKS_AT", "new")
    said(
        slip,
        ADA,
        EntityRow("aes", "Company", is_mentioned=True),
        EntityRow("new", "Company", is_mentioned=True),
        works,
        new,
    )
    assert entities_of(slip)["aes"] == ("Company", {"name": "Analytical Engine Society"})
    assert said(slip, ADA).deleted == 2  # its job, and the company that this source made, with the other job
    assert entities_of(slip).keys() == {"ada", "aes"}


def test_nothing_goes_when_a_row_is_refused(slip: Slipstream) -> None:
    said(slip, ADA, BAB)
    report = said(slip, ADA, REFUSED)
    assert (report.rejected, report.deleted) == (1, 0)
    assert report.notes == [
        "what hr no longer states was not deleted, for 1 of its rows were refused: mend them, and import it again"
    ]
    assert entities_of(slip).keys() == {"ada", "bab"}


def test_a_refusal_before_an_interruption_counts_too(slip: Slipstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipstream.importers.importing.BATCH_BYTES", 1)
    said(slip, ADA, BAB)

    def stop(progress: object) -> None:
        if slip.list_dead_letters():
            raise KeyboardInterrupt

    contents = (EntityRow("new", "Person"), REFUSED, ADA)
    with pytest.raises(KeyboardInterrupt):
        slip.import_from(Given(contents), replace_source="hr", on_progress=stop)
    report = said(slip, *contents)
    assert (report.resumed_at_line > 0, report.rejected, report.deleted) == (True, 1, 0)
    assert entities_of(slip).keys() == {"ada", "bab", "new"}


def test_a_plan_is_of_exactly_what_would_go(slip: Slipstream) -> None:
    many = [EntityRow(f"p{number}", "Person", {"name": f"{number}"}) for number in range(130)]
    said(slip, ADA, *many)
    with pytest.raises(ReplacementNeedsConfirmationError) as braked:
        said(slip, ADA)
    assert braked.value.plan == {
        "id": braked.value.plan["id"], "source": "hr", "deletions": 130, "stated": 131, "limit": 100,
    }  # fmt: skip
    with pytest.raises(InvalidInputError, match=r"^confirm: "):  # another row has gone meanwhile
        said(slip, confirm=braked.value.plan["id"])
    assert len(entities_of(slip)) == 131
    assert said(slip, ADA, confirm=braked.value.plan["id"]).deleted == 130
    assert entities_of(slip).keys() == {"ada"}
    with pytest.raises(InvalidInputError, match="plan to confirm"):
        slip.import_from(Given([ADA]), confirm="1-00")


def test_a_deletion_that_was_killed_goes_on_unasked(tmp_path: Path) -> None:
    with opened(tmp_path / "pkg") as slip:
        many = [EntityRow(f"p{number}", "Person", {"name": f"{number}"}) for number in range(130)]
        said(slip, ADA, *many)
        with pytest.raises(ReplacementNeedsConfirmationError) as braked:
            said(slip, ADA)
    script = (sys.executable, "-m", "tests.importers.killed_deleting", str(tmp_path / "pkg"))
    done = subprocess.run((*script, braked.value.plan["id"]), check=False, capture_output=True, text=True)
    assert done.returncode == -SIGKILL, done.stderr
    with opened(tmp_path / "pkg") as slip:
        assert 1 < len(entities_of(slip)) < 131
        said(slip, ADA)
        assert entities_of(slip).keys() == {"ada"}


def test_a_record_that_came_back_is_stated_again(slip: Slipstream) -> None:
    said(slip, ADA, BAB)
    said(slip, ADA)
    said(slip, ADA, BAB)
    assert entities_of(slip).keys() == {"ada", "bab"}
    assert said(slip, ADA).deleted == 1


def test_a_type_changes_only_for_who_stated_it(slip: Slipstream) -> None:
    said(slip, ADA)
    assert said(slip, EntityRow("ada", "Author", {"name": "Ada"})).rejected == 0
    assert entities_of(slip)["ada"][0] == "Author"
    report = slip.import_from(Given([ADA]))
    assert report.rejected == 1
    assert "'ada' is the id of a Author already" in report.errors[0]
    assert "--id-prefix" in report.errors[0]
    assert entities_of(slip)["ada"][0] == "Author"


def test_an_id_that_comes_twice_is_refused_unless_it_says_the_same(slip: Slipstream) -> None:
    report = slip.import_from(Given([ADA, BAB, ADA, EntityRow("bab", "Person", {"name": "Other"})]))
    assert [error.partition(":")[0] for error in report.errors] == ["row 4"]
    assert entities_of(slip)["bab"] == ("Person", {"name": "Charles"})


def test_a_refused_row_is_imported_by_a_replay_once_it_can_be(slip: Slipstream) -> None:
    slip.import_from(Given([ADA, KNOWS]))
    assert "bab" in slip.list_dead_letters()[0].error
    slip.pkg.create_entity("Person", "bab")
    assert slip.replay_dead_letters() == 1, slip.list_dead_letters()
    assert relationships_of(slip) == {"KNOWS:ada:bab"}


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb"])
def test_a_name_that_is_none_is_refused(slip: Slipstream, name: str) -> None:
    with pytest.raises(InvalidInputError, match="printable"):
        said(slip, ADA, source=name)


class _Failing:
    """Named values that are not kept once, at a chosen time: as if the process had died just then."""

    def __init__(self, inner: NamedValues, fails_at: int) -> None:
        self._inner, self._left = inner, fails_at

    def get(self, name: str) -> str | None:
        return self._inner.get(name)

    def set(self, name: str, value: str | None) -> None:
        self._left -= 1
        if self._left == 0:
            raise UnavailableError("died between the commit and the note of it")
        self._inner.set(name, value)


@pytest.mark.parametrize("fails_at", range(1, 6))
def test_a_death_between_a_commit_and_its_note_repeats_what_changes_nothing(
    slip: Slipstream, fails_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipstream.importers.importing.BATCH_BYTES", 1)
    said(slip, EntityRow("old", "Person"), source="hr")
    parts, contents = slip._parts, Given((ADA, BAB, KNOWS))
    values = _Failing(parts.guest_journal, fails_at)
    importer = SourceImporter(slip.pkg, values, parts.guest_letters, slip.clock)
    with pytest.raises(UnavailableError):
        importer.run(contents, replacing=Replacing(source="hr"))
    report = importer.run(contents, replacing=Replacing(source="hr"))
    assert entities_of(slip).keys() == {"ada", "bab"}
    assert relationships_of(slip) == {"KNOWS:ada:bab"}
    assert report.rejected == 0
    assert importer.run(contents, replacing=Replacing(source="hr")).deleted == 0
    assert slip.pkg.feed.head() == 8  # four records, the end of one, three versions of the schema: nothing twice


AES = EntityRow("aes", "Company", is_mentioned=True)
FULL = EntityRow("aes", "Company", {"name": "Analytical Engine Society"})
WORKS, PAYS = RelationshipRow("ada", "WORKS_AT", "aes"), RelationshipRow("bab", "PAYS", "aes")


def test_what_was_only_named_and_filled_since_stays(slip: Slipstream) -> None:
    said(slip, ADA, AES, WORKS)
    slip.import_from(Given([FULL]))
    said(slip, ADA, AES, WORKS)  # it is named still
    assert said(slip, ADA).deleted == 1
    assert entities_of(slip).keys() == {"ada", "aes"}


@pytest.mark.parametrize("filled", [False, True])
def test_what_two_sources_name_stays_for_the_second_one(slip: Slipstream, filled: bool) -> None:
    said(slip, ADA, FULL if filled else AES, WORKS)
    said(slip, BAB, AES, PAYS, source="crm")
    said(slip, ADA)
    assert entities_of(slip).keys() == {"ada", "bab", "aes"}
    assert len(relationships_of(slip)) == 1
    assert said(slip, BAB, source="crm").deleted == 1  # and its relationship with it
    assert entities_of(slip).keys() == {"ada", "bab"}


def test_what_one_names_goes_when_who_filled_it_has_gone_too(slip: Slipstream) -> None:
    said(slip, BAB, AES, PAYS, source="crm")
    said(slip, FULL)
    said(slip)
    assert entities_of(slip).keys() == {"bab", "aes"}
    said(slip, BAB, source="crm")
    assert entities_of(slip).keys() == {"bab"}


def surveyed(slip: Slipstream, source: str = "hr") -> Survey:
    replacing = Replacing(source=source)
    return Statements(slip.pkg, replacing, last_run(slip.pkg, replacing)).survey()


def test_what_is_only_named_now_is_as_a_first_import_makes_it(slip: Slipstream) -> None:
    named = EntityRow("bab", "Person", {"name": "of a link"}, is_mentioned=True)
    said(slip, ADA, BAB, named, KNOWS)
    report = said(slip, ADA, named, KNOWS)
    assert entities_of(slip) == {"ada": ("Person", {"name": "Ada"}), "bab": ("Person", {"name": "of a link"})}
    assert report.deleted == 0
    assert relationships_of(slip) == {"KNOWS:ada:bab"}
    head = slip.pkg.feed.head()
    said(slip, ADA, named, KNOWS)
    assert slip.pkg.feed.head() == head
    assert said(slip, ADA).deleted == 1
    assert entities_of(slip).keys() == {"ada"}


def test_what_is_named_before_it_is_described_is_not_emptied(
    slip: Slipstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipstream.importers.importing.BATCH_BYTES", 1)
    named = EntityRow("bab", "Person", is_mentioned=True)
    head = said(slip, named, ADA, BAB, KNOWS).position
    for _ in range(2):
        said(slip, named, ADA, BAB, KNOWS)
    assert slip.pkg.feed.head() == head


def test_what_another_source_describes_is_not_emptied(slip: Slipstream) -> None:
    named = EntityRow("bab", "Person", is_mentioned=True)
    said(slip, ADA, BAB)
    said(slip, BAB, source="club")
    said(slip, ADA, named)
    assert entities_of(slip)["bab"] == ("Person", {"name": "Charles"})
    assert surveyed(slip).named_only == 0  # it is told once, and no brake counts it again
    said(slip, ADA, named)
    assert surveyed(slip).named_only == 0
    said(slip, source="club")
    said(slip, ADA, named)
    assert entities_of(slip)["bab"] == ("Person", {})  # it is still named, and nobody describes it any more


def test_the_brake_counts_what_would_be_emptied(slip: Slipstream) -> None:
    many = [EntityRow(f"p{number}", "Person", {"name": f"{number}"}) for number in range(130)]
    names = [row._replace(properties={}, is_mentioned=True) for row in many]
    said(slip, *many)
    with pytest.raises(ReplacementNeedsConfirmationError) as braked:
        said(slip, *names)
    assert (braked.value.plan["deletions"], entities_of(slip)["p7"][1]) == (130, {"name": "7"})
    said(slip, *names, confirm=braked.value.plan["id"])
    assert {properties.get("name") for _, properties in entities_of(slip).values()} == {None}


def test_an_emptying_that_was_broken_off_goes_on(slip: Slipstream, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [EntityRow(f"p{number}", "Person", is_mentioned=True) for number in range(6)]
    said(slip, *(row._replace(properties={"name": row.id}, is_mentioned=False) for row in names))
    calls, restate = iter(range(100)), Statements.restate

    def dying(*given: Any) -> None:
        if next(calls) == 4:
            raise KeyboardInterrupt
        restate(*given)

    monkeypatch.setattr(Statements, "restate", dying)
    importer = SourceImporter(slip.pkg, slip._parts.guest_journal, slip._parts.guest_letters, slip.clock)
    with pytest.raises(KeyboardInterrupt):
        importer.run(Given(names), replacing=Replacing(source="hr"), batch=3)
    assert sum("name" in properties for _, properties in entities_of(slip).values()) == 3
    importer.run(Given(names), replacing=Replacing(source="hr"), batch=3)
    assert all(properties == {} for _, properties in entities_of(slip).values())


def test_a_few_rows_that_are_all_refused_are_dead_letters(slip: Slipstream) -> None:
    report = slip.import_from(Given([REFUSED, REFUSED]))
    assert (report.rejected, len(slip.list_dead_letters())) == (2, 2)
    assert slip.replay_dead_letters() == 0
    for letter in slip.list_dead_letters():  # only the source can mend them, and so the reason is kept
        assert not letter.can_be_replayed
        assert "is empty" in letter.error


@pytest.mark.parametrize("name", ["people.csv", "people.jsonl"])
def test_nothing_goes_of_a_file_that_changes_meanwhile(slip: Slipstream, tmp_path: Path, name: str) -> None:
    path, options = tmp_path / name, ReadOptions(entity_type="Person" if name.endswith("csv") else None)

    def write(count: int) -> None:
        rows = [f'{{"type": "node", "id": "{at}", "labels": ["Person"], "properties": {{}}}}' for at in range(count)]
        path.write_text("\n".join(["id", *map(str, range(count))] if name.endswith("csv") else rows) + "\n")

    def cut(progress: object) -> None:
        write(2)

    write(3)
    slip.import_files(path, options=options, replace_source="hr")
    there = entities_of(slip).keys()
    with pytest.raises(ConfigError, match="has changed while it was imported"):
        slip.import_files(path, options=options, replace_source="hr", on_progress=cut)
    assert entities_of(slip).keys() == there
    write(3)
    assert "has changed" in slip.import_files(path, options=options, on_progress=cut).notes[-1]
    path.write_text(path.read_text())
    with pytest.raises(ConfigError, match=r"can not be read|has changed"):
        slip.import_files(
            path, options=options, replace_source="hr", on_progress=lambda _: path.unlink(missing_ok=True)
        )
    assert entities_of(slip).keys() == there


def test_what_was_broken_off_begins_anew_when_its_source_was_imported_since(
    slip: Slipstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipstream.importers.importing.BATCH_BYTES", 1)

    def stop(progress: object) -> None:
        if "bab" not in entities_of(slip) and "ada" in entities_of(slip):
            raise KeyboardInterrupt

    new = EntityRow("new", "Person")
    with pytest.raises(KeyboardInterrupt):
        slip.import_from(Given([ADA, BAB, new]), replace_source="hr", on_progress=stop)
    slip.import_from(Given([new], identity="another"), replace_source="hr")
    assert entities_of(slip).keys() == {"new"}
    assert said(slip, ADA, BAB, new).resumed_at_line == 0
    assert entities_of(slip).keys() == {"ada", "bab", "new"}


@pytest.mark.parametrize("name", ["people.jsonl", "people.nt", "people.csv"])
def test_a_file_without_a_byte_is_no_reason_to_delete(slip: Slipstream, tmp_path: Path, name: str) -> None:
    said(slip, ADA)
    (tmp_path / name).touch()
    with pytest.raises(ConfigError, match="is empty"):
        slip.import_files(tmp_path / name, replace_source="hr")
    assert entities_of(slip).keys() == {"ada"}
