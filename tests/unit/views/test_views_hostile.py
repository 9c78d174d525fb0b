"""Templates that want more than text: refused when declared, or harmless when rendered."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import pytest

from slipstream.domain.entities import Entity, EntityState
from slipstream.domain.errors import InvalidInputError, PoisonEventError
from slipstream.views.declaration import Via, View
from slipstream.views.sandbox import STEPS_MAX
from slipstream.views.templates import TEMPLATE_SIZE_MAX
from slipstream.views.values import TEXT_SIZE_MAX
from slipstream.views.viewset import ViewSet


def text(template: str, /, **properties: Any) -> str:
    rendering = ViewSet([View("Person", template)]).render(EntityState(Entity("ada", "Person", properties)))
    assert rendering is not None
    return rendering.text


REFUSED = [
    # Python's internals
    ("{{ name.__class__ }}", "'__class__' is private"),
    ("{{ name['__class__'] }}", "'__class__' is private"),
    ("{{ missing.a.b._c }}", "'_c' is private"),
    ("{{ employer[0]['__init__'].x }}", "'__init__' is private"),
    ("{{ tags|map(attribute='__class__') }}", "'__class__' is private"),
    ("{{ tags|map(attribute='a.__class__') }}", "'__class__' is private"),
    ("{{ tags|sort(attribute='a, _b') }}", "'_b' is private"),
    ("{{ tags|sort(false, false, '__class__') }}", "'__class__' is private"),
    ("{{ tags|join(',', '__class__') }}", "'__class__' is private"),
    ("{{ tags|unique(false, '__class__') }}", "'__class__' is private"),
    ("{{ tags|selectattr('__class__') }}", "'__class__' is private"),
    ("{{ tags|map(attribute=name) }}", "must be a constant"),
    ("{{ tags|rejectattr(name) }}", "must be a constant"),
    ("{{ name|attr('__class__') }}", "filter 'attr' is not one of"),
    ("{{ tags|map('attr', '__class__') }}", "filter 'attr' is not one of"),
    ("{{ tags|map(name, '__class__') }}", "filter that is not a constant"),
    ("{{ tags|map(*tags) }}", "arguments with"),
    ("{{ tags|map(**address) }}", "arguments with"),
    ("{{ __builtins__ }}", "'__builtins__' is reserved"),
    ("{{ self }}", "'self' is reserved"),
    ("{{ self.blocks }}", "'self' is reserved"),
    ("{% for self in tags %}{% endfor %}", "'self' is reserved"),
    # calls
    ("{{ name.upper() }}", "call is not allowed"),
    ("{{ range(10) }}", "call is not allowed"),
    ("{% for i in range(10**9) %}x{% endfor %}", "not allowed"),
    ("{{ lipsum() }}{{ cycler() }}{{ namespace() }}", "call is not allowed"),
    ("{{ loop(tags) }}", "call is not allowed"),
    ("{{ '{0.__class__}'.format(name) }}", "call is not allowed"),
    ("{{ '%s'|format(name) }}", "filter 'format' is not one of"),
    ("{{ '%1000000000d' % 1 }}", "mod is not allowed"),
    # anything random, or out of the filter names of a plain Jinja
    ("{{ tags|random }}", "filter 'random' is not one of"),
    ("{{ tags|map('random') }}", "filter 'random' is not one of"),
    ("{{ tags|map('center', 1000000000) }}", "filter 'center' is not one of"),
    ("{{ name|indent(1000000000) }}", "filter 'indent' is not one of"),
    ("{{ name|safe }}{{ name|tojson }}", "filter 'safe' is not one of"),
    ("{{ tags|map('items of') }}", "filter 'items of' is not one of"),
    ("{{ name is callable }}", "test 'callable' is not one of"),
    ("{{ name is sameas name }}", "test 'sameas' is not one of"),
    ("{{ tags|select('callable') }}", "test 'callable' is not one of"),
    ("{{ tags|selectattr('name', 'sameas', 1) }}", "test 'sameas' is not one of"),
    ("{{ tags|select(name) }}", "test that is not a constant"),
    ("{{ name|nonsense }}", "filter 'nonsense' is not one of"),
    # blocks
    ("{% include 'x' %}", "include is not allowed"),
    ("{% import 'x' as y %}", "import is not allowed"),
    ("{% from 'x' import y %}", "fromimport is not allowed"),
    ("{% extends 'x' %}", "extends is not allowed"),
    ("{% block a %}{% endblock %}", "block is not allowed"),
    ("{% macro f() %}{% endmacro %}", "macro is not allowed"),
    ("{% macro f() %}{{ f() }}{% endmacro %}", "macro is not allowed"),
    ("{% call f() %}{% endcall %}", "call is not allowed"),
    ("{% set x = name %}", "set is not allowed"),
    ("{% set x %}{{ name }}{% endset %}", "set is not allowed"),
    ("{% set ns.x = name %}", "set is not allowed"),
    ("{% with x = name %}{% endwith %}", "with is not allowed"),
    ("{% filter upper %}{% endfilter %}", "filter is not allowed"),
    ("{% autoescape true %}{% endautoescape %}", "autoescape is not allowed"),
    ("{% do x %}", "unknown tag 'do'"),
    # size and time
    ("{{ name * 10**9 }}", "mul is not allowed"),
    ("{{ 10 ** 10 ** 10 }}", "pow is not allowed"),
    ("{{ 1 / 0 }}", "div is not allowed"),
    ("{{ [[tags, tags], [tags, tags]] }}", "a list inside a list"),
    ("{{ ((1, 2), 3) }}", "a list inside a list"),
    ("{{ {'a': 1} }}", "dict is not allowed"),
    ("{% for x in tags recursive %}{% endfor %}", "recursive"),
    ("{% for a in t %}{% for b in t %}{% for c in t %}{% endfor %}{% endfor %}{% endfor %}", "more than 2 deep"),
    ("{% for a in t %}{% for b in t if b %}{% else %}{% for c in t %}" + "{% endfor %}" * 3, "more than 2 deep"),
    ("x" * (TEMPLATE_SIZE_MAX + 1), "longer than 10000"),
    ("{{ " + "(" * 3_000 + "1" + ")" * 3_000 + " }}", "not a valid template"),
    ("{{ x" + ".a" * 4_000 + " }}", "nested more than 40 deep"),
    ("{% if x %}" * 50 + "{% endif %}" * 50, "nested more than 40 deep"),
    ("{{ " + " + ".join(["x"] * 2_000) + " }}", "nested more than 40 deep"),
    ("{{ " + "9" * 9_000 + " }}", "not a valid template"),
    # mistakes
    ("{{ name", "not a valid template: line 1"),
    ("\n\n{% if name %}", "not a valid template: line 3"),
    ("\n{% for x in tags %}\n{{ y|nope }}{% endfor %}", "line 3: filter 'nope'"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "message"), REFUSED, ids=range(len(REFUSED)))
def test_refused_when_declared(template: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message.replace("(", r"\(")) as caught:
        ViewSet([View("Person", template, {"employer": Via("WORKS_AT")})])
    assert caught.value.field == "views.Person.template"
    with pytest.raises(InvalidInputError) as caught:
        ViewSet([View("KNOWS", template, is_relationship=True)])
    assert caught.value.field == "relationship_views.KNOWS.template"


MEGABYTE = "a" * 1_000_000
LIST = ["a"] * 100_000
BOUNDED = [
    "{{ big|replace('', big) }}",
    "{{ big|replace('a', big)|replace('a', big)|replace('a', big) }}",
    "{{ big|replace('a', big, 1000000) }}",
    "{{ tags|join(big) }}",
    "{{ tags|join(big)|replace('a', big)|upper|title }}",
    "{{ [big, big, big]|join(big) ~ big ~ big }}",
    "{{ " + " + ".join(["big"] * 30) + " }}",
    "{{ " + " ~ ".join(["big"] * 1_200) + " }}",
    "{{ [" + ", ".join(["big"] * 1_200) + "] }}",
    "{{ (" + " + ".join(["tags"] * 30) + ")|length }}",
    "{{ big|truncate(1000000, true, big, 0) }}{{ big|truncate(1000000000) }}",
    "{{ tags|map('replace', 'a', big) }}",
    "{{ 1.5|round(1000000000, 'ceil') }}{{ 1.5|round(-1000000000, 'floor') }}{{ 1.5|round(1000000000) }}",
    "{{ big|int }}{{ big|float }}{{ big|wordcount }}{{ big|trim(big) }}",
    "{{ big|sort|unique|reverse|first }}",
    "{% for a in tags %}{% for b in tags %}{% endfor %}{% endfor %}",
    "{% for a in tags %}{% for b in tags %}{{ big }}{% endfor %}{% endfor %}",
    "{% for a in big %}{% for b in big %}{{ a }}{% endfor %}{% endfor %}",
    "{% for a in tags %}{% for b in tags if b == 'c' %}{{ b }}{% endfor %}{% endfor %}" * 100,
    "{% for a in [tags, tags] %}{% for b in [a, a] %}{{ [b, b, b] }}{% endfor %}{% endfor %}",
]


@pytest.mark.parametrize("template", BOUNDED, ids=range(len(BOUNDED)))
def test_bounded_when_rendered(template: str) -> None:
    tracemalloc.start()
    start = time.thread_time()
    try:
        written = text(template, big=MEGABYTE, tags=LIST)
        worked_s = time.thread_time() - start
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(written) <= TEXT_SIZE_MAX
    assert peak < 500_000_000
    assert worked_s < 60  # minutes or for ever, were it not bounded; wide, as machines are slow at times


def test_loops_share_one_budget_and_the_rest_is_left_out() -> None:
    silent = "{% for a in tags %}{% if loop.last %}{{ loop.index }} {% endif %}{% endfor %}"
    assert text(silent * 2, tags=["x"] * (STEPS_MAX - 1)) == f"{STEPS_MAX - 1} 1"
    assert text(silent, tags=["x"] * (STEPS_MAX * 2)) == str(STEPS_MAX)
    assert text(silent, tags=["x"] * 7) == "7"  # the budget is of one rendering


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ tags|map(attribute='0') }}", "a, b"),
        ("{{ name['a' ~ 'b'] }}{{ name['__cl' ~ 'ass__'] }}{{ address['__cl' ~ 'ass__'] }}", "ada"),
        ("{{ (name|default('x', true)).__html__ }}", None),
        ("{{ '{0.__class__}' }} {{ '%s' }}", "{0.__class__} %s"),
        ("{{ name }}", "{{ name.__class__ }}"),
        ("{{ '\\u202e' }}{{ '\\x00' }}x", "\u202e\x00x"),
    ],
)
def test_data_stays_data(template: str, expected: str | None) -> None:
    properties = {"name": "{{ name.__class__ }}", "tags": ["ab", "bc"], "address": {"city": "London"}}
    if expected is None:
        with pytest.raises(InvalidInputError, match="private"):
            text(template, **properties)
    else:
        assert text(template, **properties) == expected


def test_a_template_can_not_change_what_it_is_given() -> None:
    tags = ["b", "a"]
    assert text("{{ tags|sort }}{{ tags|reverse }}{{ tags + ['c'] }}", tags=tags) == "a, ba, bb, a, c"
    assert tags == ["b", "a"]


def test_renderings_do_not_see_each_other() -> None:
    views = ViewSet([View("Person", "{{ name }}{{ other }}")])
    states = [EntityState(Entity("x", "Person", {key: "1"})) for key in ("name", "other", "name")]
    assert [rendering.text for state in states if (rendering := views.render(state))] == ["1", "1", "1"]


def test_errors_while_rendering_hold_no_more_than_a_line() -> None:
    with pytest.raises(PoisonEventError) as caught:
        text("{{ tags|sort }}", tags=["a", 1])
    assert len(str(caught.value)) < 300
