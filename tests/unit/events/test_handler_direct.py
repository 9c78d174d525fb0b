"""The handler beside an engine: what can wait is kept durably, in bounded pages, and only recipes in force write."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from slipstream.app.composition import OnOtherRecipe
from slipstream.domain.errors import UnavailableError
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion
from slipstream.domain.work import Lane
from slipstream.engine.settings import SyncSettings
from slipstream.events.handler import PKGSyncHandler
from slipstream.events.queue import RETRIES_TOPIC
from slipstream.recipes.generations import Phase
from slipstream.recipes.in_force import RecipePair
from slipstream.testkit.embedders import HashEmbedder
from slipstream.testkit.system import MemorySystem
from slipstream.views.declaration import Via, View

OLD, NEW = "old", "new"
PEOPLE = 20
UNHURRIED = SyncSettings(batch_min=1)
SHOWING = View("Person", "{{ name }} of {{ of|map(attribute='name')|join(', ') }}", {"of": Via("WORKS_AT")})


class SizedEmbedder(HashEmbedder):
    """Notes how many texts each call has."""

    def __init__(self) -> None:
        super().__init__(dimension=16)
        self.sizes: list[int] = []

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed, and note."""
        self.sizes.append(len(texts))
        return super().embed(texts)


class Interrupting:
    """A failpoint hook that does something once, when an embedding is about to be computed."""

    def __init__(self) -> None:
        self.action: list[Callable[[], None]] = []

    def __call__(self, name: str) -> None:
        """Do it, at the first embedding."""
        if name == "embed.before" and self.action:
            self.action.pop()()


def _last_event(system: MemorySystem, position: Position) -> PKGEvent:
    (entry,) = system.graph.feed.read(Position(position - 1), 1)
    assert isinstance(entry, PKGEvent)
    return entry


def _migrating(new: HashEmbedder, hook: Interrupting | None = None) -> MemorySystem:
    system = MemorySystem(
        embedders=(HashEmbedder(dimension=16, id=OLD), new),
        on_other_recipe=OnOtherRecipe.KEEP,
        hook=hook or Interrupting(),
    )
    for number in range(3):
        system.graph.create_entity("Person", f"p{number}", {"name": f"name {number}"})
    system.settle()
    system.migrations.start(system.migrations.candidate(default=NEW))
    system.settle()
    assert system.migrations.status().phase is Phase.BUILT
    return system


def _models(system: MemorySystem, entity_id: str) -> dict[str, Position]:
    key = entity_key(entity_id)
    return {stamp.space.model_id: stamp.position for stamp in system.index.stamps([key])[key].records}


def test_a_next_model_that_is_down_delays_nothing_but_its_own_vectors() -> None:
    new = HashEmbedder(dimension=32, id=NEW)
    system = _migrating(new)
    new.fail_with = UnavailableError("the next model is down")
    position = system.graph.update_entity("p1", {"name": "changed"})
    assert system.handler.handle_event(_last_event(system, position))
    assert _models(system, "p1")[OLD] == position
    assert _models(system, "p1")[NEW] < position
    assert system.queue.depth(RETRIES_TOPIC) == 0
    (owed,) = system.journal.work(None, 10, Lane.MIGRATION)
    assert owed.key == entity_key("p1")
    assert entity_key("p1") in system.engine.state.owed, "a cut-over must wait for it"
    system.reopen()  # nothing but what is durable
    new.fail_with = None
    system.settle()
    assert _models(system, "p1")[NEW] == position
    assert system.journal.work_count() == 0
    assert system.migrations.audit().is_consistent
    assert system.audit().is_consistent


def test_nothing_is_written_by_recipes_that_are_not_in_force_any_more() -> None:
    hook = Interrupting()
    system = _migrating(HashEmbedder(dimension=32, id=NEW), hook)

    def replace_the_live_generation() -> None:
        system.migrations.cut_over(patience_s=0.0)
        system.migrations.drop()
        system.settle()
        assert system.migrations.status().phase is Phase.ALONE

    event = _last_event(system, system.graph.update_entity("p0", {"name": "changed"}))
    system.settle()
    live = next(stamp for stamp in system.index.scan(None, 100) if stamp.space.model_id == OLD)
    system.index.delete([Deletion(live.key, live.position, live.space)])  # so that there is something to embed
    hook.action = [replace_the_live_generation]
    assert system.handler.handle_event(event)
    assert hook.action == []
    spaces = {stamp.space.model_id for stamp in system.index.scan(None, 100)}
    assert spaces == {NEW}, "a record in the generation that was swept would be there for ever"
    assert set(_models(system, "p0")) == {NEW}


def test_recipes_that_never_hold_still_are_a_retry() -> None:
    def swap() -> None:
        system.engine.recipes.swap(RecipePair(system.engine.recipes.pair.live))

    hook = Interrupting()
    system = MemorySystem(hook=hook)
    position = system.graph.create_entity("Person", "ada", {"name": "Ada"})
    hook.action = [swap] * 3
    assert not system.handler.handle_event(_last_event(system, position))
    assert system.queue.depth(RETRIES_TOPIC) == 1
    assert system.stamp("ada") is None
    system.clock.sleep(60)
    assert system.handler.deliver() == 1
    assert system.stamp("ada") is not None


def _hub(settings: SyncSettings = UNHURRIED, people: int = PEOPLE) -> tuple[MemorySystem, SizedEmbedder, PKGEvent]:
    embedder = SizedEmbedder()
    system = MemorySystem((SHOWING,), settings, embedders=(embedder,))
    with system.graph.transaction() as tx:
        tx.create_entity("Company", "acme", {"name": "Acme"})
        for number in range(people):
            tx.create_entity("Person", f"p{number}", {"name": f"name {number}"})
            tx.relate(f"p{number}", "WORKS_AT", "acme")
    system.settle()
    position = system.graph.update_entity("acme", {"name": "Acme Ltd"})
    embedder.sizes.clear()
    embedder.embedded.clear()
    return system, embedder, _last_event(system, position)


def test_a_fan_out_is_done_in_pages_and_its_rest_is_kept_for_the_engine() -> None:
    system, embedder, event = _hub(SyncSettings(batch_min=1, batch_max=3, fanout_live_max=8))
    assert system.handler.handle_event(event)
    assert embedder.sizes == [3, 3, 2]
    assert "Acme Ltd" in embedder.embedded, "its own record is never among the rest"
    assert system.journal.work_count(Lane.BACKFILL) == PEOPLE + 1 - 8
    system.reopen()
    system.settle()
    assert len(embedder.embedded) == PEOPLE + 1
    assert system.journal.work_count() == 0
    assert system.audit().is_consistent


def test_a_batch_of_events_is_bounded_as_well() -> None:
    system, embedder, event = _hub(SyncSettings(batch_min=1, batch_max=3, fanout_live_max=8))
    assert system.handler.handle_events([event, event]) == 2
    assert embedder.sizes == [3, 3, 2]
    assert system.journal.work_count(Lane.BACKFILL) == PEOPLE + 1 - 8


def test_without_an_engine_nobody_else_would_do_it_so_all_of_it_is_done_in_pages() -> None:
    system, embedder, event = _hub(people=1_100)
    recipes = system.engine.recipes
    handler = PKGSyncHandler(system.service, system.store, system.queue, graph=system.graph, views=recipes)
    assert handler.handle_event(event)
    assert embedder.sizes == [1_000, 101]
    assert system.journal.work_count() == 0
    system.follow()
    assert system.audit().is_consistent
