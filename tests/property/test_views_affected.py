"""Whatever mutation changes whatever rendering: the key was among those that the mutation's events affect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.domain.entities import Direction
from slipstream.domain.errors import AlreadyExistsError, InvalidInputError, NotFoundError, PoisonEventError
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import RecordKey, RelationshipRef
from slipstream.engine.planner import Planner
from slipstream.ports.graph import GraphTransaction
from slipstream.testkit.clock import ManualClock
from slipstream.views.declaration import Chain, Via, View
from slipstream.views.templates import Template
from slipstream.views.viewset import ViewSet
from tests.depth import examples

ENTITY_TYPES = ["A", "B", "Event"]
RELATIONSHIP_TYPES = ["R", "S"]
NAMES = ["name", "p", "q", "tags", "map", "timestamp", "extraction_confidence", "near", "source"]
IDS = ["x", "y", "z", "v", "w"]

OWN = [
    "{{ p }}",
    "{{ name }}{{ id }}{{ type }}",
    "{% if q %}{{ name }}{% else %}{{ tags|length }}{% endif %}",
    "{% for p in tags %}{{ p }}{{ q }}{% endfor %}",
    "{% for p in tags %}{{ p }}{% else %}{{ p }}{% endfor %}",
    "{% for t in tags if t != q %}{{ loop.index }}{{ t }}{% endfor %}",
    "{{ tags|join(p) }}",
    "{{ map.k }}{{ map[q] }}",
    "{{ p is defined }}{{ q is string }}",
    "{{ name|default(p) ~ q }}",
    "{{ properties.q }}",
    "{{ [p, q]|sort }}",  # fails on mixed types: a failing rendering is a state like any other
]
NEAR = [
    "{% for n in near %}{{ n }};{% endfor %}",
    "{{ near[0].id }}{{ near|length }}",
    "{% for near in near %}{{ near.via.p }}{% endfor %}",
    "{{ near|map(attribute='p')|join }}",
]
ENDS = [
    "{{ source.p }}{{ target['q'] }}",
    "{{ source }}",
    "{{ target.map.k }}{{ target.type }}",
    "{% for e in [source, target] %}{{ e.name }}{% endfor %}",
    "{{ source.id }}",
]

VALUES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(["", "a", "b", 0, 1, True, False, 0.0, -0.0, 1.0, 0.5, datetime(2026, 1, 1, tzinfo=UTC)]),
    st.lists(st.sampled_from(["a", 1, True, 1.0]), max_size=2),
    st.dictionaries(st.sampled_from(["k", "a"]), st.sampled_from(["a", 1, True]), max_size=2),
)
PROPERTIES = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4)
CHANGES = st.dictionaries(st.sampled_from(NAMES), st.one_of(st.none(), VALUES), min_size=1, max_size=2)
METADATA = st.lists(st.sampled_from(NAMES), max_size=1).map(tuple)
VIAS = st.builds(
    Via,
    st.sampled_from(RELATIONSHIP_TYPES),
    st.sampled_from(list(Direction)),
    st.lists(st.sampled_from(["name", "p", "q"]), max_size=2, unique=True).map(tuple),
    st.integers(1, 2),
)


CHAINS = st.builds(
    Chain,
    st.sampled_from(RELATIONSHIP_TYPES),
    st.sampled_from(list(Direction)),
    st.integers(1, 4),
    st.lists(st.sampled_from(["name", "p", "q"]), min_size=1, max_size=2, unique=True).map(tuple),
    st.integers(1, 4),
)


@st.composite
def entity_views(draw: st.DrawFn, type_name: str) -> View:
    """A view with own properties, neighbours, or the default text."""
    temporal, metadata = draw(st.sampled_from([None, True, False])), draw(METADATA)
    own = draw(st.lists(st.sampled_from(OWN), max_size=3))
    near = draw(st.lists(st.sampled_from(NEAR), max_size=2))
    template = "|".join([*own, *near]) if own or near else None
    via = {"near": draw(VIAS)} if near else {}
    causes, sequence = draw(st.none() | CHAINS), draw(st.none() | CHAINS)
    if causes or sequence:
        temporal = temporal or None
    return View(type_name, template, via, metadata=metadata, temporal=temporal, causes=causes, sequence=sequence)


@st.composite
def relationship_views(draw: st.DrawFn, type_name: str) -> View:
    """A view of relationships with their properties and endpoints."""
    parts = draw(st.lists(st.sampled_from([*OWN, *ENDS]), min_size=1, max_size=3))
    return View(type_name, "|".join(parts), metadata=draw(METADATA), is_relationship=True)


@st.composite
def view_sets(draw: st.DrawFn) -> ViewSet:
    """Views for some of the types."""
    views = [draw(entity_views(name)) for name in draw(st.sets(st.sampled_from(ENTITY_TYPES)))]
    views += [draw(relationship_views(name)) for name in draw(st.sets(st.sampled_from(RELATIONSHIP_TYPES)))]
    return ViewSet(views)


Step = Callable[[GraphTransaction], object]
REFS = st.builds(
    RelationshipRef,
    st.sampled_from(RELATIONSHIP_TYPES),
    st.sampled_from(IDS),
    st.sampled_from(IDS),
    st.sampled_from(["", "2"]),
)


def relate(ref: RelationshipRef, properties: Mapping[str, Any]) -> Step:
    """Create a relationship, or give it exactly these properties."""
    return lambda tx: tx.relate(
        ref.source_id, ref.type, ref.target_id, properties, discriminator=ref.discriminator, replace=True
    )


ENTITY = st.builds(
    lambda kind, entity_id, properties: lambda tx: tx.upsert_entity(kind, entity_id, properties),
    st.sampled_from(ENTITY_TYPES),
    st.sampled_from(IDS),
    PROPERTIES,
)
RELATE = st.builds(relate, REFS, PROPERTIES)
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(lambda i, changes: lambda tx: tx.update_entity(i, changes), st.sampled_from(IDS), CHANGES),
    st.builds(lambda ref, changes: lambda tx: tx.update_relationship(ref.id, changes), REFS, CHANGES),
    ENTITY,
    RELATE,
    st.builds(lambda i: lambda tx: tx.delete_entity(i), st.sampled_from(IDS)),
    st.builds(lambda ref: lambda tx: tx.unrelate(ref.id), REFS),
)


def apply(graph: MemoryGraph, steps: list[Step]) -> None:
    """Run the steps in one transaction; those that do not fit the graph are left out."""
    with graph.transaction() as tx:
        for step in steps:
            try:
                step(tx)
            except (NotFoundError, AlreadyExistsError):
                continue


def renderings(graph: MemoryGraph, views: ViewSet) -> dict[RecordKey, str]:
    """Everything that stands for every key; as `repr`, since True == 1."""
    keys = [item.key for item in graph.scan(None, 1_000)]
    found: dict[RecordKey, str] = {}
    for key, state in graph.read(keys, views.hops()).states.items():
        try:
            rendering = views.render(state)
        except PoisonEventError as error:
            found[key] = f"failed: {error}"
            continue
        if rendering is not None:
            found[key] = repr(rendering)
    return found


@settings(max_examples=examples(200, 4_000))
@given(
    views=view_sets(),
    start=st.lists(ENTITY, min_size=2, max_size=4),
    links=st.lists(RELATE, min_size=1, max_size=5),
    steps=st.lists(STEPS, min_size=1, max_size=2),
)
def test_no_changed_rendering_is_missed(
    views: ViewSet, start: list[Step], links: list[Step], steps: list[Step]
) -> None:
    graph = MemoryGraph(ManualClock())
    apply(graph, [*start, *links])
    planner, head, before = Planner(graph, views, 1_000), graph.feed.head(), renderings(graph, views)
    apply(graph, steps)
    after = renderings(graph, views)
    events = [entry for entry in graph.feed.read(head, 1_000) if isinstance(entry, PKGEvent)]
    affected = {key for entry in events for key in planner.keys_of(entry)}
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    event(f"changed: {min(len(changed), 3)}, of {'both' if any(key.kind == 'r' for key in changed) else 'entities'}")
    assert changed <= affected, [(key, before.get(key), after.get(key)) for key in changed - affected]


BLOCKS = [
    "{% for p in tags %}A{% endfor %}B",
    "{% for q in p if q %}A{% else %}B{% endfor %}",
    "{% if q %}A{% else %}B{% endif %}",
]
SCOPES = st.recursive(
    st.sampled_from(["{{ p }}", "{{ q }}", "{{ loop.index }}", "{{ name ~ tags }}", "{{ properties.q }}"]),
    lambda inner: st.builds(
        lambda block, one, two: block.replace("A", one).replace("B", two), st.sampled_from(BLOCKS), inner, inner
    ),
    max_leaves=5,
)


@given(source=st.lists(SCOPES, min_size=1, max_size=3).map("|".join), properties=PROPERTIES)
def test_a_template_sees_every_name_that_it_uses(source: str, properties: dict[str, Any]) -> None:
    try:
        template = Template(source, field="template")
    except InvalidInputError as error:
        assume("nested more than" not in str(error))
        raise
    given_all = {**properties, "id": "i", "type": "t", "properties": properties}
    only_read = {name: value for name, value in given_all.items() if name in template.reads.names}
    assert template.render(only_read) == template.render(given_all)
