"""
A port can be met by four more adapters: it is small, and each of its methods says what it promises.

DESIGN section 3: at most eight methods; ordering, atomicity, idempotency, absence and errors where they apply. What
can be tested of the words is that they are there, for each method or for the port as a whole.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.architecture.sources import Source, sources

METHODS_MAX = 8

LARGER = {
    "VectorIndex": "reads, writes and tombstones share one fence: split, an adapter could keep it in one half only",
    "Requests": "both ends of one list, asker and owner; the wrappers of the journal implement it as a whole",
}
"""Ports with more methods, and why they stay whole."""

NO_ERRORS = {
    "Clock": "time is always there",
    "Span": "a span never fails, and has no state that anybody reads",
    "Exposition": "it renders what is in memory",
}
"""Ports without anything to fail."""

_ORDER = re.compile(r"order|first|last|oldest|newest|next|best|sorted|behind", re.IGNORECASE)
_ABSENCE = re.compile(r"absent|unknown|None|left out|no error|never was|when there (is|was) no|not there|not found"
                      r"|NotFoundError|empty|harmless|fewer", re.IGNORECASE)  # fmt: skip
_ERROR = re.compile(r"rais|Error|never (fails|makes)|harmless|no error|Pure", re.IGNORECASE)


@dataclass(frozen=True)
class Port:
    """One Protocol: its own methods with their docstrings, and its own docstring."""

    name: str
    shown: str
    text: str
    methods: dict[str, ast.FunctionDef]
    bases: tuple[str, ...]

    def said_of(self, method: str) -> str:
        """Return what is said of a method: in its own words and in those for the whole port."""
        return f"{self.text}\n{ast.get_docstring(self.methods[method]) or ''}"


def ports(among: tuple[Source, ...]) -> Iterator[Port]:
    """Yield every Protocol of `ports/`."""
    for source in among:
        for node in source.tree.body if source.is_in("ports") else ():
            if isinstance(node, ast.ClassDef) and (bases := tuple(map(ast.unparse, node.bases)))[-1:] == (
                "Protocol",
            ):
                found = {item.name: item for item in node.body if isinstance(item, ast.FunctionDef)}
                yield Port(node.name, source.shown, ast.get_docstring(node) or "", found, bases[:-1])


PORTS = {port.name: port for port in ports(sources())}
METHODS = [(port, name) for port in PORTS.values() for name in port.methods]


def _is_property(method: ast.FunctionDef) -> bool:
    return any(ast.unparse(decorator) == "property" for decorator in method.decorator_list)


def _returns(method: ast.FunctionDef) -> str:
    return ast.unparse(method.returns) if method.returns is not None else "None"


def _id(item: object) -> str:
    return item.name if isinstance(item, Port) else str(item)


def methods_of(port: Port) -> set[str]:
    """Return the names that an adapter has to have; properties that only tell what it is do not count."""
    own = {name for name, method in port.methods.items() if not _is_property(method)}
    return own.union(*(methods_of(PORTS[base]) for base in port.bases if base in PORTS))


@pytest.mark.parametrize("port", PORTS.values(), ids=_id)
def test_a_port_is_small(port: Port) -> None:
    is_small = len(methods_of(port)) <= METHODS_MAX
    assert is_small or port.name in LARGER or not port.methods, f"{port.name} has {sorted(methods_of(port))}"
    assert not (is_small and port.name in LARGER), f"{port.name} is small again: take it off the list"


def test_what_is_excepted_is_there() -> None:
    assert LARGER.keys() | NO_ERRORS.keys() <= PORTS.keys()
    assert {"GraphReader", "ChangeFeed", "GraphWriter", "RestoreMarks", "SyncView", "Lease", "Cypher"} <= PORTS.keys()


@pytest.mark.parametrize(("port", "name"), METHODS, ids=_id)
def test_a_method_says_what_it_does(port: Port, name: str) -> None:
    said = ast.get_docstring(port.methods[name]) or ""
    assert said.endswith((".", ":")), f"{port.shown}: {port.name}.{name} says {said!r}"


@pytest.mark.parametrize(("port", "name"), METHODS, ids=_id)
def test_a_method_that_returns_a_sequence_says_its_order(port: Port, name: str) -> None:
    if re.match(r"(Sequence|list|npt\.NDArray)\b", _returns(port.methods[name])):
        assert _ORDER.search(port.said_of(name)), f"{port.shown}: {port.name}.{name} says nothing of the order"


@pytest.mark.parametrize(("port", "name"), METHODS, ids=_id)
def test_a_method_that_may_find_nothing_says_what_it_returns_then(port: Port, name: str) -> None:
    returned = _returns(port.methods[name])
    if ("None" in returned.split(" | ") and returned != "None") or returned.startswith("Mapping"):
        assert _ABSENCE.search(port.said_of(name)), f"{port.shown}: {port.name}.{name} says nothing of absence"


@pytest.mark.parametrize("port", PORTS.values(), ids=_id)
def test_a_port_names_its_errors(port: Port) -> None:
    said = "\n".join([port.text, *(ast.get_docstring(method) or "" for method in port.methods.values())])
    assert _ERROR.search(said) or port.name in NO_ERRORS, f"{port.shown}: {port.name} says nothing of errors"


def test_a_breach_is_found() -> None:
    text = "class P(Protocol):\n  'Doc.'\n" + "".join(f"  def m{n}(self): 'Does.'\n" for n in range(9))
    (port,) = ports((Source.of(text, "ports/p.py"),))
    assert (len(methods_of(port)), port.said_of("m0")) == (9, "Doc.\nDoes.")
