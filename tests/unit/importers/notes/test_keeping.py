"""A graph is kept equal to a folder of notes, whatever becomes of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.domain.brake import BrakeSettings
from slipstream.importers.notes.keeping import PAGE
from tests import depth
from tests.unit.importers.notes.kept_vault import KeptVault
from tests.unit.importers.notes.vaults import write_vault


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[KeptVault]:
    """Return a vault that is kept."""
    found = KeptVault(tmp_path / "V")
    found.keeper.catch_up()
    yield found
    found.pkg.close()


def test_a_saved_note_and_what_it_mentions(kept: KeptVault) -> None:
    kept.write("a.md", "See [[b]] #tag/sub")
    assert set(kept.entities()) == {"V/a", "V/b", "V/#tag", "V/#tag/sub"}
    assert kept.relationships() == {"LINKS_TO:V/a:V/b", "TAGGED:V/a:V/#tag/sub", "PART_OF:V/#tag/sub:V/#tag"}
    assert kept.is_settled()


def test_what_a_note_no_longer_says_goes_and_what_nobody_else_uses(kept: KeptVault) -> None:
    kept.write("other.md", "#tag [[shared]]")
    kept.write("a.md", "See [[b]] [[shared]] #tag/sub\n\n" + "# H\n\n" + "word " * 400)
    assert "V/a#H" in kept.entities()
    kept.write("a.md", "#tag")
    assert set(kept.entities()) == {"V/a", "V/other", "V/#tag", "V/shared"}
    assert kept.relationships() == {"TAGGED:V/a:V/#tag", "TAGGED:V/other:V/#tag", "LINKS_TO:V/other:V/shared"}
    assert kept.is_settled()


def test_a_deleted_note_is_mentioned_while_others_link_to_it(kept: KeptVault) -> None:
    kept.write("b.md", "text #only")
    kept.write("a.md", "[[b]]")
    (kept.folder / "b.md").unlink()
    kept.take("b.md")
    assert kept.entities()["V/b"] == {}
    assert set(kept.entities()) == {"V/a", "V/b"}
    assert kept.relationships() == {"LINKS_TO:V/a:V/b"}
    kept.write("a.md", "")
    assert set(kept.entities()) == {"V/a"}
    assert kept.is_settled()


def test_a_note_comes_that_links_waited_for(kept: KeptVault) -> None:
    kept.write("a.md", "[[plans]]")
    kept.write("sub/Plans.md", "here")
    assert kept.entities()["V/plans"]["path"] == "sub/Plans.md"
    assert kept.relationships() == {"LINKS_TO:V/a:V/plans"}
    assert kept.is_settled()


def test_links_of_others_lead_to_the_nearer_note_once_it_is_there(kept: KeptVault) -> None:
    kept.write("far/Note.md", "far")
    kept.write("near/a.md", "[[Note]]")
    assert kept.relationships() == {"LINKS_TO:V/near/a:V/far/Note"}
    kept.write("near/Note.md", "near")
    assert kept.relationships() == {"LINKS_TO:V/near/a:V/near/Note"}
    assert kept.is_settled()


@pytest.mark.parametrize("edit", ["", "edited"])
def test_a_moved_note_keeps_its_id_and_its_links(kept: KeptVault, edit: str) -> None:
    kept.write("b.md", "its text")
    kept.write("a.md", "[[b]]")
    write_vault(kept.folder, {"deep/down/b.md": "its text" + edit})
    (kept.folder / "b.md").unlink()
    kept.take("b.md", "deep")
    assert kept.entities()["V/b"]["path"] == "deep/down/b.md"
    assert kept.relationships() == {"LINKS_TO:V/a:V/b"}
    assert kept.is_settled()


def test_a_renamed_folder_is_told_by_its_two_names_alone(kept: KeptVault) -> None:
    for number in range(5):
        kept.write(f"old/{number}.md", f"text {number}")
    (kept.folder / "old").rename(kept.folder / "new")
    kept.take("old", "new")
    assert {each["path"] for each in kept.entities().values()} == {f"new/{number}.md" for number in range(5)}
    assert set(kept.entities()) == {f"V/old/{number}" for number in range(5)}
    assert kept.is_settled()


def test_a_note_that_can_not_be_read_stays_as_it_was(kept: KeptVault) -> None:
    kept.write("b.md", "good")
    kept.write("b.md", b"\xff")
    assert kept.entities()["V/b"]["text"] == "good"
    kept.write("c.md", "---\na: b: c\n---\n")
    kept.write("a.md", "[[c]] [[b]]")
    assert kept.relationships() == {"LINKS_TO:V/a:V/b", "LINKS_TO:V/a:V/c"}
    kept.write("c.md", "mended")
    assert kept.entities()["V/c"]["text"] == "mended"
    assert kept.is_settled()


def test_a_note_too_large_for_the_graph_is_refused_and_linked_to_once_it_is_not(kept: KeptVault) -> None:
    kept.write("a.md", "[[big]]")
    kept.write("big.md", "x" * (1 << 21))
    assert "text" not in kept.entities()["V/big"]
    kept.write("big.md", "small")
    assert kept.entities()["V/big"]["text"] == "small"
    assert kept.relationships() == {"LINKS_TO:V/a:V/big"}


def test_an_id_of_its_own_goes_over_to_another_note(kept: KeptVault) -> None:
    kept.write("one.md", "---\nid: x\n---\n")
    kept.write("two.md", "---\nid: x\n---\ntwo")
    kept.write("a.md", "[[two]]")
    (kept.folder / "one.md").unlink()
    kept.take("one.md")
    assert kept.entities()["x"]["path"] == "two.md"
    assert "LINKS_TO:V/a:x" in kept.relationships()
    assert kept.is_settled()


def test_the_brake_holds_deletions_back_until_they_are_confirmed(tmp_path: Path) -> None:
    kept = KeptVault(tmp_path / "V", BrakeSettings(share=0.1, records_min=2))
    write_vault(kept.folder, {f"{number}.md": f"text {number}" for number in range(10)})
    kept.keeper.catch_up()
    for number in range(3):
        (kept.folder / f"{number}.md").unlink()
    assert kept.keeper.take([kept.folder / f"{number}.md" for number in range(3)]).held_back == 3
    assert kept.opened().catch_up().held_back == 3
    assert len(kept.entities()) == 10
    plan = kept.opened(confirm="3-0").catch_up().plan_id
    assert kept.opened(confirm=plan).catch_up().deleted == 3
    assert len(kept.entities()) == 7
    shutil.rmtree(kept.folder)
    kept.folder.mkdir()
    assert kept.opened().catch_up().held_back == 7


def test_a_burst_is_written_in_pages(kept: KeptVault) -> None:
    count = 2 * PAGE + 1
    write_vault(kept.folder, {f"{number}.md": f"[[{(number + 1) % count}]]" for number in range(count)})
    told: list[tuple[int, int]] = []
    assert kept.opened().catch_up(lambda done, total: told.append((done, total))).written == count
    assert len(kept.relationships()) == count
    assert told[-1] == (2 * count, 2 * count)
    assert kept.is_settled()


NAMES = st.sampled_from(["a.md", "b.md", "A.md", "x/a.md", "x/c.md", "y/x/c.md", "y/b.md"])
TEXTS = st.sampled_from(
    [
        "",
        "[[a]]",
        "[[c]] #t",
        "[[x/c]] #t/u",
        "![[b]] [[nobody]]",
        "[n](c.md)",
        "---\nid: own\n---\n[[a]]",
        "---\na: b: c\n---",
        "alias:: b\n\n- [[own]]",
        "- x\n  id:: 64f1a2b3-1111-4222-8333-444455556666",
        "((64f1a2b3-1111-4222-8333-444455556666))",
        "# H\n\n" + "long [[b]] " * 150,
    ]
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), NAMES, TEXTS),
        st.tuples(st.just("move"), NAMES, NAMES),
        st.tuples(st.just("delete"), NAMES, NAMES),
    ),
    max_size=8,
)


@depth.deeper
@settings(max_examples=depth.examples(40, 2_000))
@given(st.lists(STEPS, min_size=1, max_size=4))
def test_taking_what_was_touched_is_as_good_as_comparing_everything(rounds: list[list[tuple[str, str, str]]]) -> None:
    with TemporaryDirectory() as folder:
        kept = KeptVault(Path(folder) / "V")
        kept.keeper.catch_up()
        for steps in rounds:
            plan = kept.take(*{path for step in steps for path in _done(kept.folder, *step)}).plan_id
            if plan is not None:  # no note is left
                kept.keeper = kept.opened(confirm=plan)
                kept.keeper.catch_up()
            told = kept.entities(), kept.relationships()
            assert kept.is_settled(), told


def _done(folder: Path, verb: str, name: str, other: str) -> list[str]:
    file = folder / name
    if verb == "write":
        write_vault(folder, {name: other})
    elif file.exists() and verb == "delete":
        file.unlink()
    elif file.exists() and verb == "move":
        (folder / other).parent.mkdir(parents=True, exist_ok=True)
        file.rename(folder / other)
        return [name, other]
    return [name]
