"""docs/python.md: every public name, what its docstring says first, and every error."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from enum import Enum

import slipstream
from slipstream import aio
from slipstream.app.pkg import PKG
from slipstream.app.slipstream import Slipstream
from slipstream.domain import errors
from slipstream.domain.positions import Position
from slipstream.engine.runner import Sync

HEAD = """\
# Python

The public names, made from the code (`python -m tools.docs`); `help(name)` says more of each. All other modules may
change from one version to the next, but for what an adapter is written against: `slipstream.domain`,
`slipstream.ports` and `slipstream.testkit` ([writing an adapter](adapters/writing-an-adapter.md)).
"""
_FUNCTIONS = {"open": slipstream.open, "connect": slipstream.connect, "restore": slipstream.restore}


FIRST = (
    *("search", "get", "find", "relationship", "entities", "neighbours", "changes", "stream_changes"),
    *(
        "create_entity",
        "update_entity",
        "upsert_entity",
        "delete_entity",
        "relate",
        "update_relationship",
        "unrelate",
    ),
    *("transaction", "query", "execute", "query_sql", "counts", "schema"),
    *(
        "wait",
        "drain",
        "import_files",
        "pkg",
        "sync",
        "status",
        "explain",
        "verify",
        "repair",
        "export",
        "backup",
        "close",
    ),
)
"""What users reach for first, in that order; told with its parameters. All else is told by name."""


def page() -> str:
    """Return the whole page."""
    names = [name for name in slipstream.__all__ if name != "__version__"]
    rows = [_row(name, getattr(slipstream, name)) for name in names]
    parts = [HEAD, "## import slipstream\n", _table(["`slipstream.__version__` | The version.", *rows])]
    for name, function in _FUNCTIONS.items():
        parts.append(f"\n## slipstream.{name}\n\n{_text(function)}\n")
        parts.append(f"```python\n{_signature(name, function)}\n```")
    of_aio = (("slip of slipstream.aio", aio.AsyncSlipstream), ("slip.pkg of slipstream.aio", aio.AsyncPKG))
    for shown, owner in (("slip", Slipstream), ("slip.pkg", PKG), ("slip.sync", Sync), *of_aio):
        members = dict(_members(owner))
        parts.append(f"\n## {shown}\n\n{_text(owner)}\n")
        first = {name: members.pop(name) for name in FIRST if name in members}
        parts.append(_table([_row(_called(name, member), member) for name, member in first.items()]))
        parts.append("\nThe rest:\n")
        parts.append(_table([_row(name, member) for name, member in members.items()]))
    parts.append("\n## Errors\n\nAll in `slipstream.domain.errors`, by what the caller must do.\n")
    parts.append(_table([f"`{kind.__name__}` ({_bases(kind)}) | {_first(kind)}" for kind in all_errors()]))
    return "\n".join(parts) + "\n"


def all_errors() -> list[type[Exception]]:
    """Return the errors, in the order of the module."""
    found = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)]
    return [each for each in found if each.__module__ == errors.__name__]


def _members(owner: type) -> Iterator[tuple[str, object]]:
    for name, member in inspect.getmembers(owner):
        if not name.startswith("_") and (callable(member) or isinstance(member, property)):
            yield name, member


def _row(name: str, thing: object) -> str:
    if thing is Position:  # a new type has the docstring of all new types
        return (
            f"`{name}` | A point in the history of one graph, the greater one the later; each commit returns its own."
        )
    call = "" if isinstance(thing, property | type) or name.endswith(")") else "()"
    return f"`{name}{call}` | {_first(thing)}"


def _called(name: str, member: object) -> str:
    """Return a name with the parameters that a call takes."""
    if isinstance(member, property) or not callable(member):
        return name
    shown: list[str] = []
    kind = None
    for each in list(inspect.signature(member).parameters.values())[1:]:
        if each.kind is each.KEYWORD_ONLY and kind not in (each.KEYWORD_ONLY, each.VAR_POSITIONAL):
            shown.append("*")
        kind = each.kind
        stars = "*" if kind is each.VAR_POSITIONAL else "**" if kind is each.VAR_KEYWORD else ""
        shown.append(stars + _parameter(each))
    return f"{name}({', '.join(shown)})"


def _table(rows: list[str]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {row} |" for row in rows)])


def _first(thing: object) -> str:
    text = inspect.getdoc(thing)
    if not text:
        raise ValueError(f"{thing} has no docstring")
    return " ".join(text.partition("\n\n")[0].split()).replace("|", "\\|")


def _text(thing: object) -> str:
    return inspect.getdoc(thing) or ""


def _signature(name: str, function: object) -> str:
    parameters = list(inspect.signature(function).parameters.values())  # type: ignore[arg-type]
    lines = [f"    {_typed(each)},\n" for each in parameters]
    lines.insert(sum(each.kind is not each.KEYWORD_ONLY for each in parameters), "    *,\n")
    return f"slipstream.{name}(\n" + "".join(lines) + ")"


def _typed(parameter: inspect.Parameter) -> str:
    """Return a parameter with its type."""
    empty = parameter.default is inspect.Parameter.empty
    return f"{parameter.name}: {parameter.annotation}" + ("" if empty else f" = {parameter.default!r}")


def _parameter(parameter: inspect.Parameter) -> str:
    if parameter.default is inspect.Parameter.empty:
        return parameter.name
    default = parameter.default.value if isinstance(parameter.default, Enum) else parameter.default
    return f"{parameter.name}={'...' if callable(default) else repr(default)}"


def _bases(kind: type) -> str:
    return ", ".join(base.__name__ for base in kind.__bases__)
