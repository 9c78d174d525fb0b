"""What Python callers see first: typed at the public name, equal wherever it stands twice, light to import."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import slipstream
from slipstream import aio
from slipstream.app.composition import connect_pkg, open_pkg, restored
from slipstream.app.pkg import PKG
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import InvalidInputError
from slipstream.engine.runner import Sync
from slipstream.ports.graph import GraphTransaction

LOADED_BY_IMPORT = {"slipstream", "slipstream._version"}
BARE = {
    "evidence.audit": "the signed document, to the letter: its `schema` names its form",
    "evidence.chain": "likewise",
    "evidence.kept": "a part of such a document",
    "evidence.resealed": "likewise, of an audit that an erasure has changed",
    "evidence.retention": "likewise, of audits that are not kept any more",
    "evidence.sign": "any document, with its signature",
    "pkg.query": "rows of the user's own columns",
    "pkg.query_sql": "likewise",
    "quality.record": "a part of the kept report",
    "quality.run": "the report as it is kept, JSON whose form its `schema` names",
    "quality.trend": "likewise, of past runs",
    "reembedding.detect_schema_changes": "the specification says what it returns",
    "scrubber.summary": "for JSON; the typed facts are the scrubber's properties",
    "validator.validate_consistency": "the specification says what it returns",
    "watch.summary": "for JSON; the typed facts are the watch's properties",
}
"""Every call of the facade that returns dicts without types, and why it does."""


@pytest.mark.parametrize(
    ("public", "made_by"),
    [(slipstream.open, open_pkg), (slipstream.connect, connect_pkg), (slipstream.restore, restored)],
    ids=["open", "connect", "restore"],
)
def test_a_public_function_has_the_parameters_of_what_it_calls(
    public: Callable[..., Any], made_by: Callable[..., Any]
) -> None:
    ours, theirs = inspect.signature(public), inspect.signature(made_by)
    assert list(ours.parameters.values()) == list(theirs.parameters.values())
    assert ours.return_annotation == theirs.return_annotation


@pytest.mark.parametrize(
    ("beside", "target"),
    [
        (aio.AsyncSlipstream, Slipstream),
        (aio.AsyncPKG, PKG),
        (aio.AsyncSync, Sync),
        (aio.AsyncTransaction, GraphTransaction),
    ],
    ids=lambda each: each.__name__,
)
def test_a_call_of_asyncio_takes_what_the_other_one_takes(beside: type, target: type) -> None:
    compared = 0
    for name, call in inspect.getmembers(beside, inspect.isfunction):
        if name.startswith("_") or not inspect.isfunction(other := getattr(target, name, None)):
            continue
        if name == "transaction":  # a manager of its own kind
            continue
        ours, theirs = inspect.signature(call).parameters, inspect.signature(other).parameters
        left_out = theirs.keys() - ours.keys()
        assert left_out <= {"on_row", "migration"}, f"{name} has no {left_out}"
        assert [each.annotation for each in ours.values() if each.name != "on_progress"] == [
            each.annotation for each in theirs.values() if each.name not in {"on_progress", *left_out}
        ], name
        assert inspect.iscoroutinefunction(call) or beside is aio.AsyncTransaction
        compared += 1
    assert compared >= 2


def test_whoever_checks_types_is_told_the_same_names() -> None:
    tree = ast.parse(Path(slipstream.__file__).read_text(encoding="utf-8"))
    (told,) = [node for node in tree.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name)]
    names = {
        alias.asname: node.module
        for node in told.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    assert names == slipstream._HOMES


def test_a_url_is_connected_to_and_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInputError, match=r"directory: 'http://\S+' is a URL: use `slipstream\.connect\("):
        slipstream.open("http://127.0.0.1:8420", create=True)
    assert list(tmp_path.iterdir()) == []


def test_importing_loads_nothing_else() -> None:
    program = "import sys; before = set(sys.modules); import slipstream; print(*(set(sys.modules) - before))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    loaded = {name for name in said.split() if name.partition(".")[0] not in sys.stdlib_module_names}
    assert loaded == LOADED_BY_IMPORT


def _calls(owner: type, path: str = "", seen: tuple[type, ...] = ()) -> Iterator[tuple[str, str | None]]:
    """Yield the public calls and properties of a class, and of the parts that its properties return, with results."""
    for name, member in inspect.getmembers(owner):
        call = member.fget if isinstance(member, property) else member
        if name.startswith("_") or not inspect.isfunction(call):
            continue
        result = call.__annotations__.get("return")
        yield f"{path}{name}", result
        part = call.__globals__.get(str(result))
        if not isinstance(member, property) or not isinstance(part, type) or part in (owner, *seen):
            continue
        if part.__module__.startswith("slipstream."):
            yield from _calls(part, f"{path}{name}.", (*seen, owner))


def test_the_calls_of_the_facade_are_typed_and_few_return_bare_dicts() -> None:
    calls = dict(_calls(Slipstream))
    assert {"status", "pkg.query", "sync.wait", "pkg.feed.head"} <= calls.keys()
    assert [name for name, result in calls.items() if result is None] == []
    assert {name for name, result in calls.items() if "Any" in str(result)} == BARE.keys()
    assert [name for name, result in calls.items() if result in {"dict", "object", "Mapping"}] == []
