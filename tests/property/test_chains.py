"""Chains: whatever changes anywhere in one, those whose text holds it are found, and nobody else is embedded anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.domain.entities import Direction
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import RelationshipRef, entity_key
from slipstream.engine.planner import Planner
from slipstream.engine.settings import SyncSettings
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.embedders import NotingEmbedder
from slipstream.testkit.system import MemorySystem
from slipstream.views.declaration import Chain, View
from slipstream.views.viewset import ViewSet
from tests.depth import examples
from tests.property.test_views_affected import Step, apply, relate, renderings

IDS = [f"e{number}" for number in range(7)]
CHAINS = st.builds(
    Chain,
    st.just("CAUSED_BY"),
    st.sampled_from(list(Direction)),
    st.integers(1, 4),
    st.just(("name",)),
    st.sampled_from([2, 10]),
)
VIEWS = st.builds(
    lambda causes, sequence: View("Event", "{{ name }}", causes=causes, sequence=sequence),
    CHAINS,
    st.none() | CHAINS,
)
_pairs = st.tuples(st.sampled_from(IDS), st.sampled_from(IDS))


def _link(source: str, target: str, discriminator: str = "") -> Step:
    return relate(RelationshipRef("CAUSED_BY", source, target, discriminator), {})


def _unlink(source: str, target: str) -> Step:
    return lambda tx: tx.unrelate(RelationshipRef("CAUSED_BY", source, target, "").id)


STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(lambda i, n: lambda tx: tx.update_entity(i, {"name": n}), st.sampled_from(IDS), st.sampled_from("abc")),
    _pairs.map(lambda pair: _link(*pair)),
    _pairs.map(lambda pair: _unlink(*pair)),
    st.sampled_from(IDS).map(lambda i: lambda tx: tx.delete_entity(i)),
    st.builds(
        lambda kind, i: lambda tx: tx.upsert_entity(kind, i, {"name": i}),
        st.sampled_from(["Event", "Place"]),
        st.sampled_from(IDS),
    ),
)
TRANSACTIONS = st.lists(st.lists(STEPS, min_size=1, max_size=4), min_size=1, max_size=4)


def _filled(graph: MemoryGraph, links: Sequence[tuple[str, str]]) -> None:
    apply(graph, [lambda tx, i=i: tx.create_entity("Event", i, {"name": i}) for i in IDS])  # type: ignore[misc]
    apply(graph, [_link(source, target) for source, target in links])


@settings(max_examples=examples(200, 4_000))
@given(view=VIEWS, links=st.lists(_pairs, min_size=4, max_size=12), transactions=TRANSACTIONS)
def test_planned_late_over_a_graph_that_has_moved_on_no_effect_is_missed(
    view: View, links: list[tuple[str, str]], transactions: list[list[Step]]
) -> None:
    graph, views = MemoryGraph(ManualClock()), ViewSet([view])
    _filled(graph, links)
    planner, head, before = Planner(graph, views, 1_000), graph.feed.head(), renderings(graph, views)
    for steps in transactions:
        apply(graph, steps)
    after = renderings(graph, views)
    events = [entry for entry in graph.feed.read(head, 1_000) if isinstance(entry, PKGEvent)]
    affected = {key for entry in events for key in planner.keys_of(entry)}
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    own = {entry.key for entry in events if entry.event_type.is_entity}
    event(f"changed by others: {min(len(changed - own), 4)}")
    assert changed <= affected, [(key, before.get(key), after.get(key)) for key in changed - affected]


@settings(max_examples=examples(60, 1_200))
@given(
    view=VIEWS,
    links=st.lists(_pairs, min_size=4, max_size=12),
    transactions=TRANSACTIONS,
    fanout=st.sampled_from([1, 1_000]),
    eager=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_what_is_kept_up_incrementally_is_what_a_rebuild_makes(
    view: View, links: list[tuple[str, str]], transactions: list[list[Step]], fanout: int, eager: list[bool]
) -> None:
    settings = SyncSettings(fanout_live_max=fanout, batch_min=1, batch_max=2)
    system = MemorySystem(views=(view,), settings=settings)
    _filled(system.graph, links)
    system.settle()
    for steps, settles in zip(transactions, eager, strict=False):
        apply(system.graph, steps)
        if settles:
            system.settle()
        else:
            system.engine.step()
    system.settle()
    assert system.audit().is_consistent, system.audit().divergences
    kept = {stamp.key: stamp.fingerprint for stamp in system.index.scan(None, 1_000)}
    rebuilt = MemorySystem(views=(view,))
    rebuilt.graph = system.graph
    rebuilt.reopen()
    rebuilt.engine.request_full_scan()
    rebuilt.settle()
    assert {stamp.key: stamp.fingerprint for stamp in rebuilt.index.scan(None, 1_000)} == kept


# ---------------------------------------------------------------------- how much that costs


def _row(depth: int, **settings: Any) -> tuple[MemorySystem, NotingEmbedder]:
    """Six events, each caused by the one before it, and a cycle at the end."""
    embedder = NotingEmbedder()
    view = View("Event", "{{ name }}", causes=Chain("CAUSED_BY", depth=depth))
    system = MemorySystem(views=(view,), embedder=embedder, settings=SyncSettings(**settings))
    _filled(system.graph, [(f"e{n}", f"e{n - 1}") for n in range(1, 6)])
    apply(system.graph, [_link("e0", "e5")])
    system.settle()
    return system, embedder


def _records_embedded(system: MemorySystem) -> int:
    counters = system.engine.stats.counters
    return counters["embedded"] + counters["cached"]


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_a_changed_cause_embeds_exactly_its_effects_within_the_depth(depth: int) -> None:
    system, _ = _row(depth)
    before, old = _records_embedded(system), {s.key: s.fingerprint for s in system.index.scan(None, 100)}
    system.graph.update_entity("e0", {"name": "changed"})
    system.settle()
    changed = {s.key.id for s in system.index.scan(None, 100) if old[s.key] != s.fingerprint}
    assert changed == {"e0", *(f"e{n}" for n in range(1, depth + 1))}
    assert _records_embedded(system) - before == len(changed)


def test_what_no_chain_shows_embeds_nothing() -> None:
    system, _ = _row(3)
    before = _records_embedded(system)
    system.graph.update_entity("e0", {"phone": "123"})
    system.settle()
    assert _records_embedded(system) == before
    assert system.audit().is_consistent


def test_the_fan_out_is_bounded_and_what_is_past_it_waits_durably() -> None:
    view = View("Event", "{{ name }}", causes=Chain("CAUSED_BY", depth=2))
    system = MemorySystem(views=(view,), settings=SyncSettings(fanout_live_max=5))
    with system.graph.transaction() as tx:
        tx.create_entity("Event", "root", {"name": "root"})
        for n in range(30):
            tx.create_entity("Event", f"x{n:02}", {"name": f"x{n}"})
            tx.relate(f"x{n:02}", "CAUSED_BY", "root" if n < 3 else f"x{n % 3:02}")
    system.settle()
    system.graph.update_entity("root", {"name": "changed"})
    system.engine.intake()
    assert len(system.journal.work(None, 100)) == 25
    system.settle()
    assert system.audit().is_consistent


def test_the_causes_decide_the_vector() -> None:
    system, _ = _row(2)
    stamp = system.stamp("e2")
    assert stamp is not None
    target = system.engine.recipe.target(
        system.graph.read([entity_key("e2")], system.engine.recipe.hops()).states[entity_key("e2")]
    )
    assert target is not None
    assert target.request.temporal_context is not None
    assert target.request.temporal_context.causal_chain == ("e1", "e0")
