"""What is read from sources and metadata: definitions, imports, people, topics, dependencies."""

from __future__ import annotations

import warnings
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest

from slipstream.demo.corpus.code import DESCRIPTION_SIZE_MAX, parse_module
from slipstream.demo.corpus.metadata import dependencies, package_facts, readme, topics
from slipstream.demo.corpus.people import contributors
from slipstream.demo.corpus.sources import module_name
from slipstream.demo.corpus.text import clean, excerpt, slug
from slipstream.domain.errors import InvalidInputError

SOURCE = b'''"""A module."""
import os, json.decoder
from . import sibling
from ..up import thing
from .star import *
try:
    import fast
except ImportError:
    fast = None

def plain(a, *, b: int = 1) -> str:
    """Do it."""

async def later(): ...

if fast:
    def conditional(): "Documented variant."
else:
    def conditional(): ...

class Base: ...

class Child(Base, metaclass=type):
    """A child."""
    def method(self): ...
    def _private(self): ...
'''


def _distribution(directory: Path, headers: str, body: str = "") -> Distribution:
    info = directory / "sample-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n{headers}\n\n{body}", "utf-8")
    return PathDistribution(info)


def test_definitions_are_found_with_their_signatures() -> None:
    parsed = parse_module(SOURCE, "pkg.sub.mod", is_package=False)
    found = {item.qualified_name.removeprefix("pkg.sub.mod."): item for item in parsed.definitions}
    assert list(found) == ["plain", "later", "conditional", "Base", "Child", "Child.method"]
    assert found["plain"].signature == "def plain(a, *, b: int=1) -> str"
    assert found["plain"].description == "Do it."
    assert found["later"].signature == "async def later()"
    assert found["Child"].signature == "class Child(Base)"
    assert found["Child.method"].parent == "pkg.sub.mod.Child"
    assert found["conditional"].description == "Documented variant."
    assert parsed.redefined == 1
    assert parsed.description == "A module."


def test_relative_imports_are_resolved() -> None:
    in_module = parse_module(SOURCE, "pkg.sub.mod", is_package=False).imports
    assert in_module == ("fast", "json.decoder", "os", "pkg.sub.sibling", "pkg.sub.star", "pkg.up.thing")
    in_package = parse_module(SOURCE, "pkg.sub", is_package=True).imports
    assert in_package == ("fast", "json.decoder", "os", "pkg.sub.sibling", "pkg.sub.star", "pkg.up.thing")


def test_an_import_from_beyond_the_top_is_ignored() -> None:
    assert parse_module(b"from ...nowhere import x", "pkg.mod", is_package=False).imports == ()
    assert parse_module(b"from .. import x", "pkg", is_package=True).imports == ()


@pytest.mark.parametrize(
    "source",
    [b"def broken(:", b"a\x00b", b"# coding: no-such-codec\nx = 1", b"x = '\xff'", b"-" * 50_000 + b"1"],
    ids=["syntax", "null byte", "codec", "encoding", "nesting"],
)
def test_a_broken_source_is_refused_with_the_name_of_the_module(source: bytes) -> None:
    with pytest.raises(InvalidInputError, match=r"pkg\.mod") as refused:
        parse_module(source, "pkg.mod", is_package=False)
    assert refused.value.field == "pkg.mod"


def test_a_source_that_makes_warnings_is_read_silently() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parsed = parse_module(b"def f():\n    'a \\d escape'\n    return 1 is 1", "m", is_package=False)
    assert [item.name for item in parsed.definitions] == ["f"]


def test_long_docstrings_are_cut_where_a_paragraph_ends() -> None:
    paragraphs = "\n\n".join("word " * 80 for _ in range(5))
    (definition,) = parse_module(f'def f():\n    """{paragraphs}"""'.encode(), "m", is_package=False).definitions
    assert len(definition.description) <= DESCRIPTION_SIZE_MAX
    assert definition.description.endswith("word…")
    assert definition.description.count("\n\n") == 1


def test_text_is_valid_everywhere() -> None:
    assert clean("a\ud800b\x00c\r\nd") == "a\ufffdb\ufffdc\nd"
    assert excerpt("write to jane.doe@example.org now", 100) == "write to [address] now"
    assert len(excerpt("x" * 500, 100)) == 100
    assert len({slug("C"), slug("C++"), slug("C#")}) == 3


def test_people_and_organisations_are_told_apart_and_addresses_are_dropped(tmp_path: Path) -> None:
    metadata = _distribution(
        tmp_path,
        'Author: Ada Lovelace et al.\nAuthor-email: "Example, Inc." <ada@example.org>, Pal <contact@pal.example>\n'
        "Maintainer: The Sample Developers\n"
        'Maintainer-email: "Grace Hopper and Ada Lovelace" <g@example.org>, a@b.example',
    ).metadata
    found = {item.name: item for item in contributors(metadata, "sample")}
    assert {name for name, item in found.items() if item.is_organization} == {
        "Example Inc.", "Pal", "The Sample Developers",
    }  # fmt: skip
    assert {name for name, item in found.items() if not item.is_organization} == {"Ada Lovelace", "Grace Hopper"}
    assert found["Ada Lovelace"].roles == ("author", "maintainer")
    assert not any("@" in name for name in found)


def test_dependencies_ignore_markers_but_know_extras(tmp_path: Path) -> None:
    metadata = _distribution(
        tmp_path,
        "Requires-Python: >=3.11\nRequires-Dist: Some_Pkg>=1; sys_platform == 'win32'\n"
        "Requires-Dist: other[fast]~=2.0; extra == 'all'\nRequires-Dist: some.pkg<9",
    ).metadata
    found = dependencies(metadata)
    assert list(found) == ["other", "python", "some-pkg"]
    assert found["other"].optional
    assert not found["some-pkg"].optional
    assert found["some-pkg"].requirement.startswith("Some_Pkg>=1")


def test_topics_facts_and_readme(tmp_path: Path) -> None:
    metadata = _distribution(
        tmp_path,
        "Summary: A sample\nLicense: MIT\nKeywords: graphs, vector search\n"
        "Classifier: Topic :: Database\nClassifier: Private :: Do Not Upload",
        "Title\n=====\n\nWhat it does.",
    ).metadata
    assert [(topic.path, topic.name) for topic in topics(metadata)] == [
        ("graphs", "graphs"),
        ("topic/database", "Database"),
        ("vector-search", "vector search"),
    ]
    assert package_facts(metadata) == {"description": "A sample", "license": "MIT"}
    assert readme(metadata) == "Title\n=====\n\nWhat it does."


@pytest.mark.parametrize(
    ("shown", "module"),
    [
        ("json/decoder.py", "json.decoder"),
        ("json/__init__.py", "json"),
        ("numpy/tests/test_x.py", None),
        ("../../bin/tool.py", None),
        ("a-b.py", None),
        ("data.json", None),
        ("__init__.py", None),
    ],
)
def test_module_names_follow_the_import_system(shown: str, module: str | None) -> None:
    assert module_name(shown) == module
