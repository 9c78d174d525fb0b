"""
Sandboxed templates: a small part of Jinja, in which nothing can be called or named and every loop is bounded.

What a template depends on is read off its syntax tree, so that a change of anything else does no work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from slipstream.domain.errors import InvalidInputError
from slipstream.views.plain import NotPlainError, plain_template
from slipstream.views.reads import reads_of
from slipstream.views.sandbox import FILTERS, ITEMS, STEPS, STEPS_MAX, TESTS, ViewEnvironment
from slipstream.views.values import bounded_join, normalised

TEMPLATE_SIZE_MAX = 10_000
DEPTH_MAX = 40
_LOOPS_MAX = 2
_ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.For,
    nodes.If,
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
_TAGS = {"assign": "set", "assignblock": "set", "callblock": "call", "filterblock": "filter", "scope": "autoescape"}
_ATTRIBUTE_ARGUMENT = {"join": 1, "rejectattr": 0, "selectattr": 0, "sort": 2, "unique": 1}
"""Which positional argument of a filter names an attribute."""


class Template:
    """One compiled template. Rendering is deterministic: it sees nothing but what it is given."""

    def __init__(self, source: str, *, field: str) -> None:
        if len(source) > TEMPLATE_SIZE_MAX:
            raise InvalidInputError(f"is longer than {TEMPLATE_SIZE_MAX} characters", field=field)
        environment = ViewEnvironment()
        try:
            tree = environment.parse(source)
            _check(tree, field)
            self.reads = reads_of(tree)
            self._plain = plain_template(tree)
            compiled = environment.from_string(_Bounded().visit(tree).set_environment(environment))
        except InvalidInputError:
            raise
        except Exception as error:  # the parser's, the compiler's, and Python's limits on nesting and numbers
            line = getattr(error, "lineno", None)
            where = f"line {line}: " if line else ""
            raise InvalidInputError(f"is not a valid template: {where}{error}", field=field) from error
        self._new_context, self._root = compiled.new_context, compiled.root_render_func

    def render(self, context: dict[str, Any]) -> str:
        """Return the text, white space collapsed and cut to the limit; raises whatever the template fails with."""
        if self._plain is not None:
            with suppress(NotPlainError):
                return normalised(self._plain.render(context))
        context[STEPS] = [STEPS_MAX]
        return normalised(bounded_join(self._root(self._new_context(context, shared=True))))


class _Bounded(NodeTransformer):
    """Puts every loop under the budget of steps, and `~` under the limit of `join`."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802 - the visitor's naming
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, ITEMS, [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:  # noqa: N802
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(parts, "join", [], [], None, None, lineno=node.lineno)


# ------------------------------------------------------------------ what is allowed


def _check(tree: nodes.Template, field: str) -> None:
    # Checked before anything recurses: where Python's own limit strikes depends on the caller's depth.
    if _depth(tree) > DEPTH_MAX:
        raise InvalidInputError(f"expressions or blocks are nested more than {DEPTH_MAX} deep", field=field)
    for node in tree.find_all(nodes.Node):
        problem = _problem(node)
        if problem:
            raise InvalidInputError(f"line {node.lineno or '?'}: {problem}", field=field)


def _depth(tree: nodes.Template) -> int:
    depth, level = 0, list[nodes.Node]([tree])
    while level:
        depth, level = depth + 1, [child for node in level for child in node.iter_child_nodes()]
    return depth


def _problem(node: nodes.Node) -> str | None:
    if not isinstance(node, _ALLOWED):
        kind = type(node).__name__.lower()
        return f"{_TAGS.get(kind, kind)} is not allowed in a view; values, filters, if, for are"
    check = _CHECKS.get(type(node))
    return None if check is None else check(node)


def _name_problem(node: nodes.Name) -> str | None:
    return f"the name {node.name!r} is reserved" if node.name == "self" or node.name.startswith("_") else None


def _list_problem(node: nodes.List | nodes.Tuple) -> str | None:
    inner = next(node.find_all((nodes.List, nodes.Tuple)), None)
    return None if inner is None else "a list inside a list is not allowed"


def _loop_problem(node: nodes.For) -> str | None:
    if node.recursive or _loop_depth(node) > _LOOPS_MAX:
        return f"loops are nested more than {_LOOPS_MAX} deep or recursive"
    return None


def _loop_depth(loop: nodes.For) -> int:
    inner = [node for node in loop.find_all(nodes.For) if node is not loop]
    return 1 + max((_loop_depth(node) for node in inner), default=0)


def _filter_problem(node: nodes.Filter) -> str | None:
    """Filters that take the name of another filter, test or attribute must name a harmless one, as a constant."""
    problem = _unknown("filter", node.name, FILTERS)
    if problem or node.dyn_args is not None or node.dyn_kwargs is not None:
        return problem or "arguments with * are not allowed"
    args = [_constant(arg) for arg in node.args]
    takes_attribute = node.name in ("selectattr", "rejectattr")
    if node.name == "map" and args:
        problem = _unknown("filter", args[0], FILTERS)
    if node.name in ("select", "reject", "selectattr", "rejectattr") and len(args) > takes_attribute:
        problem = _unknown("test", args[takes_attribute], TESTS)
    at = _ATTRIBUTE_ARGUMENT.get(node.name, len(args))
    attributes = [*args[at : at + 1], *(_constant(item.value) for item in node.kwargs if item.key == "attribute")]
    problems = (_attribute_problem(node.name, attribute) for attribute in attributes)
    return problem or next((found for found in problems if found), None)


def _constant(node: nodes.Node) -> object:
    return node.value if isinstance(node, nodes.Const) else None


def _attribute_problem(filter_name: str, attribute: object) -> str | None:
    if attribute is None:
        return f"the attribute of {filter_name!r} must be a constant"
    parts = str(attribute).replace(",", ".").split(".")
    return next((found for part in parts if (found := _private(part.strip()))), None)


def _unknown(kind: str, name: object, known: frozenset[str]) -> str | None:
    if name in known:
        return None
    shown = "that is not a constant" if name is None else repr(name)
    return f"{kind} {shown} is not one of {', '.join(sorted(known))}"


def _private(name: object) -> str | None:
    return f"attribute {name!r} is private" if isinstance(name, str) and name.startswith("_") else None


_CHECKS: Mapping[type[nodes.Node], Callable[[Any], str | None]] = {
    nodes.Name: _name_problem,
    nodes.Getattr: lambda node: _private(node.attr),
    nodes.Getitem: lambda node: _private(_constant(node.arg)),
    nodes.Filter: _filter_problem,
    nodes.Test: lambda node: _unknown("test", node.name, TESTS),
    nodes.List: _list_problem,
    nodes.Tuple: _list_problem,
    nodes.For: _loop_problem,
}
