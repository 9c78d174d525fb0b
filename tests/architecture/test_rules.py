"""Every rule holds for every source; and every rule finds what it is there to find."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.architecture import rules
from tests.architecture.sources import Source, sources

Rule = Callable[[Source], Iterator[str]]

RULES: tuple[Rule, ...] = (
    rules.oversized_file,
    rules.oversized_functions,
    rules.undocumented_names,
    rules.prints,
    rules.naive_datetimes,
    rules.unsafe_formats,
    rules.environment_reads,
    rules.writes_of_the_index,
    rules.foreign_imports,
    rules.eager_vendor_imports,
)

DOC = '"""Doc."""\n'


def _id(rule: Rule) -> str:
    return rule.__name__


@pytest.mark.parametrize("rule", RULES, ids=_id)
def test_every_source_keeps_the_rule(rule: Rule) -> None:
    assert [finding for source in sources() for finding in rule(source)] == []


@pytest.mark.parametrize(
    ("rule", "text", "shown"),
    [
        (rules.oversized_file, "x = 1\n" * 501, "domain/a.py"),
        (rules.oversized_functions, "def f():\n" + "    x = 1\n" * 70, "domain/a.py"),
        (rules.oversized_functions, "class C:\n  async def f():\n" + "    x = 1\n" * 70, "domain/a.py"),
        (rules.undocumented_names, "x = 1", "domain/a.py"),
        (rules.undocumented_names, DOC + "def f(): ...", "domain/a.py"),
        (rules.undocumented_names, DOC + "class C: ...", "domain/a.py"),
        (rules.undocumented_names, DOC + 'class C:\n  "Doc."\n  def method(self): ...', "domain/a.py"),
        (rules.prints, "def f():\n  print(1)", "domain/a.py"),
        (rules.naive_datetimes, "datetime.now()", "domain/a.py"),
        (rules.naive_datetimes, "datetime.datetime.utcnow()", "domain/a.py"),
        (rules.naive_datetimes, "datetime.fromtimestamp(0)", "domain/a.py"),
        (rules.unsafe_formats, "import pickle", "domain/a.py"),
        (rules.unsafe_formats, "def f():\n  from pickle import loads", "domain/a.py"),
        (rules.environment_reads, "os.environ['HOME']", "app/a.py"),
        (rules.environment_reads, "os.environ.get('HOME')", "adapters/embedders/a.py"),
        (rules.environment_reads, "x = dict(os.environ)", "adapters/embedders/a.py"),
        (rules.environment_reads, "os.environ['X'] = '1'", "engine/a.py"),
        (rules.environment_reads, "os.getenv('HOME')", "adapters/embedders/a.py"),
        (rules.environment_reads, "from os import environ", "adapters/embedders/a.py"),
        (rules.writes_of_the_index, "self._store.index.upsert(records)", "engine/a.py"),
        (rules.writes_of_the_index, "store.vacuum(position)", "audit/a.py"),
        (rules.writes_of_the_index, "self._index.delete(deletions)", "migration/a.py"),
        (rules.writes_of_the_index, "self._reconciler.apply(prepared, results)", "engine/loop.py"),
        (rules.foreign_imports, "import jinja2", "domain/a.py"),
        (rules.foreign_imports, "def f():\n  import yaml", "domain/a.py"),
        (rules.foreign_imports, "import yaml", "domain/a.py"),
        (rules.foreign_imports, "def f():\n  import kglite", "engine/a.py"),
        (rules.foreign_imports, "def f():\n  import kglite", "adapters/indexes/a.py"),
        (rules.foreign_imports, "from rich.table import Table", "app/a.py"),
        (rules.eager_vendor_imports, "import onnxruntime", "adapters/embedders/a.py"),
        (rules.eager_vendor_imports, "import kglite", "adapters/cypher/kglite/adapter.py"),
        (rules.eager_vendor_imports, "try:\n  from httpx import Client\nexcept ImportError: ...", "adapters/a.py"),
    ],
)
def test_the_rule_finds_a_breach(rule: Rule, text: str, shown: str) -> None:
    (finding, *_) = rule(Source.of(text, shown))
    assert finding.startswith(shown)


@pytest.mark.parametrize(
    ("rule", "text", "shown"),
    [
        (rules.oversized_functions, "def f():\n" + "    x = 1\n" * 69, "domain/a.py"),
        (rules.undocumented_names, DOC + "def _f(): ...\nclass _C: ...", "domain/a.py"),
        (rules.undocumented_names, DOC + 'class C:\n  "Doc."\n  def upsert(self): ...', "adapters/a.py"),
        (rules.prints, "print(1)", "cli/a.py"),
        (rules.naive_datetimes, "datetime.now(UTC); clock.now(); datetime.fromtimestamp(0, UTC)", "domain/a.py"),
        (
            rules.environment_reads,
            "os.environ['X'] = '1'\nos.environ.setdefault('Y', '1')",
            "adapters/embedders/a.py",
        ),
        (rules.environment_reads, "os.environ.get('X')", "app/composition/opening.py"),
        (rules.writes_of_the_index, "self._index.upsert(records)", "apply/reconciler.py"),
        (rules.writes_of_the_index, "tx.delete(entity_id)", "events/a.py"),
        (rules.foreign_imports, "import numpy, json\nfrom pydantic import BaseModel", "domain/a.py"),
        (rules.foreign_imports, "def f():\n  import kglite", "adapters/cypher/kglite/a.py"),
        (rules.eager_vendor_imports, "def f():\n  import onnxruntime", "adapters/embedders/a.py"),
        (rules.eager_vendor_imports, "import kglite", "adapters/cypher/kglite/serving.py"),
        (rules.eager_vendor_imports, "if TYPE_CHECKING:\n  import onnxruntime", "adapters/embedders/a.py"),
    ],
)
def test_the_rule_lets_pass_what_is_right(rule: Rule, text: str, shown: str) -> None:
    assert list(rule(Source.of(text, shown))) == []


def test_the_sources_are_really_looked_at() -> None:
    shown = {source.shown for source in sources()}
    assert {"domain/events.py", "engine/loop.py", "app/composition/opening.py"} <= shown
    assert {"upsert", "read", "transaction"} <= rules.port_methods()
