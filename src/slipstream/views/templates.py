"""
Sandboxed templates: a small part of Jinja, in which nothing can be called and every loop is bounded.

What a template depends on is read off its syntax tree, so that a change of anything else does no work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import ChainableUndefined, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from slipstream.domain.errors import InvalidInputError, PoisonEventError
from slipstream.views.values import TEXT_SIZE_MAX, format_value, normalised

TEMPLATE_SIZE_MAX = 10_000
_LOOPS_MAX = 2
_RAW_SIZE_MAX = 8 * TEXT_SIZE_MAX
_FILTERS = frozenset(
    (
        *("abs", "capitalize", "d", "default", "first", "float", "int", "join", "last", "length", "lower", "map"),
        *("reject", "rejectattr", "replace", "reverse", "round", "select", "selectattr", "sort", "string", "title"),
        *("trim", "truncate", "unique", "upper", "wordcount"),
    )
)
_ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.For,
    nodes.If,
    nodes.Assign,
    nodes.Name,
    nodes.Const,
    nodes.List,
    nodes.Tuple,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Slice,
    nodes.Filter,
    nodes.Test,
    nodes.Keyword,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Concat,
    nodes.CondExpr,
    nodes.Add,
    nodes.Sub,
    nodes.Neg,
)


def _environment() -> ImmutableSandboxedEnvironment:
    # Autoescape stays off: the text goes to a model, and an escaped one would mean something else.
    environment = ImmutableSandboxedEnvironment(
        undefined=ChainableUndefined,
        finalize=format_value,
        autoescape=False,
        trim_blocks=True,
        cache_size=0,
    )
    environment.globals.clear()  # no range, no lipsum: nothing to loop over but what is given
    return environment


@dataclass(frozen=True, slots=True)
class Reads:
    """Which names a template reads; of `source` and `target` which attributes, None for all of them."""

    names: frozenset[str]
    attributes: Mapping[str, frozenset[str] | None]


class Template:
    """One compiled template. Rendering is deterministic: it sees nothing but what it is given."""

    def __init__(self, source: str, *, field: str, environment: ImmutableSandboxedEnvironment | None = None) -> None:
        self._environment = environment or _environment()
        if len(source) > TEMPLATE_SIZE_MAX:
            raise InvalidInputError(f"is longer than {TEMPLATE_SIZE_MAX} characters", field=field)
        try:
            tree = self._environment.parse(source)
            _check(tree, field)
            self.reads = _reads(tree)
            self._template = self._environment.from_string(source)
        except TemplateError as error:
            raise InvalidInputError(f"is not a valid template: {error}", field=field) from error

    def render(self, context: Mapping[str, Any], *, about: str) -> str:
        """
        Return the text, white space collapsed and cut to the limit.

        Raises `PoisonEventError` naming `about` when the template fails on these values.
        """
        parts: list[str] = []
        size = 0
        try:
            for part in self._template.generate(context):
                parts.append(part)
                size += len(part)
                if size > _RAW_SIZE_MAX:  # far past what is kept: a loop over a loop of something long
                    break
        except Exception as error:
            raise PoisonEventError(f"{about}: the view's template fails: {type(error).__name__}: {error}") from error
        return normalised("".join(parts))


def _check(tree: nodes.Template, field: str) -> None:
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, _ALLOWED):
            kind = type(node).__name__.lower()
            raise InvalidInputError(
                f"line {getattr(node, 'lineno', '?')}: {kind} is not allowed in a view; values, filters, if, for are",
                field=field,
            )
        if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
            raise InvalidInputError(f"filter {node.name!r} is not one of {', '.join(sorted(_FILTERS))}", field=field)
        if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
            raise InvalidInputError(f"attribute {node.attr!r} is private", field=field)
        if isinstance(node, nodes.For) and (node.recursive or _loop_depth(node) > _LOOPS_MAX):
            raise InvalidInputError(f"loops are nested more than {_LOOPS_MAX} deep or recursive", field=field)


def _loop_depth(loop: nodes.For) -> int:
    inner = [node for node in loop.find_all(nodes.For) if node is not loop]
    return 1 + max((_loop_depth(node) for node in inner), default=0)


def _reads(tree: nodes.Template) -> Reads:
    bound = {node.name for node in tree.find_all(nodes.Name) if node.ctx == "store"} | {"loop"}
    names = {node.name for node in tree.find_all(nodes.Name) if node.ctx == "load"} - bound
    attributes: dict[str, set[str] | None] = {}
    for name, attribute in _accesses(tree):
        if attribute is None:
            attributes[name] = None
        elif (seen := attributes.setdefault(name, set())) is not None:
            seen.add(attribute)
    frozen = {name: None if seen is None else frozenset(seen) for name, seen in attributes.items()}
    return Reads(frozenset(names), frozen)


def _accesses(node: nodes.Node) -> Iterator[tuple[str, str | None]]:
    """Yield (name, attribute) of every read; the attribute is None where the value is used as a whole."""
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        yield node.node.name, node.attr
        return
    if isinstance(node, nodes.Getitem) and isinstance(node.node, nodes.Name) and isinstance(node.arg, nodes.Const):
        yield node.node.name, str(node.arg.value)
        return
    if isinstance(node, nodes.Name):
        yield node.name, None
    for child in node.iter_child_nodes():
        yield from _accesses(child)
