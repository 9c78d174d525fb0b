"""RDF that is damaged, cut short or something else: told with its place and the remedy, nothing lost in silence."""

from __future__ import annotations

import gzip
import sys
import tempfile
from pathlib import Path

import pytest

from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.importers.opening import source_files
from slipstream.importers.options import ReadOptions
from slipstream.importers.rdf import parsing
from slipstream.importers.rdf.reader import reader
from slipstream.importers.reading import format_of
from slipstream.importers.rows import RefusedRow, Stage, TellingReader
from tests.integration.rdf_sources import DATA, ignored, nameless, read, read_text

TOP = '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:e="http://e/"'


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))


def _left() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob("slipstream-rdf-*"))


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "a.ttl",
            "@prefix e: <http://e/> .\ne:a e:p 1 ;\n  e:q f:x .",
            r"a\.ttl, line 3, column 7: The prefix f: has",
        ),
        (
            "a.ttl",
            "<http://e/a> <http://e/p> 1 .\n\n  <b> <http://e/p> 1 .",
            r"line 3, column 3: .*`@base <.*--id-pref",
        ),
        ("a.ttl", "<http://e/a> <http://e/p> 'cut", r"line 1, column 27: Unexpected end of file; nothing of it was"),
        ("a.ttl", "<http://e/a> <http://e/p> 'caf\xe9' .".encode("latin-1"), r"UTF-8.*: convert it, as with `iconv"),
        ("a.n3", "@prefix e: <http://e/> . { e:a e:p e:b } => { e:b e:p e:a } .", r"a\.n3, line 1, column"),
        ("a.trig", "<http://e/g> { <http://e/a> <http://e/p> 1 ", r"a\.trig, line 1"),
        ("a.rdf", f'{TOP}>\n<rdf:Description rdf:about="#b"><e:p>1</e:p></rdf:Description></rdf:RDF>', "xml:base="),
        (
            "a.rdf",
            f'{TOP}>\n<rdf:Description rdf:about="http://e/a"><e:p>1</e:p></rdf:Description>',
            "line 2.*cut short",
        ),
        (
            "a.rdf",
            f'{TOP}>\n<rdf:Description rdf:about="http://e/a">\n<e:p>1</e:q></rdf:Description></rdf:RDF>',
            "line 3",
        ),
        ("a.rdf", f'{TOP}>\n<f:Thing rdf:about="http://e/a"/></rdf:RDF>', r"in or before line 2: Unknown prefix f:"),
        ("a.owl", f"<?xml version='1.0' encoding='ISO-8859-1'?>{TOP}></rdf:RDF>", "iconv.*encoding="),
        ("a.xml", "<graphml xmlns='http://graphml.graphdrawing.org/xmlns'/>", "is XML, but not RDF/XML"),
        ("a.owl", "<?xml version='1.0'?>\n<Ontology xmlns='http://www.w3.org/2002/07/owl#'/>", "is OWL/XML, not RDF"),
        ("a.owl", "Prefix(:=<http://e/>)\nOntology(<http://e/>)", "is OWL functional syntax, not RDF: save it as"),
        ("a.owl", "Prefix: : <http://e/>\nOntology: <http://e/>", "is Manchester syntax, not RDF"),
        ("a.owl", "format-version: 1.2\nontology: hp", "is OBO, not RDF"),
        ("a.ttl", "<http://e/a> <http://e/p> 1 .".encode("utf-16"), "is UTF-16: convert it"),
        (
            "a.jsonld",
            '{"@context": "https://schema.org/", "@id": "http://e/a"}',
            "are never fetched: put the content",
        ),
        ("a.jsonld", '{"@context": {"@vocab": "http://e/"}, "@id": "a", "p": 1}', "'a' is a relative IRI.*@base"),
        (
            "a.jsonld",
            '{"@id": "http://e/a", "@type": "Person"}',
            "'Person' is a relative IRI, or a name that no @cont",
        ),
        ("a.jsonld", '{"id": "http://e/a", "name": "b"}', "is JSON, but not JSON-LD: it has no @context"),
        ("a.jsonld", '{"@id": "http://e/a",\n "http://e/p": }', r"a\.jsonld, line 2, column 16"),
        ("a.jsonld", '{"@id": "http://e/a", "http://e/p": ["1"', r"a\.jsonld, line 1, column"),
    ],
)
def test_a_file_that_can_not_be_read_is_told_with_the_remedy(
    tmp_path: Path, name: str, text: str | bytes, told: str
) -> None:
    with pytest.raises(ConfigError, match=f"(?s){told}"):
        read_text(tmp_path, text, name)
    assert not _left()


def test_lines_that_are_wrong_are_refused_and_the_others_taken(tmp_path: Path) -> None:
    lines = [
        b'<http://e/1> <http://e/p> "taken" .',
        b'<http://e/2> <http://e/p> "never closed',
        b'<http://e/3> <http://e/p> "taken" .',
        b"# a comment",
        b'<relative> <http://e/p> "no" .',
        b'<http://e/4> <http://e/p> "caf\xe9" .',
        b'<http://e/5> <http://e/p> "a" . <http://e/5> <http://e/p> "two" .',
        b'<http://e/6> <http://e/p> "taken" .',
    ]
    for end in (b"\n", b"\r\n", b"\r"):
        found = read_text(tmp_path, end.join(lines) + end, "some.nt")
        assert set(found.entities) == {"http://e/1", "http://e/3", "http://e/6"}
        where = [row.where.removeprefix(f"{tmp_path}/") for row in found.refused]
        assert where == [
            f"some.nt, line {place}" for place in ("2, column 27", "5, column 1", "6, column 31", "7, column 33")
        ]
    refused = found.refused[0].content
    assert isinstance(refused, RefusedRow)
    assert refused.text == lines[1].decode()
    assert "a quotation mark is not closed" in str(refused.error)


def test_a_wrong_line_far_behind_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "_BLOCK_BYTES", 1)
    lines = [f'<http://e/{number}> <http://e/p> "{"x" * 100}" .' for number in range(2_000)]
    lines[1_500] = "broken"
    found = read_text(tmp_path, "\n".join(lines), "some.nq")
    assert len(found.entities) == 1_999
    assert found.refused[0].where.endswith("some.nq, line 1501, column 1")


def test_json_ld_with_a_wrong_iri_loses_that_statement_alone_and_says_so(tmp_path: Path) -> None:
    text = """{"@context": {"@vocab": "http://e/", "odd": "http://e/o d"}, "@id": "http://e/a", "odd": "1",
        "p": {"@id": "http://e/b c"}, "q": {"@id": "http://e/d"}}"""
    found = read_text(tmp_path, text, "some.jsonld")
    assert [row.type for row in found.relationships] == ["q"]
    told = [str(row.content.error) for row in found.refused if isinstance(row.content, RefusedRow)]
    assert told == ["statement: 'http://e/o d' is no IRI", "statement: 'http://e/b c' is no IRI"]


def test_what_is_left_out_or_renamed_is_told(tmp_path: Path) -> None:
    text = """{"@context": {"@vocab": null, "p": "http://e/p"}, "@graph": [
        {"@id": "http://e/a", "p": 1, "oops": 2}, {"@id": "http://e/b", "oops": {"x": 3}, "http://f/p": 4}]}"""
    path = tmp_path / "some.jsonld"
    path.write_text(text)
    source = reader(source_files([path]), ReadOptions())
    assert isinstance(source, TellingReader)
    for _ in range(2):
        rows = list(source.rows(Stage.ENTITIES, ignored))
        assert not [row for row in rows if isinstance(row.content, RefusedRow)]
        assert source.notes == [
            f"left out, as JSON-LD has it: no @context explains the key 'oops' (2 times, first {path})",
            f"left out, as JSON-LD has it: no @context explains the key 'x' ({path})",
            "http://f/p is called 'http://f/p' here, for its local name is another one's, or kept for the importer",
        ]
        source.rows(Stage.RELATIONSHIPS, ignored)


def test_a_pack_that_was_cut_short_is_told(tmp_path: Path) -> None:
    whole = gzip.compress((DATA / "adms.ttl").read_bytes())
    with pytest.raises(ConfigError, match="was cut short"):
        read_text(tmp_path, whole[:-100], "adms.ttl.gz")


def test_a_large_file_of_json_ld_is_streamed_where_its_order_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parsing, "_STREAMED_BYTES_MIN", 0)
    whole = read(DATA / "library.ttl")
    assert nameless(read(DATA / "library.jsonld")) == nameless(whole)
    text = (DATA / "library.jsonld").read_text()
    start = text.index('"@context"')
    end = text.index('"@graph"')
    behind = (
        text[:start] + text[end:].rstrip().removesuffix("}") + "," + text[start:end].rstrip().removesuffix(",") + "}"
    )
    assert nameless(read_text(tmp_path, behind, "behind.jsonld")) == nameless(whole)


def test_a_mistake_in_one_of_several_files_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "b.ttl").write_text("broken")
    with pytest.raises(ConfigError, match=r"b\.ttl, line 1"):
        read(DATA / "library.ttl", tmp_path / "b.ttl")


def test_files_of_one_name_need_a_prefix_each(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.ttl").write_text("")
    with pytest.raises(InvalidInputError, match=r"id_prefix: two files are called a\.ttl"):
        read(tmp_path / "x" / "a.ttl", tmp_path / "y" / "a.ttl", id_prefix="p")


def test_options_of_tables_mean_nothing() -> None:
    with pytest.raises(InvalidInputError, match="delimiter: means nothing for this format"):
        reader(source_files([DATA / "library.ttl"]), ReadOptions(delimiter=";"))


def test_without_pyoxigraph_the_line_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyoxigraph", None)
    with pytest.raises(ConfigError, match=r"pip install 'slipstream-pkg\[rdf\]'"):
        reader(source_files([DATA / "library.ttl"]), ReadOptions())


def test_xml_that_is_rdf_is_no_graphml(tmp_path: Path) -> None:
    for name, form in (("library.rdf", "rdf"), ("pizza.owl", "rdf")):
        path = tmp_path / "some.xml"
        path.write_bytes((DATA / name).read_bytes())
        assert format_of([path]) == form
    path.write_text("<graphml xmlns='http://graphml.graphdrawing.org/xmlns'/>")
    assert format_of([path]) == "graphml"


def test_the_temporary_folder_is_removed_whatever_happens() -> None:
    source = reader(source_files([DATA / "adms.ttl"]), ReadOptions())
    for _ in range(2):
        list(source.rows(Stage.ENTITIES, ignored))
        assert len(_left()) == 1  # the second stage needs it
        list(source.rows(Stage.RELATIONSHIPS, ignored))
        assert not _left()
    given_up = source.rows(Stage.ENTITIES, ignored)
    next(given_up)
    assert len(_left()) == 1
    given_up.close()  # type: ignore[attr-defined]
    assert not _left()
    list(source.rows(Stage.ENTITIES, ignored))
    del source
    assert not _left()


def test_the_second_stage_alone_reads_the_source_again() -> None:
    paths = source_files([DATA / "adms.ttl"])
    both = reader(paths, ReadOptions())
    list(both.rows(Stage.ENTITIES, ignored))
    alone = reader(paths, ReadOptions())
    assert list(alone.rows(Stage.RELATIONSHIPS, ignored)) == list(both.rows(Stage.RELATIONSHIPS, ignored))


def test_progress_grows_to_the_size_of_the_source() -> None:
    source = reader(source_files([DATA / "adms.ttl", DATA / "w3c-test.nt"]), ReadOptions())
    heard: list[int] = []
    list(source.rows(Stage.ENTITIES, heard.append))
    assert heard == sorted(heard)
    assert heard[-1] == source.size_bytes
    assert (source.form, source.has_relationships) == ("RDF", True)
    other = reader(source_files([DATA / "adms.ttl"]), ReadOptions())
    assert (
        len(
            {
                source.identity,
                other.identity,
                reader(source_files([DATA / "adms.ttl"]), ReadOptions(id_prefix="x")).identity,
            }
        )
        == 3
    )
