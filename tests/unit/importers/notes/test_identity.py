"""A note keeps its id when it is moved or renamed."""

from __future__ import annotations

from collections.abc import Mapping

from slipstream.importers.notes.identity import KnownNote, assign_ids
from slipstream.importers.notes.note import digest_of


def note(entity_id: str, path: str | None, text: str = "") -> KnownNote:
    return KnownNote(entity_id, path, digest_of(text), "Note")


def assigned(
    texts: Mapping[str, str], known: list[KnownNote], own: Mapping[str, str] | None = None
) -> dict[str, str]:
    return assign_ids(texts, own or {}, known, "V/", lambda path: digest_of(texts[path]))


def test_a_new_note_is_called_by_its_path() -> None:
    assert assigned({"a/N.md": "", "C#.md": ""}, []) == {"a/N.md": "V/a/N", "C#.md": "V/C%23"}


def test_its_own_id_comes_first() -> None:
    assert assigned({"a.md": ""}, [note("V/a", "a.md")], {"a.md": "mine"}) == {"a.md": "mine"}


def test_a_moved_note_is_known_by_its_name_and_a_renamed_one_by_its_content() -> None:
    known = [note("V/a", "a.md", "one"), note("V/b", "b.md", "two")]
    assert assigned({"sub/a.md": "one, edited", "other.md": "two"}, known) == {"sub/a.md": "V/a", "other.md": "V/b"}


def test_content_and_name_together_tell_twins_apart() -> None:
    known = [note("V/x/a", "x/a.md", "same"), note("V/x/b", "x/b.md", "same")]
    assert assigned({"y/a.md": "same", "y/b.md": "same"}, known) == {"y/a.md": "V/x/a", "y/b.md": "V/x/b"}


def test_notes_that_swap_their_paths_are_still_the_same() -> None:
    known = [note("V/a", "a.md", "one"), note("5", "b.md", "two")]
    assert assigned({"a.md": "two", "b.md": "one"}, known, {"a.md": "5"}) == {"a.md": "5", "b.md": "V/a"}


def test_what_is_ambiguous_or_empty_is_new() -> None:
    known = [note("V/x/a", "x/a.md", "same"), note("V/y/a", "y/a.md", "same"), note("V/e", "e.md")]
    assert assigned({"z/a.md": "other", "new.md": ""}, known) == {"z/a.md": "V/z/a", "new.md": "V/new"}


def test_a_note_at_the_old_path_of_a_moved_one_is_another() -> None:
    moved = note("V/a", "sub/a.md", "text")
    assert assigned({"sub/a.md": "text", "a.md": "new"}, [moved]) == {"sub/a.md": "V/a", "a.md": "V/a~2"}


def test_a_note_that_links_waited_for_takes_their_entity() -> None:
    known = [note("V/Plans", None)]
    assert assigned({"sub/plans.md": ""}, known) == {"sub/plans.md": "V/Plans"}
    assert assigned({"x/plans.md": "", "y/plans.md": ""}, known) == {
        "x/plans.md": "V/Plans",
        "y/plans.md": "V/y/plans",
    }


def test_assigning_again_changes_nothing() -> None:
    texts = {"a.md": "one", "b/a.md": "two", "c.md": "one"}
    first = assigned(texts, [note("V/old", "old.md", "two")])
    again = [note(entity_id, path, texts[path]) for path, entity_id in first.items()]
    assert assigned(texts, again) == first
