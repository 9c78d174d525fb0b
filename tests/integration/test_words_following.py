"""Word rows of a whole PKG: found while the model is down, beside migrations, after edits of views, and by guests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from slipstream.app.composition.opening import open_pkg
from slipstream.app.composition.options import OnOtherRecipe, Options, Wrapping
from slipstream.app.config import Config
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import UnavailableError
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.word_queries import Term
from slipstream.engine.settings import SyncSettings
from slipstream.ports.words import WordIndex
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import View, Words
from tests.until import LONG_S, until


class DownEmbedder(HashEmbedder):
    """A model that does not answer until it is up."""

    is_up = False

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if not self.is_up:
            raise UnavailableError("the model is down")
        return super().embed(texts)


class Counting:
    """Counts what is written to the word index of a PKG, and gives it to tests."""

    def __init__(self) -> None:
        self.index: WordIndex | None = None
        self.written = self.deleted = 0

    def __call__(self, words: WordIndex) -> WordIndex:
        self.index, put = words, words.put

        def counted(rows: Sequence[Any], deletions: Sequence[Any] = ()) -> Sequence[Any]:
            self.written, self.deleted = self.written + len(rows), self.deleted + len(deletions)
            return put(rows, deletions)

        words.put = counted  # type: ignore[method-assign]
        return words

    def found(self, word: str) -> list[str]:
        assert self.index is not None
        return [hit.key.id for hit in self.index.match(Term(word), None, 10)]

    def named(self, name: str) -> list[str]:
        assert self.index is not None
        return [hit.key.id for hit in self.index.named(name, None, 10)]


Opened = Callable[..., Slipstream]


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def opened(tmp_path: Path, counting: Counting) -> Opened:
    def open_it(*views: View, model: HashEmbedder | None = None, **more: Any) -> Slipstream:
        options = Options(
            views=views,
            embedders=(model or HashEmbedder(dimension=16),),
            wrapping=Wrapping(words=counting),
            settings=SyncSettings(idle_wait_s=0.02, backoff_base_s=0.02, backoff_max_s=0.1),
            **more,
        )
        return open_pkg(tmp_path, config=Config(), options=options)

    return open_it


def test_a_commit_is_found_by_words_while_the_model_is_down(opened: Opened, counting: Counting) -> None:
    model = DownEmbedder(dimension=16)
    with opened(model=model) as slip:
        with slip.pkg.transaction() as tx:
            tx.create_entity("Person", "ada", {"name": "Ada Lovelace", "bio": "wrote programs"})
        assert slip.sync.wait_for_words(tx.position, LONG_S)
        assert counting.found("program") == counting.named("ada lovelace") == ["ada"]
        status = slip.status()
        assert status.frontier < tx.position
        assert status.words is not None
        assert (status.words.frontier, status.words.lag_events, status.words.lag_s) == (tx.position, 0, 0.0)
        assert not slip.sync.drain(0.0)
        model.is_up = True
        assert slip.sync.wait(tx.position, LONG_S)


def test_deletes_and_changes_of_type_leave_no_row(opened: Opened, counting: Counting) -> None:
    with opened() as slip:
        with slip.pkg.transaction() as tx:
            tx.create_entity("Person", "ada", {"name": "Ada"})
            tx.create_entity("Person", "bob", {"name": "Bob"})
        with slip.pkg.transaction() as tx:
            tx.delete_entity("ada")
            tx.upsert_entity("Machine", "bob", {"name": "Engine"})
        assert slip.sync.wait_for_words(tx.position, LONG_S)
        assert counting.index is not None
        assert [(stamp.key, stamp.entity_type) for stamp in counting.index.scan(None, 10)] == [
            (entity_key("bob"), "Machine")
        ]
        assert counting.found("ada") == counting.named("bob ") == []
        assert counting.named("engine") == ["bob"]


def test_an_edited_view_rewrites_only_the_rows_that_differ(opened: Opened, counting: Counting) -> None:
    people = View(type="Person", words=Words(name=("name",), body=("bio",)))
    with opened(people) as slip:
        with slip.pkg.transaction() as tx:
            for number in range(40):
                tx.create_entity("Person", f"p{number}", {"name": f"Name{number}", "bio": "lives"})
            for number in range(7):
                tx.create_entity("Place", f"q{number}", {"name": f"Place{number}", "motto": "onward"})
        assert slip.sync.drain(LONG_S)
        assert counting.found("onward")
    assert counting.written == 47
    places = View(type="Place", words=Words(body=()))
    with opened(people, places) as slip:
        assert slip.sync.drain(LONG_S)
        assert (counting.written, counting.deleted) == (54, 0)
        assert counting.found("onward") == []
        assert slip.sync.words is not None
        assert slip.sync.words.status(tx.position, 0.0).counters["unchanged"] == 40
    with opened(people, places) as slip:
        assert slip.sync.drain(LONG_S)
    assert counting.written == 54, "nothing has changed, so nothing is compared"


def test_a_view_that_covers_relationships_gives_them_rows_and_takes_them_back(
    opened: Opened, counting: Counting
) -> None:
    works = View(type="WORKS_AT", is_relationship=True, template="{{ role }}")
    with opened(works) as slip:
        with slip.pkg.transaction() as tx:
            tx.create_entity("Person", "ada", {"name": "Ada"})
            tx.create_entity("Place", "home", {"name": "Home"})
            relationship = tx.relate("ada", "WORKS_AT", "home", {"role": "countess"})
        assert slip.sync.drain(LONG_S)
        assert counting.found("countess") == [relationship]
    with opened(on_other_recipe=OnOtherRecipe.REPLACE) as slip:
        assert slip.sync.drain(LONG_S)
        assert counting.found("countess") == []
        assert (counting.written, counting.deleted) == (3, 1)


def test_a_migration_to_another_model_writes_no_word_row(opened: Opened, counting: Counting) -> None:
    with opened() as slip:
        with slip.pkg.transaction() as tx:
            for number in range(20):
                tx.create_entity("Person", f"p{number}", {"name": f"Name{number}"})
        assert slip.sync.drain(LONG_S)
    before = (counting.written, counting.deleted)
    other = HashEmbedder(dimension=32, id="another")
    with opened(model=other, on_other_recipe=OnOtherRecipe.REPLACE) as slip:
        assert slip.sync.drain(LONG_S)
        assert {stamp.space.model_id for stamp in slip.store.index.scan(None, 100)} == {"another"}
    assert (counting.written, counting.deleted) == before


def test_a_guest_waits_for_the_frontier_that_the_owner_publishes(
    opened: Opened, counting: Counting, tmp_path: Path
) -> None:
    with opened(model=DownEmbedder(dimension=16)) as owner:
        options = Options(embedders=(HashEmbedder(dimension=16),))
        with open_pkg(tmp_path, config=Config(), options=options, run=False) as guest:
            assert not guest.runs_engine
            with guest.pkg.transaction() as tx:
                tx.create_entity("Person", "ada", {"name": "Ada"})
            assert guest.sync.wait_for_words(tx.position, LONG_S)
            assert not guest.sync.wait_for_words(Position(tx.position + 1), 0.2)
            told = guest.status().words
            assert told is not None
            assert told.frontier >= tx.position
        assert counting.named("ada") == ["ada"]
        assert owner.status().words is not None


def test_the_thread_that_follows_is_named_and_ends_with_the_engine(opened: Opened) -> None:
    import threading

    def names() -> set[str]:
        return {thread.name for thread in threading.enumerate()}

    with opened() as slip:
        until(lambda: "slipstream-words" in names())
        assert slip.sync.dead is None
    assert "slipstream-words" not in names()
