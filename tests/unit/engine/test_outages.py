"""A breaker per model: what one model embeds waits for it, and nothing else does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from slipstream.domain.errors import (
    ConfigError,
    PoisonEventError,
    RateLimitedError,
    SlipstreamError,
    UnavailableError,
)
from slipstream.domain.keys import entity_key
from slipstream.engine.settings import SyncSettings
from slipstream.testkit.embedders import HashEmbedder
from slipstream.testkit.system import MemorySystem
from slipstream.views.declaration import View

SETTINGS = SyncSettings()
VIEWS = [View(type="Person", template="{{ name }}"), View(type="Town", template="{{ name }}", model="remote")]


class Choosy(HashEmbedder):
    """Refuses some words by naming the texts, as a client of a server does."""

    words: Sequence[str] = ()

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        wrong = {text: f"refused: {text}" for text in texts if any(word in text for word in self.words)}
        if wrong:
            self.calls_count += 1
            raise PoisonEventError("some were refused", texts=wrong)
        return super().embed(texts)


def two(settings: SyncSettings = SETTINGS) -> tuple[MemorySystem, HashEmbedder]:
    remote = HashEmbedder(dimension=16, id="remote")
    return MemorySystem(views=VIEWS, embedders=[HashEmbedder(dimension=8), remote], settings=settings), remote


def fill(system: MemorySystem, count: int, start: int = 0) -> None:
    with system.graph.transaction() as tx:
        for number in range(start, start + count):
            tx.create_entity("Person", f"p{number}", {"name": f"person {number}"})
            tx.create_entity("Town", f"t{number}", {"name": f"town {number}"})


def run(system: MemorySystem, rounds: int = 40) -> None:
    for _ in range(rounds):
        if not system.engine.step():
            system.clock.sleep(0.5)
    system.follow()


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("connection refused"),
        RateLimitedError("slow down", retry_after_s=7.0),
        ConfigError("it answers with another dimension"),
    ],
)
def test_what_other_models_embed_goes_on(error: SlipstreamError) -> None:
    system, remote = two()
    remote.fail_with = error
    fill(system, 30)
    run(system)
    assert all(system.stamp(f"p{number}") for number in range(30))
    assert not any(system.stamp(f"t{number}") for number in range(30))
    assert system.engine.outage is not None
    assert "30 keys wait for it" in system.engine.outage
    assert system.engine.halted is None
    assert not system.engine.is_down
    assert system.journal.letter_count() == 0
    assert sum(system.engine.pending().values()) == 30
    fill(system, 5, start=100)  # later ones too
    run(system, 5)
    assert system.stamp("p104")
    remote.fail_with = None
    system.clock.sleep(60)
    system.settle()
    assert system.engine.outage is None
    assert system.journal.letter_count() == 0
    assert system.audit().is_consistent
    assert system.engine.frontier == system.graph.feed.head()


def test_a_model_that_is_down_is_tried_by_one_key_at_a_time_and_ever_more_seldom() -> None:
    system, remote = two()
    remote.fail_with = UnavailableError("down")
    asked: list[int] = []
    embed = remote.embed

    def noting(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        asked.append(len(texts))
        return embed(texts)

    remote.embed = noting  # type: ignore[method-assign]
    fill(system, 30)
    started = system.clock.monotonic()
    while system.clock.monotonic() - started < 120:
        if not system.engine.step():
            system.clock.sleep(system.engine.wait_s() or 0.01)
    assert asked[0] > 1
    assert set(asked[1:]) == {1}
    assert len(asked) < 20


def test_the_frontier_stays_before_what_waits_and_says_who_is_behind() -> None:
    system, remote = two()
    remote.fail_with = UnavailableError("down")
    fill(system, 3)
    run(system)
    head = system.graph.feed.head()
    assert system.engine.frontier < head
    assert list(system.engine.behind(head)) == ["remote"]
    assert "down" in system.engine.behind(head)["remote"]
    remote.fail_with = None
    system.clock.sleep(60)
    system.settle()
    assert system.engine.behind(head) == {}


def test_a_key_that_waits_and_is_changed_or_deleted_meanwhile_is_as_the_graph_says() -> None:
    system, remote = two()
    remote.fail_with = UnavailableError("down")
    fill(system, 3)
    run(system)
    system.graph.delete_entity("t0")
    system.graph.update_entity("t1", {"name": "elsewhere"})
    run(system)
    assert sum(system.engine.pending().values()) == 2
    remote.fail_with = None
    system.clock.sleep(60)
    system.settle()
    assert system.audit().is_consistent
    assert system.stamp("t0") is None


def test_a_model_that_no_retry_can_mend_is_told_when_nothing_else_is_left() -> None:
    system, remote = two()
    remote.fail_with = ConfigError("it answers with another dimension: migrate")
    fill(system, 3)
    assert system.engine.refusal is None
    run(system)
    assert "another dimension" in str(system.engine.refusal)
    remote.fail_with = None  # somebody has set it up rightly: nothing has to be replayed
    system.clock.sleep(60)
    system.settle()
    assert system.engine.refusal is None
    assert system.audit().is_consistent


def test_a_restart_amid_it_loses_nothing() -> None:
    system, remote = two()
    remote.fail_with = UnavailableError("down")
    fill(system, 10)
    run(system)
    system.reopen()
    run(system)
    remote.fail_with = None
    system.clock.sleep(60)
    system.settle()
    assert system.audit().is_consistent


def test_the_texts_that_a_model_names_are_dead_letters_each_with_its_own_reason() -> None:
    choosy = Choosy(dimension=8)
    choosy.words = ("mushroom", "toadstool")
    system = MemorySystem(embedders=[choosy], views=[View(type="Note", template="{{ name }}")])
    with system.graph.transaction() as tx:
        for number in range(100):
            name = {17: "a mushroom", 71: "a toadstool"}.get(number, f"note {number}")
            tx.create_entity("Note", f"n{number}", {"name": name})
    system.settle()
    letters = {letter.key: letter.error for letter in system.journal.letters(None, 10)}
    assert letters == {
        entity_key("n17"): "PoisonEventError: refused: a mushroom",
        entity_key("n71"): "PoisonEventError: refused: a toadstool",
    }
    assert system.audit().fresh == 98
    assert choosy.calls_count <= 4  # named, they need not be searched for


def test_more_than_fits_does_not_keep_the_others_from_going_on() -> None:
    system, remote = two(SyncSettings(pending_max=40, log_page=10))
    remote.fail_with = UnavailableError("down")
    for start in range(0, 100, 10):
        fill(system, 10, start)
    run(system, 400)
    assert all(system.stamp(f"p{number}") for number in range(100))
    remote.fail_with = None
    system.clock.sleep(60)
    system.settle()
    assert system.audit().is_consistent
    assert system.engine.frontier == system.graph.feed.head()


def settle_within(system: MemorySystem, seconds: float) -> None:
    started = system.clock.monotonic()
    while not system.engine.is_settled():
        if not system.engine.step():
            system.clock.sleep(max(0.05, system.engine.wait_s()))
        assert system.clock.monotonic() - started < seconds, system.engine.outage
    system.follow()


def test_a_model_that_refuses_the_text_that_tries_it_out_is_up_again() -> None:
    # Thread simulator, seed 8684: each refusal held all others up for as long as a lost trial does.
    remote = Choosy(dimension=16, id="remote")
    system = MemorySystem(views=VIEWS, embedders=[HashEmbedder(dimension=8), remote])
    remote.fail_with = UnavailableError("down")
    fill(system, 6)
    run(system)
    assert system.engine.outage is not None
    remote.fail_with, remote.words = None, ("town",)
    system.clock.sleep(60)
    settle_within(system, 59)
    assert system.journal.letter_count() == 6
    assert system.engine.outage is None


def test_what_was_left_to_the_journal_is_taken_up_when_nothing_else_tries_the_model_out() -> None:
    # Thread simulator, seed 8754: nothing in memory waited for the model any more, so that nobody asked it.
    system, remote = two(SyncSettings(pending_max=4))
    remote.fail_with = UnavailableError("down")
    fill(system, 8)
    run(system)
    state = system.engine.state
    assert state.has_put_by
    assert system.journal.work_count() > 0
    for item in state.ledger.held_items(8):
        system.graph.delete_entity(item.key.id)
    run(system, 200)
    remote.fail_with = None
    system.clock.sleep(60)
    settle_within(system, 300)
    assert system.engine.outage is None
    assert system.journal.work_count() == 0
    assert system.audit().is_consistent


def test_a_trial_that_the_cache_answers_lets_the_next_key_try() -> None:
    system, remote = two()
    fill(system, 1)
    system.settle()
    remote.fail_with = UnavailableError("down")
    with system.graph.transaction() as tx:
        tx.create_entity("Town", "a", {"name": "town 0"})  # its text is in the cache
        tx.create_entity("Town", "b", {"name": "another town"})
    run(system)
    remote.fail_with = None
    system.clock.sleep(60)
    settle_within(system, 59)
    assert system.engine.outage is None
    assert system.audit().is_consistent
