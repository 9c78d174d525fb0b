"""docs/commands.md: every command with its arguments and options, read off the command line itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from slipstream.cli.app import app
from slipstream.cli.examples import EXAMPLES

HEAD = """\
# Commands

`slipstream [--dir PATH] COMMAND`; `slipstream COMMAND --help` says the same in a terminal. Made from the code
(`python -m tools.docs`). What the exit codes mean is on a [page of its own](exit-codes.md).
"""


def commands() -> Iterator[tuple[str, Any]]:
    """Yield each command that does something by its whole name, in the order of the help."""
    yield from _below("", get_command(app))


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    parts = getattr(command, "commands", None)
    if parts is None:
        yield name, command
        return
    for part in parts:
        yield from _below(f"{name} {part}".strip(), parts[part])


def page() -> str:
    """Return the whole page."""
    parts = [HEAD, "## Before the command\n", _table(get_command(app).params), ""]
    for name, command in commands():
        parts += [f"## {name}\n", _sentences(command.help), ""]
        if command.params:
            parts += [_table(command.params), ""]
        if name in EXAMPLES:
            parts += ["```sh", f"slipstream {EXAMPLES[name]}", "```", ""]
    return "\n".join(parts)


def _table(parameters: list[Any]) -> str:
    rows = [f"| {_named(each)} | {_cell(each.help)}{_default(each)} |" for each in parameters if not each.hidden]
    return "\n".join(["| | |", "|---|---|", *rows])


def _named(parameter: Any) -> str:
    if not parameter.opts[0].startswith("-"):
        name = parameter.name.upper()
        return f"`{name if parameter.required else f'[{name}]'}{'…' if parameter.nargs != 1 else ''}`"
    kind = "" if parameter.is_flag else f" {(parameter.metavar or _kind(parameter)).upper()}"
    names = ", ".join(f"`{name}{kind}`" for name in (*parameter.opts, *parameter.secondary_opts))
    return f"{names}{', several times' if parameter.multiple else ''}"


def _kind(parameter: Any) -> str:
    kind: type = parameter.type_descriptor.annotation
    return {"str": "text", "list": "text", "int": "number", "float": "number"}.get(kind.__name__, kind.__name__)


def _default(parameter: Any) -> str:
    value = parameter.default
    is_told = not callable(value) and value not in (None, False, True, (), [])
    return f" Default: `{value}`." if is_told else ""


def _sentences(text: str | None) -> str:
    return "\n".join(line.strip() for line in (text or "").splitlines())


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")
