"""
The Jinja environment of templates: it reaches data and nothing else, and what it does is bounded and deterministic.

Jinja's own sandbox keeps a template from Python's internals. This one also keeps it from methods (whose text holds
an address in memory), from generators, from random choices, and from filters whose result or run time explodes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from jinja2 import ChainableUndefined, Undefined, pass_context, pass_environment
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.filters import make_attrgetter
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import SandboxedEnvironment
from jinja2.tests import TESTS as JINJA_TESTS

from slipstream.views.values import WORKING_SIZE_MAX, bounded_join, format_value

STEPS_MAX = 10_000
"""How many items all the loops of one rendering go through together; the rest is left out."""
STEPS = "steps left"  # not an identifier, so no template can name it
ITEMS = "items of"  # the filter around whatever a loop goes through; no template can name it either

_ITEMS_MAX = 10_000
_PRECISION_MAX = 15
_TEXT_FILTERS = ("capitalize", "lower", "string", "title", "trim", "truncate", "upper", "wordcount")
_LIST_FILTERS = ("map", "reject", "rejectattr", "select", "selectattr", "sort", "unique")
_VALUE_FILTERS = ("abs", "d", "default", "first", "float", "int", "last", "length", "reverse")
FILTERS = frozenset((*_TEXT_FILTERS, *_LIST_FILTERS, *_VALUE_FILTERS, "join", "replace", "round"))
TESTS = frozenset(
    (
        *("defined", "undefined", "none", "boolean", "true", "false", "integer", "float", "number", "string"),
        *("mapping", "sequence", "iterable", "odd", "even", "divisibleby", "lower", "upper", "in"),
        *("==", "!=", "<", "<=", ">", ">=", "eq", "ne", "lt", "le", "gt", "ge", "equalto"),
        *("lessthan", "greaterthan"),
    )
)
_MOMENT = frozenset(("year", "month", "day", "hour", "minute", "second"))
_LOOP = frozenset(("index", "index0", "first", "last", "length", "revindex", "revindex0", "previtem", "nextitem"))


class ViewEnvironment(SandboxedEnvironment):
    """An environment without globals, methods, or anything that depends on more than the given values."""

    intercepted_binops = frozenset("+")

    def __init__(self) -> None:
        # Autoescape stays off: the text goes to a model, and an escaped one would mean something else.
        super().__init__(
            undefined=ChainableUndefined, finalize=format_value, autoescape=False, trim_blocks=True, cache_size=0
        )
        self.globals.clear()  # no range, no lipsum: nothing to loop over but what is given
        self.filters = _filters()
        self.tests = {name: JINJA_TESTS[name] for name in TESTS}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return a key of a map, a part of a time, or a fact of a loop; never a Python attribute."""
        if isinstance(obj, Mapping):
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        if isinstance(obj, Undefined):
            return obj
        known = _MOMENT if isinstance(obj, datetime) else _LOOP if isinstance(obj, LoopContext) else ()
        return getattr(obj, attribute) if attribute in known else self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return an item, a slice or a key; a text that is no key is looked up as `getattr` does."""
        if isinstance(argument, str):
            return self.getattr(obj, argument)
        if isinstance(obj, Undefined):
            return obj
        try:
            return obj[argument]
        except (TypeError, LookupError):
            return self.undefined(obj=obj, name=str(argument))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Add; a text or a list stays within its limit."""
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, str):
            return result[:WORKING_SIZE_MAX]
        return result[:_ITEMS_MAX] if isinstance(result, list | tuple) else result


def items_of(value: Any) -> list[Any]:
    """Return what a loop goes through: a list's items, a map's keys in order, nothing, or the one value itself."""
    if value is None or isinstance(value, Undefined):
        return []
    if isinstance(value, list | tuple):
        return list(value)
    return sorted(value) if isinstance(value, Mapping) else [value]


def _filters() -> dict[str, Callable[..., Any]]:
    filters: dict[str, Callable[..., Any]] = {name: JINJA_FILTERS[name] for name in _VALUE_FILTERS}
    filters.update({name: _applied_to(format_value, JINJA_FILTERS[name]) for name in _TEXT_FILTERS})
    filters.update({name: _applied_to(items_of, JINJA_FILTERS[name]) for name in _LIST_FILTERS})
    filters["reverse"] = _reverse
    filters["join"] = _join
    filters["replace"] = _replace
    filters["round"] = _round
    filters[ITEMS] = _items_within_budget
    return filters


def _applied_to(convert: Callable[[Any], Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that sees a converted value, and that never returns a generator."""
    at = 1 if hasattr(function, "jinja_pass_arg") else 0  # Jinja's context stands before the value

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = function(*args[:at], convert(args[at]), *args[at + 1 :], **kwargs)
        return list(result) if isinstance(result, Iterator) else result

    return call


def _reverse(value: Any) -> Any:
    return value[::-1] if isinstance(value, str) else items_of(value)[::-1]


@pass_environment
def _join(environment: ViewEnvironment, value: Any, d: str = "", attribute: str | int | None = None) -> str:
    items: Iterator[Any] = iter(items_of(value))
    if attribute is not None:
        items = map(make_attrgetter(environment, attribute), items)
    separator = format_value(d)
    return bounded_join((separator if number else "") + format_value(item) for number, item in enumerate(items))


def _replace(value: Any, old: Any, new: Any, count: int | None = None) -> str:
    replacement = format_value(new)
    most = WORKING_SIZE_MAX // max(len(replacement), 1)
    times = most if count is None or count < 0 else min(count, most)
    return format_value(value).replace(format_value(old), replacement, times)


def _round(value: Any, precision: int = 0, method: str = "common") -> Any:
    return JINJA_FILTERS["round"](value, max(-_PRECISION_MAX, min(precision, _PRECISION_MAX)), method)


@pass_context
def _items_within_budget(context: Context, value: Any) -> list[Any]:
    left = context.parent[STEPS]
    items = items_of(value)[: left[0]]
    left[0] -= len(items)
    return items
