"""
What a shell offers when Tab is pressed: commands, types and ids.

Fast and silent: it reads the graph file, asks no server and opens nothing, and whatever fails offers nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import typer

_ONE_WORD = re.compile(r"[\w.,@%+/:=-]+")
"""What every shell takes as it is: Typer's scripts quote nothing."""
_COLON = ":"
_FORMATS = ("apoc", "csv", "neo4j", "graphml", "node-link", "rdf", "notes")
"""As `slipstream.importers.reading` has them, which loads much more."""

_MODES = ("hybrid", "vector", "keyword", "exact")
_SORTS = ("score", "newest", "oldest")
"""As `slipstream.search.options` has them, which loads more."""


def commands_shown(commands: Mapping[str, str], incomplete: str) -> list[Any]:
    """Return the commands that begin so, with what each of them does."""
    from typer._click.shell_completion import CompletionItem

    return [CompletionItem(name, help=text) for name, text in commands.items() if name.startswith(incomplete)]


def entity_types(context: typer.Context, incomplete: str) -> list[str]:
    """Return the types of entities that begin so."""
    from slipstream.app import glancing

    return _usable(glancing.entity_types(_directory(context)), incomplete)


def relationship_types(context: typer.Context, incomplete: str) -> list[str]:
    """Return the types of relationships that begin so."""
    from slipstream.app import glancing

    return _usable(glancing.relationship_types(_directory(context)), incomplete)


def types(context: typer.Context, incomplete: str) -> list[str]:
    """Return the types of entities and relationships that begin so."""
    return sorted({*entity_types(context, incomplete), *relationship_types(context, incomplete)})


def entity_ids(context: typer.Context, incomplete: str) -> list[str]:
    """Return the first ids of entities that begin so."""
    from slipstream.app import glancing

    before = _before_colon(context)
    found = _usable(glancing.ids_beginning(_directory(context), before + incomplete), before + incomplete)
    return [name.removeprefix(before) for name in found]


def formats(incomplete: str) -> list[str]:
    """Return the formats of imports that begin so."""
    return _usable(_FORMATS, incomplete)


def modes(incomplete: str) -> list[str]:
    """Return the ways to search that begin so."""
    return _usable(_MODES, incomplete)


def sorts(incomplete: str) -> list[str]:
    """Return the orders of hits that begin so."""
    return _usable(_SORTS, incomplete)


def _usable(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete) and _ONE_WORD.fullmatch(name)]


def _directory(context: typer.Context) -> Path:
    return Path(context.find_root().params.get("directory") or ".").expanduser()


def _before_colon(context: typer.Context) -> str:
    """Return the part of an id that bash has cut off: it takes a colon for a word by itself."""
    words: list[str] = list(context.params.get("ids") or ())
    if len(words) > 1 and words[-1] == _COLON:
        return f"{words[-2]}{_COLON}"
    return ""
