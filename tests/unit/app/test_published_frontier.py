"""What the engine's owner tells other processes of the frontier: never before it is durable, and soon after."""

from __future__ import annotations

import threading

import pytest

from slipstream.domain.errors import LeaseLostError, PoisonEventError, UnavailableError
from slipstream.domain.journal_names import CHECKPOINT, FRONTIER
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.ports.feed import Retention
from slipstream.testkit.system import MemorySystem
from slipstream.views.declaration import View

NAMES = [View(type="Person", template="{{ name }}")]
LONG_S = 20.0


def _published(system: MemorySystem) -> Position:
    return Position(int(system.journal.get(FRONTIER) or 0))


def test_it_is_written_with_the_batch() -> None:
    system = MemorySystem(views=NAMES)
    position = system.graph.create_entity("Person", "ada", {"name": "Ada"})
    while system.engine.step():
        pass
    assert _published(system) == position
    assert system.stamp("ada") is not None


def test_nothing_is_told_before_the_write_is_durable() -> None:
    system = MemorySystem(views=NAMES)
    position = system.graph.create_entity("Person", "ada", {"name": "Ada"})
    seen: list[tuple[Position, Position]] = []

    def look(name: str) -> None:
        if name in ("index.upsert.before", "index.upsert.after"):
            # The log goes on meanwhile, with something irrelevant, and the reader's thread takes it in.
            system.graph.update_entity("ada", {"age": len(seen)})
            system.engine.intake()
            seen.append((system.engine.frontier, _published(system)))

    system.hook = look
    while system.engine.step():
        pass
    assert [(told < position, published < position) for told, published in seen] == [(True, True)] * 2
    system.engine.save_checkpoint()
    assert _published(system) == system.engine.frontier == system.graph.feed.head()


def test_a_write_that_fails_tells_nothing() -> None:
    system = MemorySystem(views=NAMES)
    position = system.graph.create_entity("Person", "ada", {"name": "Ada"})
    failing = True

    def fail(name: str) -> None:
        if name == "journal.commit.before" and failing:
            raise UnavailableError("the disk is full")

    system.hook = fail
    system.engine.step()
    assert _published(system) < position
    assert system.engine.frontier < position
    failing = False
    system.settle()
    assert _published(system) == system.graph.feed.head()


def test_what_is_irrelevant_is_told_by_an_idle_engine() -> None:
    system = MemorySystem(views=NAMES)
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    position = system.graph.update_entity("ada", {"age": 37})
    while system.engine.step():
        pass
    system.engine.save_checkpoint()
    assert _published(system) == position
    before = dict(system.journal._state.values)
    system.engine.save_checkpoint()
    assert system.journal._state.values == before


def test_a_running_engine_tells_it_soon_whatever_passes() -> None:
    system = MemorySystem(views=NAMES)
    told = threading.Event()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    with system.sync:
        assert system.sync.drain(timeout_s=LONG_S)
        position = system.graph.update_entity("ada", {"age": 37})
        for _ in range(int(LONG_S / 0.01)):
            if _published(system) >= position:
                told.set()
                break
            told.wait(0.01)
    assert told.is_set()


def test_a_key_that_waits_for_its_retry_holds_it_and_what_is_before_passes() -> None:
    system = MemorySystem(views=NAMES)
    first = system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    irrelevant = system.graph.update_entity("ada", {"age": 37})
    second = system.graph.create_entity("Person", "bob", {"name": "Bob"})

    def poison(name: str) -> None:
        if name == "embed.before":
            raise ValueError("the model chokes")

    system.hook = poison
    while system.engine.step():
        pass
    system.engine.save_checkpoint()
    assert first < irrelevant < second
    assert irrelevant <= _published(system) < second


def test_the_next_owner_never_goes_back_behind_it() -> None:
    system = MemorySystem(views=NAMES)
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    system.graph.update_entity("ada", {"age": 37})
    while system.engine.step():
        pass
    system.engine.save_checkpoint()
    told = _published(system)
    assert Position(int(system.journal.get(CHECKPOINT) or 0)) >= told
    system.reopen()
    assert system.engine.frontier >= told


def test_an_owner_that_lost_the_lease_halts_and_can_be_closed() -> None:
    system = MemorySystem(views=NAMES)
    system.graph.create_entity("Person", "ada", {"name": "Ada"})

    def lose(name: str) -> None:
        if name.startswith(("journal.", "index.upsert", "checkpoint", "frontier")):
            raise LeaseLostError("another process has taken over")

    system.hook = lose
    system.sync.start()
    with pytest.raises(LeaseLostError):
        system.sync.wait(system.graph.feed.head(), LONG_S)
    assert isinstance(system.sync.failure, LeaseLostError)
    system.sync.stop()
    assert system.journal.letter_count() == 0, "it is no fault of the key"


def test_what_a_lost_part_of_the_log_has_changed_is_waited_for() -> None:
    system = MemorySystem(views=NAMES)
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    reflected = system.engine.frontier
    first = system.graph.create_entity("Person", "bob", {"name": "Bob"})
    position = system.graph.create_entity("Person", "cay", {"name": "Cay"})  # the last entry is never trimmed
    assert system.graph.feed.trim(Retention(kept_bytes=0, limit_bytes=0)) > 0
    system.engine.step()
    assert (system.engine.consumed, system.engine.frontier) == (position, reflected)
    system.engine.save_checkpoint()
    system.reopen()  # the checkpoint is past the gap; what is not known to be in the index is remembered
    assert system.engine.frontier == _published(system) == reflected
    while system.stamp("bob") is None:
        assert system.engine.frontier < first
        assert system.engine.step()
    system.settle()
    system.engine.save_checkpoint()
    assert system.engine.frontier == _published(system) == position


def test_a_key_that_is_changed_while_it_fails_for_good_is_no_dead_letter() -> None:
    system = MemorySystem(views=NAMES)
    system.graph.create_entity("Person", "ada", {"name": "poison"})
    changed: list[Position] = []

    def poison(name: str) -> None:
        if name == "embed.before" and not changed:
            changed.append(system.graph.update_entity("ada", {"name": "Ada"}))
            system.engine.intake()
            raise PoisonEventError("the model chokes")

    system.hook = poison
    system.engine.step()
    assert system.engine.frontier < changed[0]
    system.settle()
    assert system.journal.letter_count() == 0
    assert system.stamp("ada") is not None
    assert system.engine.frontier == changed[0]


def test_a_mark_that_comes_while_its_key_fails_for_good_survives() -> None:
    system = MemorySystem(views=NAMES)
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    asked: list[str] = []

    def poison(name: str) -> None:
        if name == "embed.before" and not asked:
            asked.append(name)
            system.engine.mark([entity_key("ada")], reason="asked for", force=True)
            raise PoisonEventError("the model chokes")

    system.hook = poison
    system.engine.step()
    assert [(item.key, item.force) for item in system.journal.work(None, 10)] == [(entity_key("ada"), True)]
    system.reopen()
    system.settle()
    assert system.journal.letter_count() == 0
    assert system.stamp("ada") is not None


def test_a_change_in_the_middle_of_a_write_is_not_passed_by_the_checkpoint() -> None:
    system = MemorySystem(views=NAMES)
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    system.engine.mark([entity_key("ada")], reason="asked for", force=True)
    changed: list[Position] = []

    def change(name: str) -> None:
        if name == "index.upsert.after" and not changed:
            changed.append(system.graph.update_entity("ada", {"name": "Augusta"}))
            system.engine.intake()

    system.hook = change
    system.engine.step()
    assert system.engine.consumed == changed[0]
    system.engine.save_checkpoint()
    assert system.engine.checkpoint < changed[0], "the work item is gone, so only the log remembers the change"
    system.reopen()
    system.settle()
    assert system.audit().is_consistent
