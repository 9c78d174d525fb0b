"""Views in a configuration file: what is wrong is named, with what was probably meant."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from slipstream.app.config import TEMPLATE, parse_config
from slipstream.domain.entities import Direction
from slipstream.domain.errors import InvalidInputError
from slipstream.views.config import parse_views
from slipstream.views.declaration import Chain, Via, View
from slipstream.views.viewset import ViewSet


def parsed(text: str) -> tuple[View, ...]:
    tables: dict[str, Any] = tomllib.loads(text)
    return ViewSet(parse_views(tables.get("views", {}), tables.get("relationship_views", {}))).views


def test_everything_that_can_be_said() -> None:
    assert parsed(
        """
        [views.Person]
        template = "{{ name }}{% for e in employer %}{{ e.city }}{% endfor %}"
        model = "m"
        metadata = ["age"]
        temporal = true
        [views.Person.via.employer]
        relationship = "WORKS_AT"
        direction = "both"
        properties = ["name", "city"]
        limit = 3
        [views.Org]
        [relationship_views.KNOWS]
        template = "{{ source.name }}"
        model = "n"
        metadata = ["since"]
        """
    ) == (
        View(
            "Person",
            "{{ name }}{% for e in employer %}{{ e.city }}{% endfor %}",
            {"employer": Via("WORKS_AT", Direction.BOTH, ("name", "city"), 3)},
            "m",
            ("age",),
            temporal=True,
        ),
        View("Org"),
        View("KNOWS", "{{ source.name }}", model="n", metadata=("since",), is_relationship=True),
    )


def test_chains_have_defaults_too() -> None:
    whole = "relationship = 'FOLLOWS'\ndirection = 'in'\ndepth = 2\nlimit = 4\nproperties = ['name', 'timestamp']"
    (view,) = parsed(f"[views.Event]\ncauses.relationship = 'CAUSED_BY'\n[views.Event.sequence]\n{whole}")
    assert view.causes == Chain("CAUSED_BY", Direction.OUT, 3, ("name",), 10)
    assert view.sequence == Chain("FOLLOWS", Direction.IN, 2, ("name", "timestamp"), 4)


def test_a_step_to_the_neighbours_has_defaults() -> None:
    [view] = parsed('[views.P]\ntemplate = "{{ e }}"\nvia.e.relationship = "R"')
    assert view.via == {"e": Via("R", Direction.OUT, ("name",), 10)}


VIA = 'template = "{{ e }}"\n[views.P.via.e]\nrelationship = "R"\n'
WRONG = [
    ("views.P = 5", "views.P", "is int, not a table"),
    ("views.P = []", "views.P", "is list, not a table"),
    ("[views.P]\ntemplat = ''", "views.P.templat", "did you mean 'template'?"),
    ("[views.P]\nzzz = ''", "views.P.zzz", "known are template, model, metadata, temporal, via"),
    ("[views.P]\ntemplate = 5", "views.P.template", "is int, not str"),
    ("[views.P]\ntemplate = '{{ x'", "views.P.template", "not a valid template"),
    ("[views.P]\nmodel = 5", "views.P.model", "is int, not str"),
    ("[views.P]\ntemporal = 'yes'", "views.P.temporal", "is str, not bool"),
    ("[views.P]\nmetadata = 'age'", "views.P.metadata", "not a list of property names"),
    ("[views.P]\nmetadata = ['']", "views.P.metadata", "not a list of property names"),
    ("[views.P]\nmetadata = [5]", "views.P.metadata", "not a list of property names"),
    ("[views.P]\nvia = 5", "views.P.via", "is int, not a table"),
    ("[views.P]\nvia.e = 5", "views.P.via.e", "is int, not a table"),
    ("[views.P]\nvia.e = {}", "views.P.via.e.relationship", "is required"),
    ("[views.P]\nvia.e.relationship = ''", "views.P.via.e.relationship", "is required"),
    ("[views.P]\nvia.e.relationship = 5", "views.P.via.e.relationship", "is int, not str"),
    ("[views.P]\nvia.e.relationship_type = 'R'", "views.P.via.e.relationship_type", "did you mean 'relationship'?"),
    ("[views.P]\n" + VIA + "limt = 5", "views.P.via.e.limt", "did you mean 'limit'?"),
    ("[views.P]\n" + VIA + "limit = 0", "views.P.via.e.limit", "is 0, not a whole number in 1..1000"),
    ("[views.P]\n" + VIA + "limit = 1001", "views.P.via.e.limit", "1..1000"),
    ("[views.P]\n" + VIA + "limit = 2.5", "views.P.via.e.limit", "is 2.5"),
    ("[views.P]\n" + VIA + "limit = true", "views.P.via.e.limit", "is True"),
    ("[views.P]\n" + VIA + "direction = 'outt'", "views.P.via.e.direction", "did you mean 'out'?"),
    ("[views.P]\n" + VIA + "direction = 'zzz'", "views.P.via.e.direction", "known are out, in, both"),
    ("[views.P]\n" + VIA + "direction = []", "views.P.via.e.direction", "known are out, in, both"),
    ("[views.P]\n" + VIA + "properties = 'name'", "views.P.via.e.properties", "not a list of property names"),
    ("[views.P]\nvia.e.relationship = 'R'", "views.P.via.e", "is never read by the template"),
    (
        "[views.P]\ntemplate = '{{ employers }}'\nvia.employer.relationship = 'R'",
        "views.P.via.employer",
        "it reads 'employers': did you mean that?",
    ),
    ("[views.P]\nvia.id.relationship = 'R'", "views.P.via.id", "can not be used in a template"),
    ("[views.P]\nvia.self.relationship = 'R'", "views.P.via.self", "can not be used in a template"),
    ("[views.P]\nvia.'my e'.relationship = 'R'", "views.P.via.my e", "can not be used in a template"),
    ("[views.P]\nvia._e.relationship = 'R'", "views.P.via._e", "can not be used in a template"),
    ("[views.P.causes]", "views.P.causes.relationship", "is required"),
    ("[views.P.causes]\nrelationship = 'R'\ndepth = 6", "views.P.causes.depth", "in 1..5"),
    ("[views.P.causes]\nrelationship = 'R'\ndepth = true", "views.P.causes.depth", "is True"),
    ("[views.P.causes]\nrelationship = 'R'\nproperties = []", "views.P.causes.properties", "needs a property"),
    ("[views.P.sequence]\nrelationship = 'R'\nlimit = 0", "views.P.sequence.limit", "in 1..1000"),
    ("[views.P.sequence]\nrelationship = 'R'\ndepht = 2", "views.P.sequence.depht", "did you mean 'depth'?"),
    ("[views.P]\ntemporal = false\ncauses.relationship = 'R'", "views.P.temporal", "a chain is a part of it"),
    ("[views.P]\ncauses = 3", "views.P.causes", "not a table"),
    ("[relationship_views.R]", "relationship_views.R.template", "is required for a relationship"),
    ("[relationship_views.R]\nvia = {}", "relationship_views.R.via", "is unknown"),
    ("[relationship_views.R]\ntemporal = true", "relationship_views.R.temporal", "is unknown"),
    ("[relationship_views.R]\ntemplate = '{{ x.y() }}'", "relationship_views.R.template", "call is not allowed"),
]


@pytest.mark.parametrize(("text", "field", "message"), WRONG)
def test_what_is_wrong_is_named(text: str, field: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(message)) as caught:
        parsed(text)
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")


@pytest.mark.parametrize(
    "template",
    [
        "{% for x in e %}{{ x.title }}{% endfor %}",
        "{% for x in e|sort(attribute='name') if x.title %}{% endfor %}",
        "{% for x in e %}{% if x.name %}{{ x.title|upper }}{% endif %}{% endfor %}",
        "{{ e[0].title }}",
        "{{ e[:2][0].title }}",
    ],
)
def test_a_neighbours_property_must_be_listed(template: str) -> None:
    with pytest.raises(InvalidInputError, match="lacks 'title', which the template reads") as caught:
        ViewSet([View("P", template, {"e": Via("R")})])
    assert caught.value.field == "views.P.via.e.properties"
    assert ViewSet([View("P", template, {"e": Via("R", properties=("name", "title"))})]).hops()


@pytest.mark.parametrize(
    "template",
    [
        "{% for x in e %}{{ x.id }}{{ x.type }}{{ x.via.since }}{{ x.name }}{{ x }}{% endfor %}",
        "{% for x in e %}{% for x in tags %}{{ x.title }}{% endfor %}{% endfor %}",
        "{% for x in tags %}{{ x.title }}{% endfor %}{{ e|length }}",
        "{{ e|map(attribute='name')|join }}{{ e|length }}",
    ],
)
def test_what_is_no_property_of_a_neighbour_need_not_be_listed(template: str) -> None:
    assert ViewSet([View("P", template, {"e": Via("R")})]).hops() == {"P": (Via("R").hop,)}


@pytest.mark.parametrize(
    ("view", "field"),
    [
        (View("P", "{{ e }}", {"e": Via("R", limit=0)}), "views.P.via.e.limit"),
        (View("P", "{{ e }}", {"e": Via("")}), "views.P.via.e.relationship"),
        (View("P", "{{ properties }}", {"properties": Via("R")}), "views.P.via.properties"),
        (View("P", via={"e": Via("R")}), "views.P.via.e"),
        (View("R", "{{ e }}", {"e": Via("R")}, is_relationship=True), "relationship_views.R.via"),
        (View("R", "{{ e }}", temporal=True, is_relationship=True), "relationship_views.R.temporal"),
        (View("R", is_relationship=True), "relationship_views.R.template"),
        (View("P", causes=Chain("R", depth=0)), "views.P.causes.depth"),
        (View("P", sequence=Chain("")), "views.P.sequence.relationship"),
        (View("R", "{{ e }}", causes=Chain("R"), is_relationship=True), "relationship_views.R.causes"),
    ],
)
def test_views_from_python_are_checked_alike(view: View, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        ViewSet([view])
    assert caught.value.field == field


def test_the_example_in_the_configuration_file_is_right() -> None:
    lines = TEMPLATE.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("# [views.Person]"))
    end = next(number for number in range(start, len(lines)) if not lines[number].strip())
    example = [re.sub(r"^# ", "", line) for line in lines[start:end]]
    text = "\n".join([*lines[:start], *example, *lines[end:]])
    config = parse_config(text)
    [view] = ViewSet(parse_views(config.views, config.relationship_views)).views
    assert view.type == "Person"
    assert view.template is not None
    assert view.via == {"employer": Via("WORKS_AT", Direction.OUT, ("name",), 3)}


@pytest.mark.parametrize("step", [Via, Chain])
@pytest.mark.parametrize("direction", list(Direction))
def test_python_takes_a_direction_by_its_name(step: type[Via | Chain], direction: Direction) -> None:
    taken = step("KNOWS", direction=direction.value, properties=["name", "title"])  # type: ignore[arg-type]
    assert taken == step("KNOWS", direction, properties=("name", "title"))
    assert taken.direction is direction
    assert taken.hop.direction is direction
    assert hash(taken) == hash(step("KNOWS", direction, properties=("name", "title")))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"direction": "bth"}, "direction: is 'bth'; did you mean 'both'?"),
        ({"direction": "Out"}, "direction: is 'Out'; did you mean 'out'?"),
        ({"direction": "sideways"}, "direction: is 'sideways'; known are out, in, both"),
        ({"direction": None}, "direction: is None; known are out, in, both"),
        ({"direction": ["x"]}, "direction: is ['x']; known are out, in, both"),
        ({"properties": "name"}, "properties: is 'name', not a list of property names"),
        ({"properties": ("name", 3)}, "properties: is ('name', 3), not a list of property names"),
        ({"properties": None}, "properties: is None, not a list of property names"),
    ],
)
@pytest.mark.parametrize("step", [Via, Chain])
def test_python_is_told_at_once_what_a_step_can_not_be(
    step: type[Via | Chain], wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        step("KNOWS", **wrong)
    assert str(caught.value) == said


def test_metadata_in_python_is_a_list_of_names() -> None:
    assert View("P", metadata=["country"]).metadata == ("country",)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="metadata: is 'country', not a list of property names"):
        View("P", metadata="country")  # type: ignore[arg-type]
