"""docs/python.md: every public name, what its docstring says first, and every error."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import slipstream
from slipstream import aio
from slipstream.app.pkg import PKG
from slipstream.app.slipstream import Slipstream
from slipstream.domain import errors

HEAD = """\
# Python

The public names, made from the code (`python -m tools.docs`); `help(name)` says more of each. All other modules may
change from one version to the next, but for what an adapter is written against: `slipstream.domain`,
`slipstream.ports` and `slipstream.testkit` ([writing an adapter](adapters/writing-an-adapter.md)).
"""
_FUNCTIONS = {"open": slipstream.open, "connect": slipstream.connect, "restore": slipstream.restore}


def page() -> str:
    """Return the whole page."""
    names = [name for name in slipstream.__all__ if name != "__version__"]
    rows = [_row(name, getattr(slipstream, name)) for name in names]
    parts = [HEAD, "## import slipstream\n", _table(["`slipstream.__version__` | The version.", *rows])]
    for name, function in _FUNCTIONS.items():
        parts.append(f"\n## slipstream.{name}\n\n{_text(function)}\n")
        parts.append(f"```python\n{_signature(name, function)}\n```")
    of_aio = (("slip of slipstream.aio", aio.AsyncSlipstream), ("slip.pkg of slipstream.aio", aio.AsyncPKG))
    for shown, owner in (("slip", Slipstream), ("slip.pkg", PKG), *of_aio):
        parts.append(f"\n## {shown}\n\n{_text(owner)}\n")
        parts.append(_table([_row(name, member) for name, member in _members(owner)]))
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
    call = "" if isinstance(thing, property | type) else "()"
    return f"`{name}{call}` | {_first(thing)}"


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
    parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    return f"slipstream.{name}(\n" + "".join(f"    {_parameter(each)},\n" for each in parameters) + ")"


def _parameter(parameter: inspect.Parameter) -> str:
    if parameter.default is inspect.Parameter.empty:
        return parameter.name
    return f"{parameter.name}={'...' if callable(parameter.default) else repr(parameter.default)}"


def _bases(kind: type) -> str:
    return ", ".join(base.__name__ for base in kind.__bases__)
