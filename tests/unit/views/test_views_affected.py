"""What a change dirties: never too little, and nothing where it makes no difference."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from slipstream.domain.entities import Direction
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.domain.keys import entity_key, relationship_key
from slipstream.views.declaration import Affected, Fanout, Via, View
from slipstream.views.viewset import ViewSet

NOTHING = Affected()
ADA = Affected(frozenset((entity_key("ada"),)))
KNOWS = relationship_key("KNOWS:ada:bob")
BASE: dict[str, Any] = {"name": "Ada", "age": 36, "city": "London", "score": 0.5, "tags": ["x"], "numbers": [1]}


def updated(changes: dict[str, Any], type_name: str = "Person", base: dict[str, Any] | None = None) -> PKGEvent:
    old = BASE if base is None else base
    new = {name: value for name, value in {**old, **changes}.items() if value is not None}
    return event(PKGEventType.ENTITY_UPDATED, type_name, old, new)


def event(
    kind: PKGEventType,
    type_name: str = "Person",
    old: dict[str, Any] | None = None,
    new: dict[str, Any] | None = None,
) -> PKGEvent:
    return PKGEvent(
        event_id="e-1",
        event_type=kind,
        entity_id="ada",
        entity_type=type_name,
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        old_data=old,
        new_data=new,
        schema_version=1,
    )


def related(
    kind: PKGEventType,
    old: dict[str, Any] | None = None,
    new: dict[str, Any] | None = None,
    *,
    types: tuple[str | None, str | None] = ("Person", "Person"),
) -> PKGEvent:
    return PKGEvent(
        event_id="e-2",
        event_type=kind,
        entity_id=KNOWS.id,
        entity_type="KNOWS",
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        old_data=old,
        new_data=new,
        schema_version=1,
        source_id="ada",
        source_type=types[0],
        target_id="bob",
        target_type=types[1],
    )


def dirtied(template: str | None, change: dict[str, Any], **view: Any) -> Affected:
    return ViewSet([View("Person", template, **view)]).affected(updated(change))


# ------------------------------------------------------------------ an entity's own properties


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"age": 37}, NOTHING),
        ({"score": 0.6}, NOTHING),
        ({"numbers": [2]}, NOTHING),
        ({"age": None}, NOTHING),
        ({}, NOTHING),
        ({"name": "Augusta"}, ADA),
        ({"name": None}, ADA),
        ({"city": "Paris"}, ADA),
        ({"city": None}, ADA),
        ({"new": "text"}, ADA),
        ({"new": 5}, NOTHING),
        ({"tags": ["x", "y"]}, ADA),
        ({"tags": [1]}, ADA),
        ({"numbers": [1, "x"]}, ADA),
        ({"age": "thirty"}, ADA),
        ({"city": 7}, ADA),
        ({"source_document_id": "doc"}, ADA),
        ({"extraction_confidence": 0.5}, ADA),
    ],
)
def test_default_view(change: dict[str, Any], expected: Affected) -> None:
    assert ViewSet().affected(updated(change)) == expected
    assert dirtied(None, change) == expected


@pytest.mark.parametrize("head", ["name", "description"])
def test_the_head_of_the_default_text_counts_even_when_it_is_no_text(head: str) -> None:
    assert ViewSet().affected(updated({head: 2}, base={head: 1})) == ADA
    assert ViewSet().affected(updated({head: {"a": 1}}, base={})) == ADA


TEMPLATES = [
    ("{{ name }}", "name"),
    ("{{ missing }}", "missing"),
    ("{% if secret %}x{% endif %}", "secret"),
    ("{% if 1 == 2 %}{{ never }}{% endif %}", "never"),
    ("{% if a is defined %}{% elif b %}{% else %}{{ c }}{% endif %}", "a b c"),
    ("{{ a if b else c }}", "a b c"),
    ("{{ a and b or not c }}", "a b c"),
    ("{{ a ~ b }}{{ [c, d]|join }}", "a b c d"),
    ("{{ a + b - c }}{{ -d }}", "a b c d"),
    ("{{ a|default(b) }}{{ c|replace(d, e) }}", "a b c d e"),
    ("{{ a|truncate(length=b) }}", "a b"),
    ("{{ a is divisibleby b }}{{ c in d }}", "a b c d"),
    ("{{ a[b] }}{{ c[d:e] }}", "a b c d e"),
    ("{{ address.city }}{{ people[0].name }}{{ map['key'] }}", "address people map"),
    ("{% for t in tags %}{{ t }}{% endfor %}", "tags"),
    ("{% for t in tags if t == wanted %}{% else %}{{ none_left }}{% endfor %}", "tags wanted none_left"),
    ("{% for t in tags %}{{ loop.index }}{{ loop.previtem }}{% endfor %}", "tags"),
    ("{{ loop.index }}", "loop"),
    ("{{ loop }}{% for t in tags %}{{ loop.first }}{% endfor %}", "loop tags"),
    # names that are hidden inside of a loop, and read outside of it
    ("{% for name in tags %}{{ name }}{% endfor %}", "tags"),
    ("{% for name in tags %}{{ name }}{% endfor %}{{ name }}", "tags name"),
    ("{{ name }}{% for name in tags %}{{ name }}{% endfor %}", "tags name"),
    ("{% for name in name %}{{ name }}{% endfor %}", "name"),
    ("{% for name in tags %}{% else %}{{ name }}{% endfor %}", "tags name"),
    ("{% for name in tags if name %}{% endfor %}", "tags"),
    ("{% for a, b in pairs %}{{ a }}{{ b }}{% endfor %}{{ b }}", "pairs b"),
    ("{% for a in tags %}{% for b in a %}{{ b }}{{ c }}{% endfor %}{{ b }}{% endfor %}", "tags c b"),
    ("{{ id }}{{ type }}", ""),
    ("{{ true }}{{ none }}{{ 5 }}{# {{ comment }} #}{% raw %}{{ raw }}{% endraw %}", ""),
]


@pytest.mark.parametrize(("template", "names"), TEMPLATES)
def test_a_template_depends_on_what_it_reads(template: str, names: str) -> None:
    for name in names.split():
        assert dirtied(template, {name: "new"}) == ADA, name
        assert dirtied(template, {name: "new", "unrelated": 1}) == ADA, name
    for name in ({"name", "city", "unrelated", "t", "a", "comment", "raw"} | {"loop"}) - set(names.split()):
        assert dirtied(template, {name: "new"}) == NOTHING, name


def test_the_names_of_what_is_given_are_no_properties() -> None:
    assert dirtied("{{ id }}{{ type }}", {"type": "x"}) == NOTHING
    assert (
        dirtied(
            "{{ employer[0].name }}",
            {"employer": "x", "age": 1},
            via={"employer": Via("WORKS_AT", properties=("name",))},
        )
        == NOTHING
    )


@pytest.mark.parametrize(
    "template", ["{{ properties }}", "{{ properties.name }}", "{% for p in properties %}{{ p }}{% endfor %}"]
)
def test_all_properties_mean_everything(template: str) -> None:
    assert dirtied(template, {"whatever": 1}) == ADA


def test_metadata_and_provenance_are_stamped_so_they_count() -> None:
    assert dirtied("{{ name }}", {"age": 37}, metadata=("age",)) == ADA
    assert dirtied("{{ name }}", {"source_document_id": "x"}) == ADA
    assert dirtied("{{ name }}", {"extraction_confidence": 0.1}) == ADA


@pytest.mark.parametrize("name", ["timestamp", "duration", "temporal_type", "event_sequence", "causal_chain"])
def test_time_counts_where_it_is_embedded(name: str) -> None:
    assert ViewSet().affected(updated({name: 5}, "Event")) == ADA
    assert ViewSet([View("Event", temporal=False)]).affected(updated({name: 5}, "Event")) == NOTHING
    assert dirtied("{{ name }}", {name: 5}) == NOTHING
    assert dirtied("{{ name }}", {name: 5}, temporal=True) == ADA


@pytest.mark.parametrize(
    ("old", "new"),
    [(1, True), (True, 1), (0.0, -0.0), (1, 1.0), ([True], [1]), ({"a": 1}, {"a": 1.0}), ([], None), ("", None)],
)
def test_values_that_python_calls_equal_are_told_apart(old: Any, new: Any) -> None:
    if new is not None:
        assert old == new
    assert ViewSet([View("Person", "{{ x }}")]).affected(updated({"x": new}, base={"x": old})) == ADA


@pytest.mark.parametrize("kind", [PKGEventType.ENTITY_CREATED, PKGEventType.ENTITY_DELETED])
def test_creation_and_deletion_dirty_the_entity_alone(kind: PKGEventType) -> None:
    views = ViewSet([View("Person", "{{ e }}{% for e in e %}{{ e.name }}{% endfor %}", via={"e": Via("KNOWS")})])
    assert views.affected(event(kind)) == ADA
    assert views.affected(event(kind, "Unheard")) == ADA


def test_a_schema_evolution_dirties_nothing() -> None:
    assert ViewSet().affected(event(PKGEventType.SCHEMA_EVOLVED)) == NOTHING


# ------------------------------------------------------------------ neighbours

LOOK = ViewSet(
    [
        View("Person", "{{ name }}{% for k in known %}{{ k.name }}{% endfor %}", via={"known": Via("KNOWS")}),
        View("Robot", "{{ by[0].city }}", via={"by": Via("KNOWS", Direction.IN, ("city",))}),
        View("Group", "{{ both[0].name }}", via={"both": Via("KNOWS", Direction.BOTH, ("name",))}),
        View("LIKES", "{{ source.name }} likes {{ target }}", is_relationship=True),
        View("OWNS", "{{ source['name'] }} owns {{ target.id }}", is_relationship=True),
    ]
)


def test_a_neighbours_property_reaches_those_who_show_it() -> None:
    views = ViewSet(LOOK.views[:3])
    assert views.affected(updated({"name": "Augusta"}, "Thing")) == Affected(
        ADA.keys,
        (
            Fanout("ada", "KNOWS", Direction.IN, frozenset(("Person",))),
            Fanout("ada", "KNOWS", Direction.BOTH, frozenset(("Group",))),
        ),
    )
    assert views.affected(updated({"city": "Paris"}, "Person")) == Affected(
        frozenset(), (Fanout("ada", "KNOWS", Direction.OUT, frozenset(("Robot",))),)
    )
    assert views.affected(updated({"age": 37}, "Thing")) == NOTHING


def test_two_types_that_look_the_same_way_are_one_lookup() -> None:
    vias = {"known": Via("KNOWS")}
    views = ViewSet([View("A", "{{ known }}", via=vias), View("B", "{{ known }}", via=vias)])
    assert views.affected(updated({"name": "x"}, "C")).fanouts == (
        Fanout("ada", "KNOWS", Direction.IN, frozenset(("A", "B"))),
    )


def test_an_endpoints_property_reaches_the_relationship_records() -> None:
    likes_source = Fanout("ada", "LIKES", Direction.OUT, relationships=True)
    likes_target = Fanout("ada", "LIKES", Direction.IN, relationships=True)
    owns_source = Fanout("ada", "OWNS", Direction.OUT, relationships=True)
    views = ViewSet(LOOK.views[3:])
    assert views.affected(updated({"name": "x"})) == Affected(ADA.keys, (likes_source, likes_target, owns_source))
    assert views.affected(updated({"age": 37})) == Affected(frozenset(), (likes_target,))
    assert ViewSet(LOOK.views[4:]).affected(updated({"age": 37})) == NOTHING
    assert ViewSet(LOOK.views[4:]).affected(updated({"name": "x"})).fanouts == (owns_source,)


@pytest.mark.parametrize(("old", "new"), [(None, BASE), (BASE, None), (None, None)])
def test_an_unknown_change_is_a_change_of_everything(old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
    unknown = event(PKGEventType.ENTITY_UPDATED, "Person", old, new)
    assert ViewSet().affected(unknown) == ADA
    affected = LOOK.affected(unknown)
    assert affected.keys == ADA.keys
    assert {(f.relationship_type, f.direction, f.types) for f in affected.fanouts} == {
        ("KNOWS", Direction.IN, frozenset(("Person",))),
        ("KNOWS", Direction.OUT, frozenset(("Robot",))),
        ("KNOWS", Direction.BOTH, frozenset(("Group",))),
        ("LIKES", Direction.OUT, None),
        ("LIKES", Direction.IN, None),
        ("OWNS", Direction.OUT, None),
    }


# ------------------------------------------------------------------ relationships


@pytest.mark.parametrize(
    "kind",
    [PKGEventType.RELATIONSHIP_CREATED, PKGEventType.RELATIONSHIP_UPDATED, PKGEventType.RELATIONSHIP_DELETED],
)
@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (("Person", "Person"), ["ada"]),
        (("Robot", "Robot"), ["bob"]),
        (("Group", "Group"), ["ada", "bob"]),
        (("Person", "Robot"), ["ada", "bob"]),
        (("Robot", "Person"), []),
        (("Thing", "Thing"), []),
        ((None, None), ["ada", "bob"]),
    ],
)
def test_a_relationship_dirties_the_ends_that_look_across_it(
    kind: PKGEventType, types: tuple[str | None, str | None], expected: list[str]
) -> None:
    affected = LOOK.affected(related(kind, {}, {"since": 1}, types=types))
    assert affected == Affected(frozenset(entity_key(end) for end in expected))
    assert ViewSet().affected(related(kind, {}, {"since": 1}, types=types)) == NOTHING


def test_a_relationship_record_depends_on_what_its_view_reads() -> None:
    view = View("KNOWS", "{{ source.name }} {{ how }} {{ type }}", metadata=("since",), is_relationship=True)
    views = ViewSet([view])
    mine = Affected(frozenset((KNOWS,)))
    updated_, created, deleted = (
        PKGEventType.RELATIONSHIP_UPDATED,
        PKGEventType.RELATIONSHIP_CREATED,
        PKGEventType.RELATIONSHIP_DELETED,
    )
    assert views.affected(related(updated_, {"how": "a"}, {"how": "b"})) == mine
    assert views.affected(related(updated_, {"since": 1}, {"since": 2})) == mine
    assert views.affected(related(updated_, {}, {"source_document_id": "doc"})) == mine
    assert views.affected(related(updated_, {"x": 1}, {"x": 2})) == NOTHING
    assert views.affected(related(updated_, {"source": "a"}, {"source": "b"})) == NOTHING
    assert views.affected(related(updated_, None, {"x": 2})) == mine
    assert views.affected(related(created, None, {})) == mine
    assert views.affected(related(deleted, {}, None)) == mine


def test_a_relationship_type_called_event_has_no_time() -> None:
    views = ViewSet([View("KNOWS", "{{ how }}", is_relationship=True)])
    timed = ViewSet([View("Event", "{{ how }}", is_relationship=True)])
    change = related(PKGEventType.RELATIONSHIP_UPDATED, {"timestamp": 1}, {"timestamp": 2})
    assert views.affected(change) == NOTHING
    assert timed.affected(change.model_copy(update={"entity_type": "Event"})) == NOTHING


def test_types_reached_by_a_rescan() -> None:
    reached = frozenset(("Org", "Person", "Robot", "Group", "LIKES", "OWNS"))
    assert LOOK.types_reached_by(frozenset(("Org",))) == reached
    assert LOOK.types_reached_by(None) is None
    assert ViewSet().types_reached_by(frozenset(("Org",))) == frozenset(("Org",))


def test_asking_for_an_undeclared_type_changes_nothing() -> None:
    views = ViewSet([View("Person", "{{ e }}", via={"e": Via("KNOWS")})])
    before = views.hops()
    views.view_for("Thing")
    views.affected(updated({"name": "x"}, "Other"))
    assert views.hops() == before == {"Person": (Via("KNOWS").hop,)}
    with pytest.raises(TypeError):
        before["Thing"] = ()  # type: ignore[index]
