"""
Templates that need no Jinja when they are rendered: texts, values, `if NAME` and `NAME|map(attribute=…)|join(…)`.

Most views are made of these, and Jinja's sandbox takes several times as long. The text is the same to the letter; a
value that Jinja would treat in its own way is left to it (`NotPlainError`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import nodes

from slipstream.views.sandbox import items_of
from slipstream.views.values import format_value, joined

Context = Mapping[str, Any]
_Writer = Callable[[Context, list[str]], None]
"""Appends what a part of a template writes."""


class NotPlainError(Exception):
    """A template or a value that is left to Jinja."""


class PlainTemplate:
    """A template that needs no Jinja; see `plain_template`."""

    def __init__(self, writers: Sequence[_Writer]) -> None:
        self._writers = writers

    def render(self, context: Context) -> str:
        """Return the text, cut where Jinja's would be; raises `NotPlainError` for a value that is left to Jinja."""
        written: list[str] = []
        for write in self._writers:
            write(context, written)
        return joined(written)


def plain_template(tree: nodes.Template) -> PlainTemplate | None:
    """Return what renders a template without Jinja; None for a template that is left to Jinja."""
    try:
        return PlainTemplate(_writers(tree.body))
    except NotPlainError:
        return None


def _writers(body: Sequence[nodes.Node]) -> list[_Writer]:
    found: list[_Writer] = []
    for node in body:
        if isinstance(node, nodes.Output):
            found += [_written(each) for each in node.nodes]
        elif isinstance(node, nodes.If) and isinstance(node.test, nodes.Name) and not node.elif_:
            found.append(_choice(node.test.name, _writers(node.body), _writers(node.else_)))
        else:
            raise NotPlainError
    return found


def _written(node: nodes.Expr) -> _Writer:
    if isinstance(node, nodes.TemplateData):
        return _text(node.data)
    if isinstance(node, nodes.Name):
        return _value(node.name)
    return _joined(node)


def _text(text: str) -> _Writer:
    def write(context: Context, written: list[str]) -> None:
        del context
        written.append(text)

    return write


def _value(name: str) -> _Writer:
    def write(context: Context, written: list[str]) -> None:
        written.append(format_value(context.get(name)))

    return write


def _choice(name: str, then: Sequence[_Writer], otherwise: Sequence[_Writer]) -> _Writer:
    def write(context: Context, written: list[str]) -> None:
        for each in then if context.get(name) else otherwise:
            each(context, written)

    return write


def _joined(node: nodes.Node) -> _Writer:
    name, attribute, separator = _join_of(node)

    def write(context: Context, written: list[str]) -> None:
        pieces: list[str] = []
        for item in items_of(context.get(name)):
            if type(item) is not dict:
                raise NotPlainError
            text = format_value(item.get(attribute))
            pieces.append(separator + text if pieces else text)
        written.append(joined(pieces))

    return write


def _join_of(node: nodes.Node) -> tuple[str, str, str]:
    """Return name, attribute and separator of `name|map(attribute='…')|join('…')`."""
    outer, inner = _filter(node, "join"), _filter(getattr(node, "node", None), "map")
    separators, keywords = [_text_in(each) for each in outer.args], list(inner.kwargs)
    if outer.kwargs or inner.args or len(separators) != 1 or [each.key for each in keywords] != ["attribute"]:
        raise NotPlainError
    attribute = _text_in(keywords[0].value)
    if not isinstance(inner.node, nodes.Name) or not attribute.isidentifier():
        raise NotPlainError
    return inner.node.name, attribute, separators[0]


def _filter(node: nodes.Node | None, name: str) -> nodes.Filter:
    if not isinstance(node, nodes.Filter) or node.name != name or node.dyn_args or node.dyn_kwargs:
        raise NotPlainError
    return node


def _text_in(node: nodes.Node) -> str:
    if not isinstance(node, nodes.Const) or not isinstance(node.value, str):
        raise NotPlainError
    return node.value
