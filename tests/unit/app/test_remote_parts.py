"""What stands in for the owner elsewhere: parts, the frontier, standing by, and an index behind the lease."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.adapters.indexes.memory import MemoryIndex
from slipstream.adapters.indexes.memory_lease import LeaseRoom, MemoryLease
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.adapters.wrappers.fenced import FencedIndex, FencedSyncView
from slipstream.app.remote.following import FollowedRecipes
from slipstream.app.remote.frontier import PublishedFrontier
from slipstream.app.remote.parts import remote_part
from slipstream.app.remote.standby import Standby
from slipstream.audit.repair import Repairer
from slipstream.domain.errors import LeaseLostError, UnavailableError, UnsupportedError
from slipstream.domain.journal_names import FRONTIER
from slipstream.domain.keys import entity_key
from slipstream.domain.models import Space
from slipstream.domain.positions import POSITION_MAX, Position
from slipstream.domain.stamps import Deletion
from slipstream.engine.runner import Sync
from slipstream.ports.sync_view import EntitySync, SyncState
from slipstream.quality.runs import Quality
from slipstream.recipes.declaration import ModelIdentity, RecipeDeclaration
from slipstream.recipes.generations import Generations, Phase, save_generations
from slipstream.recipes.in_force import RecipePair, Recipes
from slipstream.recipes.view_recipe import ViewRecipe
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.records import SPACE, make_record
from slipstream.testkit.system import MemorySystem
from slipstream.views.declaration import View
from slipstream.views.viewset import ViewSet

LONG_S = 20.0


class Asked:
    """A caller that notes what it is to ask."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[object, ...], dict[str, object]]] = []

    def call(self, name: str, *args: object, **kwargs: object) -> Any:
        self.calls.append((name, args, kwargs))
        return name


# ---------------------------------------------------------------------- parts


def test_methods_and_values_of_the_table_are_asked() -> None:
    asked = Asked()
    repairer = remote_part(Repairer, asked, "repairer")  # type: ignore[arg-type]
    assert repairer.plan(7, ["stale"]) == "repairer.plan"  # type: ignore[comparison-overlap]
    assert repairer.unfinished == "repairer.unfinished"  # type: ignore[comparison-overlap]
    sync = remote_part(Sync, asked, "sync")  # type: ignore[arg-type]
    sync.engine.intake_stage.progress()
    assert asked.calls == [
        ("repairer.plan", (7, ["stale"]), {}),
        ("repairer.unfinished", (), {}),
        ("sync.engine.intake_stage.progress", (), {}),
    ]


def test_what_is_answered_here_is_not_asked() -> None:
    asked, own = Asked(), SimpleNamespace(trend=lambda: ["a run"], gate="the gate", run=None)
    quality = remote_part(Quality, asked, "quality", own, ("trend", "gate"))  # type: ignore[arg-type]
    assert quality.trend() == ["a run"]  # type: ignore[comparison-overlap]
    assert quality.gate == "the gate"  # type: ignore[comparison-overlap]
    assert quality.run() == "quality.run"  # type: ignore[comparison-overlap]
    assert [name for name, _, _ in asked.calls] == ["quality.run"]


@pytest.mark.parametrize("name", ["swap_recipes", "engine", "start_engine"])
def test_anything_else_is_refused_by_name(name: str) -> None:
    part = remote_part(Repairer, Asked(), "repairer")  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match=rf"repairer\.{name} is for the process that runs the engine"):
        getattr(part, name)
    assert not hasattr(part, "__deepcopy__")


# ---------------------------------------------------------------------- the frontier


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[list[SqliteStore]]:
    stores = [SqliteStore(tmp_path / "index.db", shared=True) for _ in range(2)]
    assert stores[0].lease.acquire(0)
    yield stores
    for store in stores:
        store.close()


def test_the_frontier_is_what_the_owner_has_published(stores: list[SqliteStore]) -> None:
    owner, guest = stores
    frontier = PublishedFrontier(guest.journal, guest.watch)
    assert frontier.now() == 0
    assert not frontier.wait(Position(7), 0)
    with owner.journal.transaction():
        owner.journal.set(FRONTIER, "7")
        assert not frontier.wait(Position(7), 0), "it is not committed"
    assert frontier.now() == 7
    assert frontier.wait(Position(7), 0)
    assert not frontier.wait(Position(8), 0.05)


def test_a_waiter_is_woken_by_the_commit(stores: list[SqliteStore]) -> None:
    owner, guest = stores
    frontier = PublishedFrontier(guest.journal, guest.watch)
    with ThreadPoolExecutor(3) as pool:
        waits = [
            pool.submit(frontier.wait, Position(number), timeout_s) for number, timeout_s in ((3, None), (5, LONG_S))
        ]
        for number in range(1, 6):
            owner.journal.set(FRONTIER, str(number))
        assert [done.result(LONG_S) for done in waits] == [True, True]


# ---------------------------------------------------------------------- recipes


def test_a_guest_follows_the_recipes_that_the_owner_puts_in_force(stores: list[SqliteStore]) -> None:
    owner, guest = stores
    first = RecipeDeclaration(routes={"default": "m"}, models={"m": ModelIdentity("1", 3)})
    second = replace(first, views=(View("Person", template="{{ name }}"),))
    save_generations(owner.journal, Generations(live=first))
    made: list[Generations] = []

    def ready(generations: Generations) -> RecipePair:
        made.append(generations)
        return RecipePair(ViewRecipe(ViewSet(generations.live.views), MemorySystem().service, generations.live))

    followed = FollowedRecipes(guest.journal, Recipes(ready(Generations(live=first)).live), ready)
    assert not followed.refresh()
    save_generations(owner.journal, Generations(live=second, other=first, phase=Phase.RETIRED, number=2))
    assert followed.refresh()
    assert not followed.refresh()
    assert followed.recipes.pair.live.declaration == second
    assert [generations.live for generations in made] == [first, second]


# ---------------------------------------------------------------------- standing by


@pytest.fixture
def leases() -> Callable[[], MemoryLease]:
    room = LeaseRoom(time.monotonic)
    return lambda: MemoryLease(room)


def test_who_stands_by_takes_over_when_the_owner_ends(leases: Callable[[], MemoryLease]) -> None:
    owner, other = leases(), leases()
    assert owner.acquire(0)
    taken = threading.Event()
    standby = Standby(other, taken.set)
    standby.start()
    standby.start()
    assert not taken.is_set()
    owner.release()
    assert taken.wait(LONG_S)
    assert other.held
    standby.stop()
    assert other.held, "what was taken over is not given back by waiting no more"


def test_who_stands_by_no_more_takes_nothing(leases: Callable[[], MemoryLease]) -> None:
    owner, other = leases(), leases()
    assert owner.acquire(0)
    taken = threading.Event()
    standby = Standby(other, taken.set)
    standby.start()
    standby.stop()
    owner.release()
    assert not taken.is_set()
    assert not other.held


def test_a_take_over_that_hangs_is_not_waited_for_and_gives_itself_up(leases: Callable[[], MemoryLease]) -> None:
    begun, answered, given_up = threading.Event(), threading.Event(), threading.Event()

    def take_over() -> None:
        begun.set()
        assert answered.wait(LONG_S)

    standby = Standby(leases(), take_over, given_up.set)
    standby.start()
    assert begun.wait(LONG_S)
    standby.stop(0.01)
    assert not given_up.is_set()
    answered.set()
    assert given_up.wait(LONG_S)


def test_a_take_over_that_fails_lets_the_next_one_try(
    leases: Callable[[], MemoryLease], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipstream.app.remote.standby._PAUSE_S", 0.01)
    lease, tried = leases(), threading.Semaphore(0)
    failures: list[Exception] = [UnavailableError("the model is down")]

    def take_over() -> None:
        tried.release()
        if failures:
            raise failures.pop()

    standby = Standby(lease, take_over)
    standby.start()
    for _ in range(2):
        assert tried.acquire(timeout=LONG_S)
    standby.stop()
    assert lease.held
    assert standby.failure is None


# ---------------------------------------------------------------------- an index behind the lease


def test_an_index_of_another_store_is_written_only_while_the_lease_is_held(
    leases: Callable[[], MemoryLease],
) -> None:
    lease, inner = leases(), MemoryIndex()
    index, record, key = FencedIndex(inner, lease.renew), make_record("ada"), entity_key("ada")
    writes: Sequence[Callable[[], object]] = [
        lambda: index.upsert([record]),
        lambda: index.restamp([record.stamp]),
        lambda: index.delete([Deletion(key, Position(9))]),
        lambda: index.vacuum(POSITION_MAX),
    ]
    for write in writes:
        with pytest.raises(LeaseLostError):
            write()
    assert inner.scan(None, 10) == []
    assert lease.acquire(0)
    for write in writes[:2]:
        write()
    assert list(index.scan(None, 10)) == [record.stamp]
    assert index.stamps([key])[key].records == (record.stamp,)
    assert key in index.vectors([key], SPACE)
    assert index.buried(Position(0), None, 1) == []
    assert index.capabilities == inner.capabilities
    lease.release()
    with pytest.raises(LeaseLostError):
        writes[2]()
    assert list(index.scan(None, 10)) == [record.stamp]
    index.close()
    with pytest.raises(UnavailableError):
        index.vectors([key], Space("m", "1", 3))


def test_the_sync_view_is_written_only_while_the_lease_is_held(leases: Callable[[], MemoryLease]) -> None:
    lease, graph = leases(), MemoryGraph(ManualClock())
    with graph.transaction() as tx:
        tx.create_entity("Person", "ada", {})
    view = FencedSyncView(graph.sync_view, lease.renew)
    row = SyncState("ada", "Person", EntitySync.PENDING)
    writes: Sequence[Callable[[], object]] = [
        lambda: view.put([row]),
        lambda: view.mark_verified(datetime(2026, 1, 1, tzinfo=UTC)),
        lambda: view.prune(10),
        lambda: view.remove(["ada"]),
    ]
    for write in writes:
        with pytest.raises(LeaseLostError):
            write()
    assert view.counts() == {}
    assert lease.acquire(0)
    for write in writes[:3]:
        write()
    assert view.read(["ada"]) == {"ada": row}
    assert list(view.find(EntitySync.PENDING, 1)) == [row]
    writes[3]()
    assert view.counts() == {}
