"""docs/configuration.md: every key of slipstream.toml, read off the typed configuration."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from types import NoneType
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from slipstream.app import config
from slipstream.app.config_errors import allowed

HEAD = """\
# Configuration

Every key of `slipstream.toml`, made from the code (`python -m tools.docs`). A key that is unknown or wrong is refused
with its name, and with what it may be. A file without a key has its default; `slipstream init` writes those that most
people look for, with a word on each. Views (`[views.<type>]`, `[relationship_views.<type>]`) have
[a page](views.md) of their own.
"""


def sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield each section by its name in the file, the outer ones first."""
    yield from _below("", config.Config)


def _below(name: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    if name:
        yield name, model
    for key, field in model.model_fields.items():
        kind, place = _bare(field.annotation), f"{name}.{key}".strip(".")
        if get_origin(kind) is dict:
            kind, place = _bare(get_args(kind)[1]), f"{place}.<name>"
        if _is_section(kind):
            yield from _below(place, kind)


def keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the keys of a section that are no section themselves."""
    found = {}
    for key, field in model.model_fields.items():
        kind = _bare(field.annotation)
        inner = _bare(get_args(kind)[1]) if get_origin(kind) is dict else kind
        if not _is_section(inner):
            found[key] = field
    return found


def page() -> str:
    """Return the whole page; raises `ValueError` that names a key of which nothing is said."""
    parts = [HEAD]
    for name, model in sections():
        rows = [
            f"| `{key}` | {_may_be(field)} | {_default(field)} | {_cell(said(name, model, key))} |"
            for key, field in keys(model).items()
        ]
        about = _about(model)
        parts += [
            f"## [{name}]\n",
            *([about, ""] if about else []),
            "| key | may be | default | what it is |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    return "\n".join(parts)


def said(name: str, model: type[BaseModel], key: str) -> str:
    """Return what the code says of a key: below it, in the file of a new PKG, or below what it becomes."""
    texts = [_docstrings(model).get(key), _in_template(name).get(key)]
    for text in (*texts, *(_docstrings(owner).get(key) for owner in _becomes(model))):
        if text:
            return f"{text[0].upper()}{text[1:].removesuffix('.')}."
    raise ValueError(f"nothing is said of [{name}] {key}: write a docstring below it in app/config.py")


def _becomes(model: type[BaseModel]) -> Iterator[type]:
    """Yield the classes that a section's docstring sends to."""
    for other in re.findall(r"`([A-Z]\w+)`", model.__doc__ or ""):
        found = _class_named(other)
        if found is not None:
            yield found


def _class_named(name: str) -> type | None:
    from slipstream.adapters.embedders.openai import RequestLimits
    from slipstream.engine.settings import SyncSettings

    known: dict[str, Any] = {**vars(config), "RequestLimits": RequestLimits, "SyncSettings": SyncSettings}
    found = known.get(name)
    return found if isinstance(found, type) else None


def _in_template(section: str) -> dict[str, str]:
    """Return the comments beside the keys of a section, those on several lines whole."""
    found: dict[str, str] = {}
    here, last = "", ""
    for line in config.TEMPLATE.splitlines():
        heading = re.match(r"(?:# )?\[([\w.]+)\]", line)
        row = re.match(r"(?:# )?(\w+) = .*?\s# (.*)$", line)
        more = re.match(r"\s+# (.*)$", line)
        if heading:
            here, last = heading[1], ""
        elif row and here == section:
            last = row[1]
            found[last] = row[2]
        elif more and last:
            found[last] += f" {more[1]}"
        else:
            last = ""
    return found


def _docstrings(owner: type) -> dict[str, str]:
    """Return the text below each annotated name of a class."""
    body = ast.parse(inspect.cleandoc("\n" + inspect.getsource(owner))).body[0]
    lines = body.body if isinstance(body, ast.ClassDef) else []
    return {
        field.target.id: inspect.cleandoc(below.value.value)
        for field, below in pairwise(lines)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def _about(model: type[BaseModel]) -> str:
    text = inspect.cleandoc(model.__doc__ or "")
    text = re.sub(r"^`\[[^`]*\]`[:.]?\s*", "", text)
    text = re.sub(r"[;,]? ?\(?see `\w+`( for its limits)?\)?\.?", ".", text)
    return "" if not text.strip(" .") else text[0].upper() + text[1:]


def _may_be(field: FieldInfo) -> str:
    return _cell(allowed(field))


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "must be given"
    if value is None:
        return "none"
    if isinstance(value, dict):
        return "`{}`"
    return f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"


def _bare(kind: Any) -> Any:
    while True:
        inner = [each for each in get_args(kind) if each is not NoneType]
        if hasattr(kind, "__metadata__"):
            kind = kind.__origin__
        elif NoneType in get_args(kind) and len(inner) == 1:
            kind = inner[0]
        else:
            return kind


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
