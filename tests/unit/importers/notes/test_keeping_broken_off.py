"""A round that ends anywhere, as by a kill: before, in, or right behind any of its transactions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from slipstream.importers.notes import keeping
from slipstream.importers.notes.keeping import VaultKeeper
from tests.unit.importers.notes.kept_vault import BEFORE, BEHIND, IN, KeptVault
from tests.unit.importers.notes.vaults import write_vault

LONG = "# Head\n\n" + "word " * 300
FIRST = {
    "a.md": "[[b]] #kept",
    "b.md": f"#old/tag [[nobody]] {LONG}",
    "c.md": "[[a]] #kept",
    "gone.md": "#gone [[lost]]",
}
SECOND = {
    "a.md": f"[[new]] [[b]] #new/tag {LONG}",
    "b.md": "[[c]]",
    "c.md": "[[passing]] #kept",
    "d.md": "[[a]] #kept",
}
THIRD = {"a.md": "[[b]]", "b.md": "[[c]]", "c.md": "#kept", "d.md": "[[a]] #kept"}
"""Says nothing of what only the second one said: what is left of that in the graph would stay for ever."""


class BrokenOffError(BaseException):
    """The process ends here."""


def _written(folder: Path, notes: Mapping[str, str]) -> set[Path]:
    gone = {path for path in folder.iterdir() if path.name not in notes}
    for path in gone:
        path.unlink()
    write_vault(folder, notes)
    return gone | {folder / path for path in notes}


def _taken(keeper: VaultKeeper, touched: set[Path]) -> None:
    keeper.take(touched)


def _compared(keeper: VaultKeeper, touched: set[Path]) -> None:
    assert touched
    keeper.catch_up()


@pytest.mark.parametrize("page", [2, 200])
@pytest.mark.parametrize("when", [BEFORE, IN, BEHIND])
@pytest.mark.parametrize("done", [_taken, _compared])
def test_the_next_start_makes_all_of_it_right(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    page: int,
    when: str,
    done: Callable[[VaultKeeper, set[Path]], None],
) -> None:
    monkeypatch.setattr(keeping, "PAGE", page)
    whole = KeptVault(write_vault(tmp_path / "whole" / "V", THIRD))
    whole.keeper.catch_up()
    number, was_broken_off = 0, True
    while was_broken_off:
        number += 1
        kept = KeptVault(write_vault(tmp_path / str(number) / "V", FIRST))
        kept.keeper.catch_up()
        touched = _written(kept.folder, SECOND)
        kept.graph.break_at(number, when, BrokenOffError())
        try:
            done(kept.keeper, touched)
            was_broken_off = False
        except BrokenOffError:
            pass
        kept.graph.mend()
        _written(kept.folder, THIRD)
        kept.opened().catch_up()
        assert kept.entities() == whole.entities(), number
        assert kept.relationships() == whole.relationships(), number
    assert number > 2


def test_many_deletions_are_several_transactions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "PAGE", 2)
    kept = KeptVault(write_vault(tmp_path / "V", FIRST))
    kept.keeper.catch_up()
    _written(kept.folder, {})
    plan = kept.opened().catch_up().plan_id
    before = kept.graph.transactions
    done = kept.opened(confirm=plan).catch_up()
    assert kept.graph.transactions - before >= 2
    assert (done.deleted, done.position) == (4, kept.pkg.read([], {}).position)
    assert kept.entities() == {}


def test_what_somebody_gave_a_mentioned_note_or_a_tag_is_not_lost_with_the_last_link(tmp_path: Path) -> None:
    kept = KeptVault(write_vault(tmp_path / "V", {"a.md": "[[b]] [[c]] #d #e"}))
    kept.keeper.catch_up()
    kept.pkg.update_entity("V/b", {"born": 1815})
    kept.pkg.update_entity("V/#d", {"colour": "red"})
    kept.write("a.md", "nothing")
    assert set(kept.entities()) == {"V/a", "V/b", "V/#d"}
    assert kept.is_settled()
