"""A graph follows a folder of notes on a real file system."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slipstream.domain.errors import ConfigError
from slipstream.importers.notes.keeping import Kept
from slipstream.importers.notes.watching import follow
from tests.unit.importers.notes.kept_vault import KeptVault
from tests.unit.importers.notes.vaults import write_vault
from tests.until import until


class Followed(KeptVault):
    """A vault that a thread follows."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.rounds: list[Kept] = []
        self.error: Exception | None = None

    @contextmanager
    def following(self, *, poll: bool = False) -> Iterator[None]:
        """Follow the folder meanwhile, from when it has been compared once."""
        stop = threading.Event()
        before = len(self.rounds)

        def run() -> None:
            try:
                follow(self.opened(), self.rounds.append, stop, poll=poll)
            except ConfigError as error:
                self.error = error

        thread = threading.Thread(target=run)
        thread.start()
        try:
            until(lambda: len(self.rounds) > before or self.error, "the first round")
            yield
        finally:
            stop.set()
            thread.join()

    def text(self, note_id: str) -> object:
        """Return the text of a note, None if there is none."""
        return self.entities().get(note_id, {}).get("text")


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Followed]:
    """Return a vault with one note."""
    found = Followed(write_vault(tmp_path / "V", {"a.md": "first [[b]]"}))
    yield found
    found.pkg.close()


def test_edits_atomic_replacements_and_deletions(vault: Followed) -> None:
    with vault.following():
        (vault.folder / "a.md").write_text("second [[b]]")
        until(lambda: vault.text("V/a") == "second b", "the edit")
        (vault.folder / ".a.md.swp").write_text("an editor's own")
        (vault.folder / "a.md~").write_text("an editor's own")
        (vault.folder / "a.md.tmp").write_text("third")
        (vault.folder / "a.md.tmp").replace(vault.folder / "a.md")
        until(lambda: vault.text("V/a") == "third", "the replacement")
        until(lambda: set(vault.entities()) == {"V/a"}, "the end of what only it mentioned")
        (vault.folder / "b.md").write_text("b")
        until(lambda: vault.text("V/b") == "b", "the new note")
        (vault.folder / "a.md").unlink()
        until(lambda: set(vault.entities()) == {"V/b"}, "the deletion")
    assert vault.is_settled()


def test_renames_and_folders_that_are_moved_in_renamed_and_moved_out(vault: Followed, tmp_path: Path) -> None:
    aside = write_vault(tmp_path / "aside", {"deep/c.md": "see [[a]]", "deep/deeper/d.md": "d", "deep/x.png": "no"})
    with vault.following():
        (vault.folder / "a.md").rename(vault.folder / "renamed.md")
        until(lambda: vault.entities()["V/a"].get("path") == "renamed.md", "the rename")
        (aside / "deep").rename(vault.folder / "deep")
        until(lambda: {"V/deep/c", "V/deep/deeper/d"} <= set(vault.entities()), "the folder's notes")
        assert "LINKS_TO:V/deep/c:V/a" in vault.relationships()
        (vault.folder / "deep").rename(vault.folder / "shallow")
        until(lambda: vault.entities()["V/deep/c"].get("path") == "shallow/c.md", "the folder's new name")
        (vault.folder / "shallow" / "c.md").write_text("edited in its new place")
        until(lambda: vault.text("V/deep/c") == "edited in its new place", "an edit in a folder that was moved")
        (vault.folder / "shallow").rename(aside / "gone")
        until(lambda: set(vault.entities()) == {"V/a", "V/b"}, "the end of the folder's notes")
    assert vault.is_settled()


def test_a_burst_is_a_few_rounds(vault: Followed) -> None:
    with vault.following():
        write_vault(vault.folder, {f"many/{number}.md": f"text {number} [[a]]" for number in range(1_000)})
        until(lambda: len(vault.pkg.of_type("Note", None, 2_000).items) == 1_002, "all of them")
        rounds = len(vault.rounds)
        shutil.rmtree(vault.folder / "many")
        until(lambda: vault.rounds[-1].held_back == 1_000, "what the brake holds back")
    assert rounds < 50
    assert len(vault.pkg.of_type("Note", None, 2_000).items) == 1_002


def test_what_can_not_be_read_is_told_and_the_rest_goes_on(vault: Followed) -> None:
    with vault.following():
        (vault.folder / "a.md").write_bytes(b"\xff\xfe")
        until(lambda: "not UTF-8" in vault.rounds[-1].refused.get("a.md", ""), "the refusal")
        assert vault.text("V/a") == "first b"
        (vault.folder / "b.md").write_text("fine")
        until(lambda: vault.text("V/b") == "fine", "the other note")
        (vault.folder / "a.md").write_text("mended")
        until(lambda: vault.text("V/a") == "mended", "the mended note")
    assert vault.is_settled()


def test_what_was_missed_is_made_good(vault: Followed) -> None:
    with vault.following():
        pass
    (vault.folder / "a.md").rename(vault.folder / "moved.md")
    (vault.folder / "b.md").write_text("came meanwhile")
    with vault.following():
        assert vault.entities()["V/a"]["path"] == "moved.md"
        assert vault.text("V/b") == "came meanwhile"
    assert vault.is_settled()


def test_a_folder_that_is_gone_ends_it_and_deletes_nothing(vault: Followed) -> None:
    with vault.following():
        vault.folder.rename(vault.folder.with_name("elsewhere"))
        until(lambda: vault.error, "the end")
    assert "nothing was deleted" in str(vault.error)
    assert set(vault.entities()) == {"V/a", "V/b"}


def test_another_folder_in_its_place_is_followed(vault: Followed, tmp_path: Path) -> None:
    other = write_vault(tmp_path / "other", {"a.md": "first [[b]]", "new.md": "of the other folder"})
    with vault.following():
        vault.folder.rename(vault.folder.with_name("elsewhere"))
        other.rename(vault.folder)
        until(lambda: vault.text("V/new") == "of the other folder" or vault.error, "the other folder's note")
        if vault.error is None:  # else it was looked at in between, when there was none
            (vault.folder / "new.md").write_text("edited there")
            until(lambda: vault.text("V/new") == "edited there", "an edit in the other folder")


def test_a_folder_is_polled_where_no_events_are_told(vault: Followed) -> None:
    with vault.following(poll=True):
        (vault.folder / "b.md").write_text("seen")
        until(lambda: vault.text("V/b") == "seen", "the new note")
        (vault.folder / "b.md").unlink()
        until(lambda: vault.text("V/b") is None, "the deletion")


def test_a_listing_finds_what_no_event_told(vault: Followed) -> None:
    keeper = vault.opened()
    keeper.catch_up()
    (vault.folder / "a.md").write_text("changed, and longer")
    (vault.folder / "new.md").write_text("new")
    assert keeper.vault.changed() == {vault.folder / "a.md", vault.folder / "new.md"}
    keeper.take(keeper.vault.changed())
    (vault.folder / "new.md").unlink()
    assert keeper.vault.changed() == {vault.folder / "new.md"}
    keeper.take(keeper.vault.changed())
    assert keeper.vault.changed() == set()
    assert set(vault.entities()) == {"V/a"}
