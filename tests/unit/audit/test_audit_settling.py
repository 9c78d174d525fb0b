"""Which keys an audit may judge: those that the index reflects as of what was read, whoever else lags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from slipstream.adapters.indexes.memory import MemoryIndex
from slipstream.adapters.wrappers.scoped import scoped
from slipstream.audit.auditor import Auditor
from slipstream.audit.comparing import PATIENCE_S
from slipstream.domain.digests import target_content
from slipstream.domain.errors import PoisonEventError
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.positions import Position
from slipstream.engine.settings import SyncSettings
from slipstream.testkit.embedders import HashEmbedder
from slipstream.testkit.system import MemorySystem

ADA, BAD, EVE = (entity_key(name) for name in ("ada", "bad", "eve"))


class Failing(HashEmbedder):
    """Fails on one text for as long as it is told to."""

    fails = True

    def embed(self, texts):  # type: ignore[no-untyped-def]
        if self.fails and any("poison" in text for text in texts):
            raise ValueError("can not embed this")
        return super().embed(texts)


@dataclass(slots=True)
class Waiting:
    """Settles by `work`, then says which keys are still lagging; notes how patient it was asked to be."""

    system: MemorySystem
    work: Callable[[], object]
    patience_s: list[float] = field(default_factory=list)

    def __call__(
        self, position: Position, keys: Sequence[RecordKey], patience_s: float
    ) -> Sequence[RecordKey] | None:
        self.patience_s.append(patience_s)
        self.work()
        return self.system.engine.state.lagging(position, keys)


@pytest.fixture
def system() -> MemorySystem:
    embedder = Failing(dimension=16)
    system = MemorySystem(embedders=[embedder], settings=SyncSettings(attempts_max=50))
    for key in (ADA, EVE):
        system.graph.create_entity("Person", key.id, {"name": key.id})
    system.settle()
    system.graph.create_entity("Person", "bad", {"name": "poison"})
    work(system)
    assert system.sync.status().retrying == 1
    return system


def work(system: MemorySystem) -> None:
    while system.engine.step():
        pass


def auditor(system: MemorySystem, settle: Waiting) -> Auditor:
    index = scoped(system.index, system.engine.recipes.hides)
    return Auditor(system.graph, index, system.engine.recipe, system.clock, settle=settle)


def lagging(system: MemorySystem, *keys: RecordKey) -> list[RecordKey]:
    return list(system.engine.state.lagging(system.graph.feed.head(), keys))


def test_one_that_waits_for_its_retry_holds_the_frontier_and_nobody_else(system: MemorySystem) -> None:
    assert system.engine.frontier < system.graph.feed.head()
    assert lagging(system, ADA, BAD, EVE) == [BAD]
    system.graph.update_entity("ada", {"name": "Ada"})
    assert lagging(system, ADA, BAD, EVE) == [ADA, BAD, EVE]  # the log has not been read: of none it can be said
    system.engine.intake()
    assert lagging(system, ADA, BAD, EVE) == [ADA, BAD]
    work(system)
    assert lagging(system, ADA, BAD, EVE) == [BAD]


def test_what_is_dirtied_behind_the_position_does_not_lag_at_it(system: MemorySystem) -> None:
    before = system.graph.feed.head()
    system.graph.update_entity("ada", {"name": "Ada"})
    system.engine.intake()
    assert system.engine.state.lagging(before, [ADA]) == []
    assert lagging(system, ADA) == [ADA]


def test_a_dead_letter_does_not_lag() -> None:
    system = MemorySystem(embedders=[Failing(dimension=16)], settings=SyncSettings(attempts_max=1))
    system.graph.create_entity("Person", "bad", {"name": "poison"})
    system.settle()
    assert system.sync.status().dead_letters == 1
    report = auditor(system, Waiting(system, lambda: None)).audit()
    assert (report.divergences["missing"], report.owed) == ([BAD], [])


def test_what_lags_is_told_apart_from_what_has_diverged(system: MemorySystem) -> None:
    system.graph.update_entity("ada", {"name": "Ada"})
    index = system.index
    assert isinstance(index, MemoryIndex)
    del index._records[EVE]
    report = auditor(system, Waiting(system, lambda: work(system))).audit()
    assert report.owed == [BAD]
    assert {name: keys for name, keys in report.divergences.items() if keys} == {"missing": [EVE]}
    assert (report.expected, report.fresh, report.verdict) == (2, 1, "divergent")  # what is owed is in no figure
    assert report.coverage["Person"].counts == {"missing": 1, "owed": 1}


def test_two_looks_without_the_engine_in_between_prove_nothing(system: MemorySystem) -> None:
    system.graph.update_entity("ada", {"name": "Ada"})
    system.engine.intake()
    waiting = Waiting(system, lambda: None)  # patience has ended each time
    report = auditor(system, waiting).audit()
    assert sorted(report.owed) == [ADA, BAD]
    assert (report.owed_by_lane, report.summary()["owed"]) == ({"live": 2}, {"live": 2})
    assert not report.is_divergent
    assert (report.verdict, report.is_consistent, bool(report.owed)) == ("consistent", True, True)
    assert (report.expected, report.consistency) == (1, 1.0)
    assert report.notes == []


def test_patience_shrinks_each_time_it_was_in_vain(system: MemorySystem) -> None:
    for number in range(40):
        system.graph.create_entity("Person", f"p{number:02}", {"name": "poison"})
    waiting = Waiting(system, lambda: work(system))
    report = auditor(system, waiting).audit(pace=_Pages(4))
    assert len(report.owed) == 41
    assert waiting.patience_s[:3] == [PATIENCE_S, PATIENCE_S / 4, PATIENCE_S / 16]
    assert sum(waiting.patience_s) < 1.5 * PATIENCE_S


@dataclass(frozen=True, slots=True)
class _Pages:
    page: int

    def rest(self) -> None:
        pass


def test_behind_an_engine_that_stands_what_lags_counts_as_divergent(system: MemorySystem) -> None:
    class Standing(Waiting):
        def __call__(self, position: Position, keys: Sequence[RecordKey], patience_s: float) -> None:
            del position, keys, patience_s

    report = auditor(system, Standing(system, lambda: None)).audit()
    assert (report.divergences["missing"], report.owed) == ([BAD], [])
    (note,) = report.notes
    assert "not at work" in note


def test_a_key_that_never_holds_still_is_named_and_leaves_the_audit_undecided(system: MemorySystem) -> None:
    system.graph.delete_entity("bad")
    number = 0

    def change() -> None:
        """Let the index be ahead of what the audit has read, every time."""
        nonlocal number
        number += 1
        system.graph.update_entity("ada", {"name": f"Ada {number}"})
        work(system)

    system.graph.update_entity("ada", {"name": "Ada"})
    report = auditor(system, Waiting(system, change)).audit()
    assert (report.unsettled, report.unsettled_keys, report.owed) == (1, [ADA], [])
    assert (report.verdict, report.is_consistent) == ("undecided", False)
    assert report.expected == report.fresh == 1  # it is in no figure
    assert report.summary()["consistent"] is False
    assert [(f.kind, f.key, f.type) for f in report.findings()] == [("unsettled", "e:ada", "Person")]


def test_an_unrenderable_key_that_is_pending_is_not_judged_either(system: MemorySystem) -> None:
    recipe = system.engine.recipe

    class Choking:
        hops, covers_relationships = recipe.hops, recipe.covers_relationships

        def target(self, state):  # type: ignore[no-untyped-def]
            if state.entity.id == "bad":
                raise PoisonEventError("no text")
            return recipe.target(state)

        def content(self, state):  # type: ignore[no-untyped-def]
            return target_content(self.target(state))  # type: ignore[no-untyped-call]

    index = scoped(system.index, system.engine.recipes.hides)
    settle = Waiting(system, lambda: None)
    report = Auditor(system.graph, index, Choking(), system.clock, settle=settle).audit()
    assert (report.unrenderable, report.owed) == ([], [BAD])
