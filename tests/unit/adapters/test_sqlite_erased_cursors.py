"""A scan that is under way when an entity is erased has its key in memory, and keeps no cursor there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.domain.erasure import Erased, mark_of

ERASED = Erased("quokka-41:x", mark_of("quokka-41:x", "0" * 16), names=("Zyxilda",))
OTHER = json.dumps({"after": "e:wombat", "done": 3})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path / "index.db")) as store:
        yield store


@pytest.mark.parametrize(
    ("after", "kept"),
    [("e:quokka-41:x", "e:"), ("r:KNOWS:quokka-41%3Ax:p9", "r:"), ("e:quokka-41:y", "e:quokka-41:y")],
)
def test_a_cursor_at_its_key_goes_back(store: SqliteStore, after: str, kept: str) -> None:
    store.erasing.scrub(ERASED)
    store.journal.set("scan", json.dumps({"after": after, "done": 3}))
    store.journal.set("selections", json.dumps([{"id": 1, "after": after}]))
    assert json.loads(store.journal.get("scan") or "") == {"after": kept, "done": 3}
    assert json.loads(store.journal.get("selections") or "") == [{"id": 1, "after": kept}]


def test_whatever_else_is_kept_is_kept_as_it_is(store: SqliteStore) -> None:
    store.erasing.scrub(ERASED, rehearse=True)
    at_it = json.dumps({"after": "e:quokka-41:x"})
    store.journal.set("rehearsed", at_it)
    assert store.journal.get("rehearsed") == at_it
    store.erasing.scrub(ERASED)
    for value in (OTHER, "12", "asked for by Zyxilda"):
        store.journal.set("other", value)
        assert store.journal.get("other") == value
