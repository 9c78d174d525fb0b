"""Commands that are loaded only when they are called; listing them loads none."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, cast

import typer
from typer.core import TyperGroup
from typer.main import get_group

from slipstream.cli.plain_values import take_plainly

_SHOWN = {
    "init": ("data_commands", "Create a PKG: its slipstream.toml and its stores. What is there already stays."),
    "import": (
        "import_command",
        ("Import files, or a folder of notes; returns when all of it is in the index. Idempotent, and resumes."),
    ),
    "search": ("show_commands", "Search by name, words and meaning; the index is brought up to date first."),
    "get": (
        "entity_commands",
        "Show entities: type, properties, how many relationships, and how they stand in the index.",
    ),
    "list": ("entity_commands", "List entities: id, type, name, properties."),
    "neighbours": ("entity_commands", "Show what an entity is related to, incoming relationships first."),
    "history": (
        "history_command",
        "Show what the log tells of an entity and its relationships, newest first; also of one that is gone.",
    ),
    "watch": (
        "watch_command",
        "Show changes as they are committed, and when searches find them, until Ctrl-C; beside a server, and alone.",
    ),
    "add": ("change_commands", "Create an entity; returns when searches find it."),
    "set": (
        "change_commands",
        "Change properties of an entity, and keep the others; returns when searches find it.",
    ),
    "relate": ("change_commands", "Relate an entity to another one; returns when searches find it."),
    "unrelate": ("change_commands", "Delete a relationship; returns when searches know."),
    "delete": (
        "change_commands",
        "Delete entities with their relationships, all or none; asks when many relationships go too.",
    ),
    "erase": (
        "erase_command",
        "Remove an entity everywhere, from logs and freed space too, and write a signed receipt; asks first.",
    ),
    "watch-folder": (
        "watch_folder_command",
        "Keep the PKG in step with a folder of notes, deletes and renames included; ends on Ctrl-C or SIGTERM.",
    ),
    "apply": (
        "data_commands",
        "Apply change events (native, CloudEvents, Neo4j CDC, Debezium), each once, none after a newer one.",
    ),
    "status": (
        "engine_commands",
        (
            "Show how far the index is behind the graph; while something is broken, show what is known, and what "
            "is not."
        ),
    ),
    "backup": (
        "backup_commands",
        "Make a backup while everything runs, as of one moment; it is restored aside and audited before it counts.",
    ),
    "restore": (
        "backup_commands",
        "Restore a backup into --dir. What is there stays untouched until the restored PKG is complete beside it.",
    ),
    "export": (
        "backup_commands",
        "Write the graph as JSON lines, or a type as a table, as of one moment, for `import` and for others.",
    ),
    "verify": (
        "audit_commands",
        "Compare graph, vectors and word rows, read anew. Exit code: 0 consistent, 1 divergent, 2 could not tell.",
    ),
    "repair": (
        "audit_commands",
        "Audit, mend what differs, and compare that again; an interrupted repair is continued first.",
    ),
    "reembed": (
        "schema_commands",
        (
            "Embed records anew, past the cache: those that meet all given conditions, highest extraction "
            "confidence first."
        ),
    ),
    "serve": (
        "serve_command",
        (
            "Keep the index behind the graph, audit and repair by the schedule, and serve the PKG; ends on Ctrl-C or "
            "SIGTERM."
        ),
    ),
    "run": (
        "serve_command",
        (
            "Keep the index behind the graph, audit and repair by the schedule, and serve the PKG; ends on Ctrl-C or "
            "SIGTERM."
        ),
    ),
    "mcp": (
        "mcp_command",
        "Serve tools for an agent (Model Context Protocol) on stdin and stdout; the agent's host starts this.",
    ),
    "query": ("query_command", "Ask the graph a question, in Cypher or SQL."),
    "doctor": (
        "doctor_command",
        "Look at everything that a PKG needs, say what is wrong and what to do; changes nothing.",
    ),
    "demo": ("demo_command", "Show the main job on the graph of this Python environment, in about a minute."),
    "bench": (
        "bench_command",
        "Measure this machine: the engine beside the raw parts, in a temporary directory. Missed targets are shown.",
    ),
    "bench-audits": (
        "bench_command",
        "Measure audits: full and incremental at several sizes, and beside 100 live changes a second.",
    ),
    "bench-migrations": (
        "bench_command",
        "Measure migrations beside 50 live changes a second: freshness and searches before, during and after them.",
    ),
    "dead-letters": ("engine_commands", "Keys and events that failed for good."),
    "audits": ("audit_commands", "Past audits and what they found."),
    "evidence": ("evidence_commands", "Signed evidence of audits, and receipts of erasures."),
    "scrub": ("audit_commands", "The scheduled audits of a running engine."),
    "migrate": (
        "migrate_commands",
        "Build the next generation of views or models beside the live one, and cut over to it.",
    ),
    "quality": ("quality_commands", "How good the vectors are, record by record, and what searches find."),
    "schema": ("schema_commands", "Versions of the graph's schema."),
    "views": ("views_commands", "Which text stands for what, and why."),
}
"""By command, in the order of the help: the module that registers it, and the first paragraph of its own help."""


class LoadedCommands(Mapping[str, Any]):
    """The commands by name; a module is imported when one of its commands is asked for."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            module, _ = _SHOWN[name]
            self._loaded.update(_commands_of(module))
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_SHOWN)

    def __len__(self) -> int:
        return len(_SHOWN)


def _commands_of(module: str) -> dict[str, Any]:
    from slipstream.cli.examples import show_examples

    part = typer.Typer(rich_markup_mode=None)
    importlib.import_module(f"slipstream.cli.{module}").register(part)
    show_examples(part)
    return dict(get_group(part).commands)


class LazyGroup(TyperGroup):
    """The commands of `slipstream`; their list in the help comes from the table."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = cast("Any", LoadedCommands())  # a mapping suffices: no command is added

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options of all commands, the ones that Typer adds among them."""
        params: list[Any] = super().get_params(ctx)
        take_plainly(params)
        return params

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; its plain values are taken as they are."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            take_plainly(command.get_params(ctx))  # it asks for help by the same names as its group
        return command

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return the commands and options that begin so, for a shell, without loading any command."""
        from slipstream.cli.completing import commands_shown

        if incomplete.startswith("-"):
            found: list[Any] = super().shell_complete(ctx, incomplete)
            return found
        return commands_shown({name: shown for name, (_, shown) in _SHOWN.items()}, incomplete)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands without loading any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, shown) for name, (_, shown) in _SHOWN.items()])
