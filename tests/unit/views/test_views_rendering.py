"""Which text, stamp and context stand for an entity or a relationship."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from slipstream.domain.entities import (
    Direction,
    Entity,
    EntityState,
    Neighbour,
    Properties,
    Relationship,
    RelationshipState,
)
from slipstream.domain.errors import InvalidInputError, PoisonEventError
from slipstream.domain.keys import RelationshipRef
from slipstream.views.declaration import Rendering, Via, View
from slipstream.views.templates import Template
from slipstream.views.values import TEXT_SIZE_MAX, format_value
from slipstream.views.viewset import ViewSet

NINE = datetime(2026, 3, 1, 9, tzinfo=UTC)


def rendered(properties: Properties, view: View | None = None, type_name: str = "Person") -> Rendering:
    state = EntityState(Entity("ada", view.type if view else type_name, properties))
    rendering = ViewSet([view] if view else []).render(state)
    assert rendering is not None
    return rendering


def text(template: str, /, **properties: Any) -> str:
    return rendered(properties, View("Person", template)).text


# ------------------------------------------------------------------ the default view


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"name": "Ada", "description": "Mathematician"}, "Ada: Mathematician"),
        ({"name": "Ada"}, "Ada"),
        ({"description": "Mathematician"}, "Mathematician"),
        ({}, "ada"),
        ({"name": "", "description": ""}, "ada"),
        ({"name": " \n\t "}, "ada"),
        ({"name": 5}, "5"),
        ({"name": "Ada", "title": "Countess", "city": "London"}, "Ada. city: London. title: Countess"),
        ({"title": "Countess"}, "title: Countess"),
        ({"name": "Ada", "tags": ["maths", "poetry"]}, "Ada. tags: maths, poetry"),
        ({"name": "Ada", "tags": [1, "x", None]}, "Ada. tags: 1, x,"),
        ({"name": "Ada", "tags": [], "numbers": [1, 2]}, "Ada"),
        ({"name": "Ada", "age": 36, "score": 0.5, "alive": False, "born": NINE, "map": {"a": "b"}}, "Ada"),
        ({"name": "Ada", "empty": ""}, "Ada"),
        ({"name": "A\n\n  d\u2003a"}, "A d a"),
        ({"name": "Ada", "source_document_id": "doc-1", "extraction_confidence": "high"}, "Ada"),
        ({"name": "Ada", "id": "other"}, "Ada. id: other"),
    ],
)
def test_default_text(properties: Properties, expected: str) -> None:
    assert rendered(properties).text == expected


def test_default_text_does_not_depend_on_the_order_of_properties() -> None:
    properties = {"b": "2", "name": "Ada", "a": "1", "description": "x"}
    assert rendered(properties).text == rendered(dict(reversed(properties.items()))).text == "Ada: x. a: 1. b: 2"


def test_times_and_causes_are_no_text_of_an_event_but_of_anything_else() -> None:
    properties: dict[str, Any] = {"name": "Launch", "temporal_type": "instant", "causal_chain": ["rain"]}
    assert rendered(properties, type_name="Event").text == "Launch"
    assert rendered(properties).text == "Launch. causal_chain: rain. temporal_type: instant"
    assert rendered(properties, View("Event", temporal=False)).text == rendered(properties).text
    assert rendered(properties, View("Person", temporal=True)).text == "Launch"


def test_text_is_cut_to_the_limit() -> None:
    cut = rendered({"name": "word " * 1_000_000}).text
    assert TEXT_SIZE_MAX - 1 <= len(cut) <= TEXT_SIZE_MAX
    assert cut == cut.strip()
    assert len(text("{{ name }}", name="x" * 1_000_000)) == TEXT_SIZE_MAX
    assert len(rendered({"tags": ["x" * 1_000] * 1_000}).text) == TEXT_SIZE_MAX


# ------------------------------------------------------------------ values


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e22, "1e+22"),
        (NINE, "2026-03-01T09:00:00+00:00"),
        (datetime(2026, 3, 1, 9), "2026-03-01T09:00:00+00:00"),  # noqa: DTZ001 - a foreign value may be naive
        (datetime(2026, 3, 1, 11, tzinfo=timezone(timedelta(hours=2))), "2026-03-01T09:00:00+00:00"),
        ({"b": 1, "a": [True, "x"]}, "a: true, x; b: 1"),
        ([["a", "b"], [], {"k": None}], "a, b, , k: "),
        ([], ""),
    ],
)
def test_values_are_written_one_way(value: object, expected: str) -> None:
    assert format_value(value) == expected
    assert text("{{ value }}|", value=value) == f"{expected}|"
    assert text("{{ value|string }}|", value=value) == f"{expected}|"
    assert text("{{ value ~ '|' }}", value=value) == f"{expected}|"
    assert text("{{ [value]|join }}|", value=value) == f"{expected}|"


def test_maps_are_written_in_the_order_of_their_keys_everywhere() -> None:
    one: dict[str, Any] = {"b": 1, "a": {"d": 2, "c": 3}}
    two: dict[str, Any] = {"a": {"c": 3, "d": 2}, "b": 1}
    template = "{{ m }}|{{ [m] }}|{{ m|join('-') }}|{{ m|upper }}|{{ m|sort }}|{% for k in m %}{{ k }}{% endfor %}"
    assert (
        text(template, m=one)
        == text(template, m=two)
        == "a: c: 3; d: 2; b: 1|" * 2 + "a-b|A: C: 3; D: 2; B: 1|a, b|ab"
    )


# ------------------------------------------------------------------ templates


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ name }}, {{ id }}, {{ type }}", "Ada, ada, Person"),
        ("{{ missing }}{{ missing.deeper.still }}{{ missing[0] }}", "ada"),
        ("{{ missing|default('none') }} {{ name|d('none') }}", "none Ada"),
        ("{% if missing is defined %}a{% elif name %}b{% else %}c{% endif %}", "b"),
        ("{{ name if age > 30 else 'young' }}", "Ada"),
        ("{{ name[0] }}{{ name[-1] }}{{ name[1:] }}{{ name[9] }}", "Aada"),
        ("{{ tags[0] }} {{ tags|first }} {{ tags|last }} {{ tags|length }}", "x x y 2"),
        ("{{ address.city }} {{ address['city'] }} {{ address.zip.code }}", "London London 7"),
        ("{{ tags|map('upper') }} {{ tags|reverse }} {{ tags|select('eq', 'x') }}", "X, Y y, x x"),
        ("{{ people|map(attribute='name')|join('; ') }}", "Bob; Al"),
        ("{{ people|sort(attribute='name')|map(attribute='name') }}", "Al, Bob"),
        ("{{ people|selectattr('age', '>', 40)|map(attribute='name') }}", "Al"),
        ("{{ people|join(', ', attribute='age') }}", "30, 50"),
        ("{{ properties.name }} {{ properties['first name'] }}", "Ada Augusta"),
        ("{{ born.year }}-{{ born.month }} {{ born }}", "1815-12 1815-12-10T00:00:00+00:00"),
        (
            "{{ score|round(1) }} {{ score|round(1, 'floor') }} {{ age + 1 }} {{ age - 1 }} {{ -age }}",
            "0.7 0.6 37 35 -36",
        ),
        ("{% for t in tags %}{{ loop.index }}{{ t }}{{ loop.last }} {% endfor %}", "1xfalse 2ytrue"),
        ("{% for a in tags %}{% for b in tags %}{{ a }}{{ b }} {% endfor %}{% endfor %}", "xx xy yx yy"),
        (
            "{% for t in name %}[{{ t }}]{% endfor %}{% for t in missing %}{{ t }}{% else %}none{% endfor %}",
            "[Ada]none",
        ),
        ("{% for t in none %}{{ t }}{% else %}none{% endfor %}", "none"),
        ("{{ 'x' in tags }} {{ name|lower == 'ada' }} {{ name is string and age is number }}", "true true true"),
        (
            "{{ name|replace('A', 'I') }} {{ name|truncate(2, true, '', 0) }} {{ name|title }} {{ name|wordcount }}",
            "Ida Ad Ada 1",
        ),
        ("{# a comment #}{% raw %}{{ name }}{% endraw %}", "{{ name }}"),
        ("naïve {{ name }} 名前 🙂", "naïve Ada 名前 🙂"),
        ("", "ada"),
    ],
)
def test_templates(template: str, expected: str) -> None:
    properties: dict[str, Any] = {
        "name": "Ada",
        "first name": "Augusta",
        "age": 36,
        "score": 0.666,
        "tags": ["x", "y"],
        "born": datetime(1815, 12, 10, tzinfo=UTC),
        "address": {"city": "London", "zip": {"code": 7}},
        "people": [{"name": "Bob", "age": 30}, {"name": "Al", "age": 50}],
    }
    assert rendered(properties, View("Person", template)).text == expected


@pytest.mark.parametrize(
    "template",
    [
        "{{ m.items }}{{ m.keys }}{{ m.get }}",
        "{{ name.title }}{{ name.upper }}{{ name.format }}{{ name['format'] }}{{ 'x'.join }}",
        "{{ tags.index }}{{ tags.count }}{{ born.isoformat }}{{ born.tzinfo }}{{ born['now'] }}",
        "{% for t in tags %}{{ loop.cycle }}{{ loop.changed }}{{ loop['cycle'] }}{% endfor %}",
        "{{ tags|map(attribute='upper')|join }}{{ tags|map(attribute='format')|join }}",
    ],
)
def test_methods_are_not_there(template: str) -> None:
    assert text(template, name="Ada", tags=["x"], m={"k": 1}, born=NINE) == "ada"


def test_properties_named_like_methods_are_values() -> None:
    assert text("{{ m.items }} {{ m.keys }} {{ m['get'] }}", m={"items": 1, "keys": 2, "get": 3}) == "1 2 3"
    assert (
        text("{{ items }} {{ values }} {{ context }} {{ environment }}", items=1, values=2, context=3, environment=4)
        == "1 2 3 4"
    )


@pytest.mark.parametrize(
    "template",
    [
        "{{ tags|map('upper') }}",
        "{{ [tags|map('upper'), tags|reverse] }}",
        "{{ tags|select('string') ~ '' }}",
        "{{ tags|unique|string }}",
        "{{ (tags|reject('none'))[0] }}",
    ],
)
def test_no_generator_is_ever_written_out(template: str) -> None:
    written = text(template, tags=["x", "y"])
    assert "object" not in written
    assert "x" in written.lower()


@pytest.mark.parametrize(
    "template",
    [
        "{{ missing + 1 }}",
        "{{ name - 1 }}",
        "{{ age|sort|join + 1 }}",
        "{% if missing > 1 %}{% endif %}",
        "{{ name|abs }}",
    ],
)
def test_a_failing_template_names_the_entity(template: str) -> None:
    with pytest.raises(PoisonEventError, match=r"Person 'ada' can not be rendered by its view: \w+Error: "):
        text(template, name="Ada", age=3)


def test_a_default_text_that_can_not_be_written_names_the_entity() -> None:
    deep: list[Any] = ["x"]
    for _ in range(5_000):
        deep = [deep, "x"]
    with pytest.raises(PoisonEventError, match="Person 'ada' can not be rendered"):
        rendered({"deep": deep})
    with pytest.raises(PoisonEventError, match="Person 'ada' can not be rendered"):
        rendered({"name": 10**5_000})


# ------------------------------------------------------------------ neighbours and relationships


def state_with_neighbours(via: Via, *names: str) -> EntityState:
    neighbours = [
        Neighbour(
            Entity(f"o{number}", "Org", {"name": name, "secret": "s"}),
            Relationship(RelationshipRef(via.relationship_type, "ada", f"o{number}"), {"since": 1840 + number}),
        )
        for number, name in enumerate(names)
    ]
    return EntityState(Entity("ada", "Person", {"name": "Ada"}), {via.hop: neighbours})


def test_neighbours_have_id_type_named_properties_and_the_relationship() -> None:
    via = Via("WORKS_AT")
    views = ViewSet([View("Person", "{% for e in employer %}[{{ e }}]{% endfor %}", {"employer": via})])
    rendering = views.render(state_with_neighbours(via, "Acme", "Babbage"))
    assert rendering is not None
    assert rendering.text == (
        "[id: o0; name: Acme; type: Org; via: since: 1840][id: o1; name: Babbage; type: Org; via: since: 1841]"
    )


def test_neighbours_keep_their_order_and_may_lack_a_property() -> None:
    via = Via("WORKS_AT", Direction.BOTH, ("name", "city"), 2)
    template = (
        "{{ employer[0].name }} {{ employer[0].city|default('nowhere') }} {{ employer[0].city is defined }} "
        "{{ employer|length }} {{ employer[1].via.since }}"
    )
    views = ViewSet([View("Person", template, {"employer": via})])
    rendering = views.render(state_with_neighbours(via, "Zeta", "Acme"))
    assert rendering is not None
    assert rendering.text == "Zeta nowhere false 2 1841"
    assert views.hops() == {"Person": (via.hop,)}


def test_without_neighbours_the_name_is_an_empty_list() -> None:
    view = View(
        "Person", "{{ name }}{% for e in employer %} at {{ e.name }}{% endfor %}", {"employer": Via("WORKS_AT")}
    )
    assert rendered({"name": "Ada", "employer": "a property of that name"}, view).text == "Ada"


def test_a_relationship_sees_both_ends_whole_and_itself() -> None:
    state = RelationshipState(
        Relationship(RelationshipRef("KNOWS", "ada", "bob"), {"how": "school", "source": "hidden", "type": "hidden"}),
        Entity("ada", "Person", {"name": "Ada", "age": 36}),
        Entity("bob", "Robot", {"name": "Bob"}),
    )
    template = (
        "{{ source.name }} {{ source.age }} {{ type }} {{ target.name }} {{ target.type }}: "
        "{{ how }} {{ id }} {{ properties.source }}"
    )
    rendering = ViewSet([View("KNOWS", template, metadata=("how",), is_relationship=True)]).render(state)
    assert rendering is not None
    assert rendering.text == "Ada 36 KNOWS Bob Robot: school KNOWS:ada:bob hidden"
    assert rendering.metadata == {"how": "school"}
    assert rendering.temporal_context is None
    empty = ViewSet([View("KNOWS", "{{ nothing }}", is_relationship=True)]).render(state)
    assert empty is not None
    assert empty.text == "KNOWS:ada:bob"
    assert ViewSet().render(state) is None
    with pytest.raises(PoisonEventError, match="KNOWS 'KNOWS:ada:bob' can not be rendered"):
        ViewSet([View("KNOWS", "{{ how + 1 }}", is_relationship=True)]).render(state)


# ------------------------------------------------------------------ what else stands for a record


def test_metadata_keeps_scalars_and_writes_the_rest() -> None:
    view = View("Person", metadata=("age", "alive", "tags", "born", "missing", "map"))
    properties: dict[str, Any] = {
        "age": 36,
        "alive": False,
        "tags": ["a", "b"],
        "born": NINE,
        "map": {"b": 1, "a": 2},
        "other": 1,
    }
    assert rendered(properties, view).metadata == {
        "age": 36,
        "alive": False,
        "tags": "a, b",
        "born": "2026-03-01T09:00:00+00:00",
        "map": "a: 2; b: 1",
    }


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [(0.5, 0.5), (1, 1.0), (0, 0.0), (1.5, None), (-0.1, None), (float("nan"), None), (True, None), ("0.5", None)],
)
def test_provenance_is_taken_where_it_is_valid(confidence: Any, expected: float | None) -> None:
    rendering = rendered({"extraction_confidence": confidence, "source_document_id": "doc-1"})
    assert (rendering.extraction_confidence, rendering.source_document_id) == (expected, "doc-1")
    assert rendered({"source_document_id": 5}).source_document_id is None


def test_the_view_may_ask_for_a_model() -> None:
    assert rendered({}).model is None
    assert rendered({}, View("Person", model="other")).model == "other"


def test_the_template_version_tells_texts_apart_that_come_out_the_same() -> None:
    via = Via("WORKS_AT")
    views = [
        View("Person"),
        View("Person", "{{ name }}"),
        View("Person", "{{ name }}{{ employer|length }}", {"employer": via}),
        View("Person", "{{ name }}{{ employer|length }}", {"employer": Via("WORKS_AT", limit=3)}),
        View("Person", "{{ name }}{{ employer|length }}", {"employer": Via("WORKS_AT", Direction.IN)}),
    ]
    versions = [rendered({}, view).template_version for view in views]
    assert len(set(versions)) == len(views)
    assert versions == [rendered({"name": "x"}, view).template_version for view in views]


def test_two_views_of_one_type_are_refused_but_an_entity_and_a_relationship_may_share_a_name() -> None:
    with pytest.raises(InvalidInputError, match="has two views") as caught:
        ViewSet([View("Person"), View("Person", "{{ name }}")])
    assert caught.value.field == "views.Person"
    known = View("Knows", "{{ id }}", is_relationship=True)
    with pytest.raises(InvalidInputError) as caught:
        ViewSet([known, known])
    assert caught.value.field == "relationship_views.Knows"
    assert ViewSet([known, View("Knows")]).views == (known, View("Knows"))


def test_views_are_found_by_type() -> None:
    person, knows = View("Person", "{{ name }}"), View("KNOWS", "{{ id }}", is_relationship=True)
    views = ViewSet([person, knows])
    assert views.view_for("Person") is person
    assert views.view_for("Org") == View("Org")
    assert views.view_for("KNOWS", is_relationship=True) is knows
    assert views.view_for("Person", is_relationship=True) is None
    assert views.views == (person, knows)


PLAIN = (
    "{{ name }}",
    "{{name}}: {{ born }} .",
    "born\n{{ born }}\n\n{{ loop }}",
    "plain",
    "{{ name }}{% if born %} ({{ born }}){% endif %}{% if not_there %}x{% else %}y {{ name }}{% endif %}",
    "{% if name %}{{ name }}{% if born %}, {{ born|map(attribute='name')|join('; ') }}{% endif %}{% endif %}",
)


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"name": "Ada", "born": 1815},
        {"name": None, "born": 1.0},
        {"name": ["a", 2, None], "born": {"b": 1, "a": [True]}},
        {"name": datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "born": False},
        {"name": "long " * 20_000, "born": "cut off"},
        {"name": " " * 70_000, "born": "cut off"},
        {"name": "{{ born }}", "born": "\n\t x"},
        {"name": "", "born": [{"name": "a"}, {"name": None}, {}, {"name": ["b", 1.5]}]},
        {"name": "x", "born": [{"name": "a" * 50_000}, {"name": " " * 50_000}, {"name": "b"}]},
        {"name": "x", "born": [{"name": "a"}, "text", 3, None, ["name"]]},
        {"name": "x", "born": []},
    ],
)
@pytest.mark.parametrize("source", PLAIN)
def test_a_template_that_needs_no_jinja_says_the_same_with_it(source: str, properties: dict[str, Any]) -> None:
    plain, rest = Template(source, field="t"), Template(source + "{% if 0 %}{% endif %}", field="t")
    assert plain._plain is not None
    assert rest._plain is None
    assert plain.render(dict(properties)) == rest.render(dict(properties))


@pytest.mark.parametrize(
    "source",
    [
        "{{ name|upper }}",
        "{% if name is defined %}x{% endif %}",
        "{% if name %}a{% elif born %}b{% endif %}",
        "{{ born|map(attribute='a.b')|join }}",
        "{{ born|join(', ') }}",
        "{% for each in born %}{{ each }}{% endfor %}",
        "{{ name.first }}",
    ],
)
def test_what_does_more_is_left_to_jinja(source: str) -> None:
    assert Template(source, field="t")._plain is None
