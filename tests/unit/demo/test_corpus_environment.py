"""The graph of a Python environment: a small made-up one, and the real one that the tests run in."""

from __future__ import annotations

import os
import sys
from collections import Counter
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from slipstream.demo.corpus import python_environment
from slipstream.demo.corpus.python_environment import SOURCE_BYTES_MAX, read_environment
from slipstream.demo.corpus.report import CorpusReport
from slipstream.domain.entities import Entity, Relationship
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import ID_SIZE_MAX

INSTALLED_AT = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)


def _install(site: Path, name: str, headers: str, sources: dict[str, bytes]) -> None:
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{headers}\n\nReadme.\n")
    for path, source in sources.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_bytes(source)
    listed = [*sources, f"{info.name}/METADATA", f"{info.name}/RECORD"]
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in listed))
    os.utime(info / "RECORD", (INSTALLED_AT.timestamp(), INSTALLED_AT.timestamp()))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    _install(
        site,
        "alpha",
        "Author: Ada Lovelace\nKeywords: graphs\nRequires-Dist: beta\nRequires-Dist: absent",
        {
            "alpha/__init__.py": b'"""Alpha."""\nfrom beta import helper\nimport absent\ndef core(): "Clashes."',
            "alpha/core.py": b"from . import other\nclass Core:\n    def run(self): ...",
            "alpha/other.py": b"",
            "alpha/tests/test_core.py": b"def test(): ...",
        },
    )
    _install(
        site,
        "beta",
        "Maintainer: Ada Lovelace",
        {
            "beta.py": b"def helper(): ...",
            "beta_broken.py": b"def (",
            "beta_huge.py": b"#" * (SOURCE_BYTES_MAX + 1),
            "alpha/other.py": b"",
        },
    )
    with (site / "beta-1.0.dist-info" / "RECORD").open("a") as record:
        record.write("beta_gone.py,,\n")
    return site


@pytest.fixture
def stdlib(tmp_path: Path) -> Path:
    (tmp_path / "lib" / "json").mkdir(parents=True)
    (tmp_path / "lib" / "json" / "__init__.py").write_text('"""JSON."""\n')
    (tmp_path / "lib" / "no_stdlib_module.py").write_text("")
    return tmp_path / "lib"


def _read(site: Path, stdlib: Path, **options: int) -> tuple[list[Entity], list[Relationship], CorpusReport]:
    report = CorpusReport()
    items = list(read_environment(site_paths=[str(site)], stdlib=stdlib, report=report, **options))  # type: ignore[arg-type]
    entities = [item for item in items if isinstance(item, Entity)]
    return entities, [item for item in items if isinstance(item, Relationship)], report


def test_the_graph_of_a_small_environment(site: Path, stdlib: Path) -> None:
    entities, relationships, _ = _read(site, stdlib)
    assert {entity.id for entity in entities} == {
        "package:python", "package:alpha", "package:beta", "organization:python-software-foundation",
        "person:ada-lovelace", "concept:graphs", "document:alpha/readme", "document:beta/readme",
        "event:alpha/1-0/installed", "event:beta/1-0/installed",
        "code:json", "code:alpha", "code:alpha.core", "code:alpha.core.Core", "code:alpha.core.Core.run",
        "code:alpha.other", "code:beta", "code:beta.helper",
    }  # fmt: skip
    assert {relationship.ref.id for relationship in relationships} >= {
        "DEPENDS_ON:package%3Aalpha:package%3Abeta",
        "AUTHORED_BY:package%3Abeta:person%3Aada-lovelace",
        "HAS_TOPIC:package%3Aalpha:concept%3Agraphs",
        "DESCRIBES:document%3Aalpha/readme:package%3Aalpha",
        "INSTALLED:event%3Aalpha/1-0/installed:package%3Aalpha",
        "CONTAINS:package%3Aalpha:code%3Aalpha.core",
        "DEFINES:code%3Aalpha.core.Core:code%3Aalpha.core.Core.run",
        "IMPORTS:code%3Aalpha:code%3Abeta",
        "IMPORTS:code%3Aalpha.core:code%3Aalpha.other",
    }


def test_the_time_of_an_installation_says_what_it_is(site: Path, stdlib: Path) -> None:
    entities, _, report = _read(site, stdlib)
    (event,) = [entity for entity in entities if entity.id == "event:alpha/1-0/installed"]
    assert event.properties["timestamp"] == INSTALLED_AT
    assert event.properties["time_source"] == "modification time of RECORD"
    assert report.skipped["no installation time"] == 1, "this standard library has no os.py"


def test_everything_that_is_left_out_is_counted(site: Path, stdlib: Path) -> None:
    *_, report = _read(site, stdlib)
    assert report.skipped == {
        "no installation time": 1,
        "unreadable source": 1,
        "oversized source": 1,
        "missing source": 1,
        "module of two packages": 1,
        "definition that a module has the name of": 1,
    }
    assert any("beta_broken" in example for example in report.examples)


def test_an_editable_package_is_read_where_its_link_points(tmp_path: Path, stdlib: Path) -> None:
    site, project = tmp_path / "site", tmp_path / "project" / "src"
    _install(site, "linked", "", {"linked.pth": str(project).encode()})
    (site / "linked-1.0.dist-info" / "direct_url.json").write_text('{"url": "x", "dir_info": {"editable": true}}')
    (project / "linked").mkdir(parents=True)
    (project / "linked" / "__init__.py").write_text('"""Linked."""')
    entities, _, _ = _read(site, stdlib)
    assert {"path": "linked/__init__.py"}.items() <= next(
        e for e in entities if e.id == "code:linked"
    ).properties.items()


def test_a_limit_keeps_half_for_code_and_leaves_nothing_dangling(site: Path, stdlib: Path) -> None:
    for entities_max in range(1, 19):
        entities, relationships, report = _read(site, stdlib, entities_max=entities_max)
        assert 1 <= len(entities) <= entities_max
        assert report.truncated
        ids = {entity.id for entity in entities}
        assert all({item.ref.source_id, item.ref.target_id} <= ids for item in relationships)
    assert {entity.type for entity in _read(site, stdlib, entities_max=8)[0]} >= {"Package", "CodeEntity"}
    everything, _, report = _read(site, stdlib, entities_max=100)
    assert (len(everything), report.truncated) == (18, False)


def test_wrong_questions_are_refused_before_anything_is_read() -> None:
    with pytest.raises(InvalidInputError, match="no-such-package"):
        read_environment(packages=["python", "No_Such.Package"])
    with pytest.raises(InvalidInputError, match="entities_max"):
        read_environment(entities_max=0)


def test_the_real_standard_library_alone_has_ten_thousand_entities() -> None:
    report = CorpusReport()
    seen: set[str] = set()
    refs: set[str] = set()
    imported_before = set(sys.modules)
    for item in read_environment(packages=["python"], report=report):
        if isinstance(item, Entity):
            assert item.id not in seen
            assert len(item.id) <= ID_SIZE_MAX
            seen.add(item.id)
        else:
            assert item.ref.id not in refs
            assert {item.ref.source_id, item.ref.target_id} <= seen, "a relationship comes after its endpoints"
            refs.add(item.ref.id)
    assert len(seen) >= 10_000
    assert report.entity_count == len(seen)
    assert report.relationship_count == len(refs)
    assert "code:json.decoder.JSONDecoder.decode" in seen
    imported = {name for name in sys.modules.keys() - imported_before if not name.startswith("encodings.")}
    assert imported == set(), "sources are read, never imported (codecs that they are written in are)"


def test_every_type_that_the_engine_routes_is_there() -> None:
    types = Counter(item.type for item in read_environment(entities_max=2_000) if isinstance(item, Entity))
    assert types.keys() == {"Package", "Person", "Organization", "Concept", "Document", "Event", "CodeEntity"}
    assert types.total() == 2_000


def test_the_same_environment_gives_the_same_graph() -> None:
    first, second = (list(islice(read_environment(), 3_000)) for _ in range(2))
    assert first == second
    for item in first:
        for value in item.properties.values():
            assert not isinstance(value, datetime) or value.utcoffset() is not None
            assert not isinstance(value, str) or value.encode() is not None


def test_the_module_documents_every_relationship_type_it_yields() -> None:
    types = {item.ref.type for item in read_environment(entities_max=4_000) if isinstance(item, Relationship)}
    assert python_environment.__doc__ is not None
    assert all(name in python_environment.__doc__ for name in types)
