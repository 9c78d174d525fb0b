"""What a template reads, found in its syntax tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from jinja2 import meta, nodes

_SAME_ITEMS = frozenset(("reject", "rejectattr", "reverse", "select", "selectattr", "sort", "unique"))


@dataclass(frozen=True, slots=True)
class Reads:
    """Everything that can make a difference to a template's text."""

    names: frozenset[str] = frozenset()
    """Names read from outside."""
    attributes: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    """By name: the attributes that are read; None where the value is used as a whole."""
    of_items: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By name: the attributes that are read of its items, where that is plain to see; for messages only."""


NO_READS = Reads()


def reads_of(tree: nodes.Template) -> Reads:
    """Return what a template reads. Never too little."""
    attributes: dict[str, set[str] | None] = {}
    for name, attribute in _accesses(tree):
        if attribute is None:
            attributes[name] = None
        elif (seen := attributes.setdefault(name, set())) is not None:
            seen.add(attribute)
    of_items: dict[str, set[str]] = {}
    for name, attribute in _item_accesses(tree):
        of_items.setdefault(name, set()).add(attribute)
    return Reads(
        # Jinja's own scoping decides, so that `{% for name in names %}` hides `name` inside of the loop only.
        names=frozenset(meta.find_undeclared_variables(tree)),
        attributes={name: None if seen is None else frozenset(seen) for name, seen in attributes.items()},
        of_items={name: frozenset(seen) for name, seen in of_items.items()},
    )


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


def _item_accesses(tree: nodes.Template) -> Iterator[tuple[str, str]]:
    """Yield (name, attribute) for `{% for x in name %}{{ x.attribute }}` and `name[0].attribute`."""
    for loop in tree.find_all(nodes.For):
        name = _list_name(loop.iter)
        if name is not None and isinstance(loop.target, nodes.Name) and not _is_rebound(loop, loop.target.name):
            inside: Iterable[nodes.Node] = [*loop.body, *([loop.test] if loop.test else [])]
            for child in inside:
                yield from (
                    (name, attribute)
                    for base, attribute in _accesses(child)
                    if base == loop.target.name and attribute
                )
    for access in tree.find_all(nodes.Getattr):
        item = access.node
        if isinstance(item, nodes.Getitem) and isinstance(item.arg, nodes.Const) and (name := _list_name(item.node)):
            yield name, access.attr


def _list_name(node: nodes.Node | None) -> str | None:
    """Return the name behind a list that was at most filtered, sorted or sliced."""
    while isinstance(node, nodes.Filter | nodes.Getitem):
        if isinstance(node, nodes.Filter) and node.name not in _SAME_ITEMS:
            return None
        if isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Slice):
            return None
        node = node.node
    return node.name if isinstance(node, nodes.Name) else None


def _is_rebound(loop: nodes.For, name: str) -> bool:
    stores = (node for node in loop.find_all(nodes.Name) if node.ctx == "store" and node.name == name)
    return len(list(stores)) > 1
