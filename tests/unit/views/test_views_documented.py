"""docs/views.md: its examples run, its lists are complete, its limits are the real ones."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from slipstream.domain.entities import Entity, EntityState, Neighbour, Relationship, RelationshipState
from slipstream.domain.errors import InvalidInputError, PoisonEventError
from slipstream.domain.keys import RelationshipRef
from slipstream.views.checks import DEPTH_MAX as CHAIN_DEPTH_MAX
from slipstream.views.checks import LIMIT_MAX
from slipstream.views.config import parse_views
from slipstream.views.declaration import Chain, View, Words
from slipstream.views.sandbox import FILTERS, STEPS_MAX
from slipstream.views.templates import DEPTH_MAX, TEMPLATE_SIZE_MAX
from slipstream.views.temporal import TEMPORAL_PROPERTIES
from slipstream.views.values import TEXT_SIZE_MAX, WORKING_SIZE_MAX
from slipstream.views.viewset import ViewSet

PAGE = (Path(__file__).parents[3] / "docs" / "views.md").read_text(encoding="utf-8")
ADA = Entity("ada", "Person", {"name": "Ada", "country": "UK"})
ACME = Entity("acme", "Org", {"name": "Acme"})
WORKS = Relationship(RelationshipRef("WORKS_AT", "ada", "acme"), {"role": "analyst"})


def block(language: str, containing: str = "Person") -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    [wanted] = [text for text in found if containing in text]
    return str(wanted)


def section(title: str) -> str:
    return re.split(r"\n##+ ", PAGE.partition(f" {title}\n")[2])[0]


def from_toml() -> list[View]:
    tables = tomllib.loads(block("toml", "relationship_views"))
    return parse_views(tables["views"], tables["relationship_views"])


def from_python() -> list[View]:
    names: dict[str, Any] = {}
    exec(block("python"), names)  # noqa: S102 - the page is ours
    found: list[View] = names["views"]
    return found


def test_both_declarations_are_the_same() -> None:
    assert from_toml() == from_python()


def test_the_words_are_as_described() -> None:
    (view,) = parse_views(tomllib.loads(block("toml", "views.Person.words"))["views"], {})
    assert view.words == Words(name=("name",), aliases=("aliases", "aka"), keys=("email",), body=("bio", "motto"))


def test_the_chains_are_as_described() -> None:
    (view,) = parse_views(tomllib.loads(block("toml", "CAUSED_BY"))["views"], {})
    assert view.causes == Chain("CAUSED_BY", depth=3, properties=("name", "timestamp"), limit=10)
    assert view.sequence == Chain("FOLLOWS")
    (shown,) = re.findall(r"`(View\(\"Event\", .*)` *\.? ?Then", PAGE.replace("\n", " "))
    assert eval(shown, {"View": View, "Chain": Chain}) == View(  # noqa: S307  (the page is ours)
        "Event", causes=Chain("CAUSED_BY", depth=3), sequence=Chain("FOLLOWS")
    )
    assert f"1 to {CHAIN_DEPTH_MAX} steps" in PAGE


def test_the_examples_render() -> None:
    views = ViewSet(from_toml())
    [hop] = views.hops()["Person"]
    person = views.render(EntityState(ADA, {hop: [Neighbour(ACME, WORKS)]}))
    relationship = views.render(RelationshipState(WORKS, ADA, ACME))
    assert person is not None
    assert relationship is not None
    assert person.text == "Ada, of no known role. Works at Acme."
    assert (person.metadata, person.model) == ({"country": "UK"}, "minilm-l6-v2")
    assert relationship.text == "Ada works at Acme as analyst"


def test_the_quoted_error_is_what_is_said() -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_views({"Person": {"via": {"employer": {"relationship": "WORKS_AT", "limt": 3}}}}, {})
    assert f"`{caught.value}`" in PAGE


def test_every_filter_is_listed_and_no_other() -> None:
    [listed] = re.findall(r"Filters: `([^`]*)`", PAGE)
    assert set(listed.split()) == FILTERS


@pytest.mark.parametrize(
    "limit", [TEMPLATE_SIZE_MAX, DEPTH_MAX, TEXT_SIZE_MAX, STEPS_MAX, WORKING_SIZE_MAX, LIMIT_MAX]
)
def test_every_limit_is_listed(limit: int) -> None:
    assert f"{limit:,}" in section("Limits")


@pytest.mark.parametrize("name", TEMPORAL_PROPERTIES)
def test_every_temporal_property_is_listed(name: str) -> None:
    assert f"`{name}`" in section("Temporal context")
    assert f"`{name}`" in section("Dependencies")


SNIPPETS = re.findall(r"`((?:\{\{|\{%)[^`]*(?:\}\}|%\}))`", PAGE)


def test_every_snippet_is_found() -> None:
    assert len(SNIPPETS) >= 15


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_every_snippet_renders(snippet: str) -> None:
    properties: dict[str, Any] = {
        "name": "Ada", "first name": "A", "address": {"city": "London"}, "tags": ["a"], "rank": 5, "title": "Dr",
    }  # fmt: skip
    state = EntityState(Entity("ada", "Person", properties))
    views = ViewSet([View("Person", snippet)])
    if snippet == "{{ name - 1 }}":
        with pytest.raises(PoisonEventError, match="Person 'ada'"):
            views.render(state)
    else:
        assert views.render(state) is not None


@pytest.mark.parametrize("word", ["range(3)", "1 * 2", "1 / 2", "1 % 2", "name.upper()"])
def test_what_is_said_to_be_refused_is(word: str) -> None:
    with pytest.raises(InvalidInputError):
        ViewSet([View("Person", f"{{{{ {word} }}}}")])
