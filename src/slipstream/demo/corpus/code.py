"""What one module defines and imports, read from its source by `ast`: nothing is ever executed."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from slipstream.demo.corpus.text import clean, excerpt
from slipstream.domain.errors import InvalidInputError

DESCRIPTION_SIZE_MAX = 1_000
SIGNATURE_SIZE_MAX = 300

_Function: TypeAlias = "ast.FunctionDef | ast.AsyncFunctionDef"


@dataclass(frozen=True, slots=True)
class Definition:
    """A class, function or method; `parent` is the qualified name of the module or class that holds it."""

    qualified_name: str
    parent: str
    kind: str
    line: int
    signature: str
    description: str

    @property
    def name(self) -> str:
        """The last part of the qualified name."""
        return self.qualified_name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class ParsedModule:
    """What is known of a module. Definitions have distinct names; classes come before their methods."""

    description: str
    definitions: Sequence[Definition]
    imports: Sequence[str]
    """Dotted names that are imported at module level, sorted: modules, or names within them."""
    redefined: int
    """Definitions that were left out because another one has the same name (overloads, variants per platform)."""


def parse_module(source: bytes, module: str, *, is_package: bool) -> ParsedModule:
    """
    Parse the source of a module.

    Raises `InvalidInputError` when it is no Python of this version, is nested too deeply or has an odd encoding.
    """
    try:
        with warnings.catch_warnings():
            # Invalid escapes in other people's sources are none of our business; nothing else runs in here.
            warnings.simplefilter("ignore", SyntaxWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            tree = ast.parse(source)
        return _read(tree, module, is_package=is_package)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InvalidInputError(f"can not be parsed: {type(error).__name__}: {error}", field=module) from error


def _read(tree: ast.Module, module: str, *, is_package: bool) -> ParsedModule:
    kept: dict[str, Definition] = {}
    imports: set[str] = set()
    seen = 0
    for statement in _flat(tree.body):
        if isinstance(statement, ast.Import):
            imports.update(alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            imports.update(_imported_from(statement, module, is_package=is_package))
        else:
            for definition in _definitions(statement, module):
                seen += 1
                _keep(kept, definition)
    return ParsedModule(_description(tree), tuple(kept.values()), tuple(sorted(imports)), seen - len(kept))


def _keep(kept: dict[str, Definition], new: Definition) -> None:
    """Keep one definition a name: the first that is documented, else the first."""
    old = kept.get(new.qualified_name)
    if old is None or (not old.description and new.description):
        kept[new.qualified_name] = new


def _flat(statements: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a module, also those under its `if`, `try` and `with`."""
    stack = list(reversed(statements))
    while stack:
        statement = stack.pop()
        if isinstance(statement, ast.If):
            stack.extend(reversed([*statement.body, *statement.orelse]))
        elif isinstance(statement, ast.Try | ast.TryStar):
            handled = [inner for handler in statement.handlers for inner in handler.body]
            stack.extend(reversed([*statement.body, *handled, *statement.orelse, *statement.finalbody]))
        elif isinstance(statement, ast.With):
            stack.extend(reversed(statement.body))
        else:
            yield statement


def _definitions(statement: ast.stmt, parent: str) -> Iterator[Definition]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        yield _function(statement, parent, "function")
    elif isinstance(statement, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in statement.bases)
        signature = f"class {statement.name}({bases})" if bases else f"class {statement.name}"
        yield _definition(statement, parent, "class", signature)
        for inner in _flat(statement.body):
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and not inner.name.startswith("_"):
                yield _function(inner, f"{parent}.{statement.name}", "method")


def _function(node: _Function, parent: str, kind: str) -> Definition:
    keyword = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return _definition(node, parent, kind, f"{keyword} {node.name}({ast.unparse(node.args)}){returns}")


def _definition(node: _Function | ast.ClassDef, parent: str, kind: str, signature: str) -> Definition:
    shown = clean(signature)
    if len(shown) > SIGNATURE_SIZE_MAX:
        shown = shown[: SIGNATURE_SIZE_MAX - 1] + "…"
    return Definition(f"{parent}.{node.name}", parent, kind, node.lineno, shown, _description(node))


def _description(node: ast.Module | _Function | ast.ClassDef) -> str:
    return excerpt(ast.get_docstring(node) or "", DESCRIPTION_SIZE_MAX)


def _imported_from(node: ast.ImportFrom, module: str, *, is_package: bool) -> list[str]:
    base = node.module or ""
    if node.level:
        parts = module.split(".")
        above = node.level - 1 if is_package else node.level
        if above >= len(parts) + is_package:
            return []  # beyond the top-level package: such an import can not succeed
        base = ".".join([*parts[: len(parts) - above], *([base] if base else [])])
    return [f"{base}.{alias.name}" if alias.name != "*" else base for alias in node.names] if base else []
