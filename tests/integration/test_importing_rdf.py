"""RDF as a property graph, rule by rule, and the same from each syntax."""

from __future__ import annotations

import gzip
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pyoxigraph
import pytest

from slipstream.domain.entities import Entity
from slipstream.importers.rows import RelationshipRow
from slipstream.search.hits import entity_name
from slipstream.views.compiled import default_text
from tests.importers.world import opened
from tests.integration.rdf_sources import DATA, nameless, read, read_text, rows_of

PREFIXES = """
@prefix ex: <http://ex.example/> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
"""
EX = "http://ex.example/"


def test_one_catalogue_is_the_same_in_three_syntaxes() -> None:
    turtle, xml, json = (read(DATA / f"library.{suffix}") for suffix in ("ttl", "rdf", "jsonld"))
    assert nameless(turtle) == nameless(xml) == nameless(json)
    notes = turtle.entities["http://library.example/notes"]
    assert notes.type == "Book"
    assert notes.properties == {
        "name": "Notes on the Analytical Engine",
        "name_lang": {"de": "Über die Analytische Maschine"},
        "subject": ["computing", "engines"],
        "dc:subject": "computing",
        "shelfmark": "01",
        "pages": 66,
        "weight": 0.5,
        "isLent": False,
        "added": datetime(2024, 2, 29, 10, tzinfo=UTC),
        "printed": "1843-09-01",
        "award": "none",
        "award_lang": {"de": "keiner", "en-gb": "none"},
    }
    ada = turtle.entities["http://library.example/ada"]
    assert (ada.type, ada.properties) == (
        "Person",
        {"name": "Ada Lovelace", "knowsLanguage": ["en", "fr"], "types": ["foaf:Person"]},
    )
    assert turtle.entities["http://library.example/charles"].is_mentioned
    assert {(row.source_id[-3:], row.type, row.target_id[-3:]) for row in turtle.relationships} == {
        ("tes", "author", "ada"),
        ("ada", "knows", "ada"),
        ("ada", "knows", "les"),
    }


@pytest.mark.parametrize("form", ["TURTLE", "N_TRIPLES", "N_QUADS", "TRIG", "JSON_LD", "RDF_XML"])
def test_a_vocabulary_of_the_w3c_is_the_same_in_each_syntax(tmp_path: Path, form: str) -> None:
    syntax = getattr(pyoxigraph.RdfFormat, form)
    path = tmp_path / f"adms.{syntax.file_extension}"
    pyoxigraph.serialize(pyoxigraph.parse(path=str(DATA / "adms.ttl")), str(path), syntax)
    found, original = read(path), read(DATA / "adms.rdf")
    assert nameless(found) == nameless(original)
    assert len(found.entities) == 36
    assert len(found.relationships) == 58
    asset = found.entities["http://www.w3.org/ns/adms#Asset"]
    assert (asset.type, asset.properties["name"]) == ("Class", "Asset")


def test_in_a_graph_the_other_syntaxes_change_nothing_more(tmp_path: Path) -> None:
    with opened(tmp_path / "pkg") as slip:
        slip.import_files(DATA / "library.ttl")
        position = slip.pkg.feed.head()
        for name in ("library.rdf", "library.jsonld"):
            report = slip.import_files(DATA / name)
            assert (report.rejected, report.errors) == (0, [])
            assert slip.pkg.feed.head() == position


def test_an_ontology_of_protege() -> None:
    found = read(DATA / "pizza.owl")
    pizza = "http://www.example.org/ontologies/pizza"
    margherita = found.entities[f"{pizza}#Margherita"]
    assert (margherita.type, margherita.properties["name"]) == ("Class", "Margherita pizza")
    assert margherita.properties["label_lang"] == {"en": "Margherita", "pt": "Margherita"}
    assert found.entities[f"{pizza}#TomatoTopping"].properties["name"] == "CoberturaDeTomate"
    lunch = found.entities[f"{pizza}#lunch"]
    assert (lunch.type, lunch.properties) == (
        "Margherita",
        {"name": "My lunch", "hasCalories": 900, "types": ["NamedIndividual"]},
    )
    of_type = [entity.type for entity in found.entities.values()]
    assert of_type.count("Restriction") == 3
    assert of_type.count("List") == 4
    assert of_type.count("AllDisjointClasses") == 1
    assert found.only("Axiom").properties["comment"] == "Named after a queen."
    assert any(entity.properties == {"hasValue": "0263"} for entity in found.entities.values())
    assert not any(row.target_id.endswith("#nil") for row in found.relationships)


def test_the_second_reading_is_the_first_one(tmp_path: Path) -> None:
    for name in ("adms.ttl", "pizza.owl", "claims.trig", "w3c-test.nt"):
        assert rows_of(DATA / name) == rows_of(DATA / name)


def test_the_w3cs_own_triples_are_all_there() -> None:
    found = read(DATA / "w3c-test.nt")
    assert len(found.entities) == 28
    values = {entity.id[27:]: entity.properties.get("property") for entity in found.entities.values()}
    assert values["7"] == "simple literal"
    assert values["8"] == "backslash:\\"
    assert values["26"] == ["a\n<b></b>\nc", "a <b></b> c"]


def test_statements_in_named_graphs_name_them() -> None:
    trig, quads = read(DATA / "claims.trig"), read(DATA / "claims.nq")
    assert nameless(trig) == nameless(quads)
    moth = trig.named("moth")
    first, second = "http://claims.example/first", "http://claims.example/second"
    assert moth.properties["graphs"] == {first: True, second: True}
    assert trig.named("Relay 70").properties["source_document_id"] == second
    assert "source_document_id" not in trig.entities[first].properties  # said in none of them
    graphs = {row.target_id: row.properties for row in trig.relationships if row.type == "foundIn"}
    assert graphs["http://claims.example/relay70"] == {"graphs": {first: True, second: True}}
    assert graphs["http://claims.example/panelF"] == {"source_document_id": second}
    assert first not in default_text(Entity(moth.id, moth.type, moth.properties), temporal=False)


def test_blank_nodes_of_two_files_are_never_one(tmp_path: Path) -> None:
    text = f"{PREFIXES} _:b ex:says 'one' . ex:a ex:knows [ ex:says 'two' ] ."
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.ttl").write_text(text)
    paths = [tmp_path / folder / "same.ttl" for folder in ("x", "y")]
    found = read(*paths)
    blank = [entity.id for entity in found.entities.values() if entity.id.startswith("_:")]
    assert len(blank) == 4
    assert set(blank) == {entity_id for path in paths for entity_id in read(path).entities} - {f"{EX}a"}


@pytest.mark.parametrize("folder", ["upload-", ""])
def test_what_is_sent_twice_has_the_same_blank_nodes(tmp_path: Path, folder: str) -> None:
    found = []
    for digit in "ab":
        (tmp_path / (folder + digit * 32)).mkdir()
        found.append(read_text(tmp_path / (folder + digit * 32), f"{PREFIXES} _:b ex:says [ ex:says 'two' ] ."))
    assert found[0] == found[1]
    other = read_text(tmp_path / (folder + "a" * 32), f"{PREFIXES} _:b ex:says [ ex:says 'three' ] .")
    assert not set(other.entities) & set(found[0].entities)


def test_a_prefix_of_ones_own_makes_blank_nodes_the_same_wherever_the_file_is(tmp_path: Path) -> None:
    text = f"{PREFIXES} _:b ex:says 'one' . [] ex:says 'two' ."
    found = read_text(tmp_path, text, id_prefix="people-")
    assert set(found.entities) == {"_:people-b", "_:people-~1"}


def test_relative_iris_are_resolved_against_a_prefix_that_is_an_iri(tmp_path: Path) -> None:
    found = read_text(tmp_path, f"{PREFIXES} <#a> ex:knows <b> .", id_prefix="http://me.example/dir/file")
    assert set(found.entities) == {"http://me.example/dir/file#a", "http://me.example/dir/b"}
    json = '{"@context": {"@vocab": "http://v.example/"}, "@id": "a", "knows": {"@id": "b"}}'
    found = read_text(tmp_path, json, "some.jsonld", id_prefix="http://me.example/")
    assert set(found.entities) == {"http://me.example/a", "http://me.example/b"}


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("rdfs:label 'a label'", "a label"),
        ("rdfs:label 'a label' ; skos:prefLabel 'preferred'", "preferred"),
        ("foaf:name 'Bob', 'Abe'", "Abe"),
        ("ex:name 'mine'", "mine"),
        ("ex:title 'a title'", "a title"),
        ("rdfs:label 'x'@de, 'y'@en, 'z'@en", "y"),
        ("rdfs:label 7", "7"),
        ("rdfs:comment 'nothing'", f"{EX}a"),
    ],
)
def test_what_people_are_shown_as_the_name(tmp_path: Path, said: str, name: str) -> None:
    entity = read_text(tmp_path, f"{PREFIXES} ex:a {said} .").entities[f"{EX}a"]
    assert entity_name(Entity(entity.id, entity.type, entity.properties)) == name


def test_a_name_among_several_keeps_the_others(tmp_path: Path) -> None:
    found = read_text(tmp_path, f"{PREFIXES} ex:a foaf:name 'Bob', 'Abe'; rdfs:comment 'b'@de, 'c'@fr .")
    assert found.entities[f"{EX}a"].properties == {
        "name": "Abe",
        "foaf:name": ["Abe", "Bob"],
        "comment": "b",
        "comment_lang": {"de": "b", "fr": "c"},
    }


def test_types_are_chosen_and_the_others_kept(tmp_path: Path) -> None:
    text = f"{PREFIXES} ex:a a owl:NamedIndividual, foaf:Person, ex:Scientist, ex:Poet . ex:b ex:knows [ ex:age 7 ] ."
    found = read_text(tmp_path, text)
    a = found.entities[f"{EX}a"]
    assert (a.type, a.properties) == ("Poet", {"types": ["Scientist", "Person", "NamedIndividual"]})
    assert found.entities[f"{EX}b"].type == "Resource"
    assert found.only("BlankNode").properties == {"age": 7}
    assert read_text(tmp_path, text, entity_type="Thing").entities[f"{EX}b"].type == "Thing"


def test_a_list_is_a_chain_of_entities_without_the_end_of_all_lists(tmp_path: Path) -> None:
    found = read_text(tmp_path, f"{PREFIXES} ex:a ex:steps (ex:b 'stir') ; ex:none () .")
    lists = {entity.id: entity for entity in found.entities.values() if entity.type == "List"}
    assert sorted(str(entity.properties) for entity in lists.values()) == ["{'first': 'stir'}", "{}"]
    assert sorted(row.type for row in found.relationships) == ["first", "none", "rest", "steps"]


def test_a_type_that_has_no_name_is_a_relationship(tmp_path: Path) -> None:
    found = read_text(tmp_path, f"{PREFIXES} ex:a a [ a owl:Restriction ] .")
    [row] = found.relationships
    assert (row.source_id, row.type, found.entities[row.target_id].type) == (f"{EX}a", "type", "Restriction")


def test_what_is_only_related_to_others_is_only_mentioned(tmp_path: Path) -> None:
    found = read_text(tmp_path, f"{PREFIXES} ex:a ex:knows ex:b . ex:c ex:knows ex:a ; ex:age 7 . [] ex:knows ex:a .")
    mentioned = {entity.id for entity in found.entities.values() if entity.is_mentioned}
    assert mentioned == {f"{EX}a", f"{EX}b"}


def test_a_statement_about_a_statement_is_kept(tmp_path: Path) -> None:
    found = read_text(tmp_path, f"{PREFIXES} << ex:a ex:knows 'b'@en ~ ex:r >> ex:since 1843 .")
    assert found.entities[f"{EX}r"].properties == {
        "reifies": {
            "subject": f"{EX}a",
            "predicate": f"{EX}knows",
            "object": {"value": "b", "language": "en"},
        },
        "since": 1843,
    }


def test_a_statement_that_is_repeated_is_one(tmp_path: Path) -> None:
    found = read_text(tmp_path, f"{PREFIXES} ex:a ex:p 'x', 'x' ; ex:knows ex:b, ex:b . ex:a ex:knows ex:b .")
    assert found.entities[f"{EX}a"].properties == {"p": "x"}
    assert found.relationships == [RelationshipRow(f"{EX}a", "knows", f"{EX}b")]


def test_order_in_the_file_decides_nothing(tmp_path: Path) -> None:
    triples = (DATA / "w3c-test.nt").read_text().splitlines() + (
        f"<{EX}a> <http://b/p> 'one' .\n<{EX}a> <http://a/p> 'two' .\n<{EX}a> <http://a/p> 'three' ."
    ).replace("'", '"').splitlines()
    forward = read_text(tmp_path, "\n".join(triples), "some.nt")
    backward = read_text(tmp_path, "\n".join(reversed(triples)), "some.nt")
    assert forward.entities == backward.entities
    assert sorted(forward.relationships) == sorted(backward.relationships)
    assert forward.entities[f"{EX}a"].properties == {"p": ["three", "two"], "http://b/p": "one"}


def test_packed_files_and_several_of_them(tmp_path: Path) -> None:
    plain = read(DATA / "library.ttl")
    (tmp_path / "library.ttl.gz").write_bytes(gzip.compress((DATA / "library.ttl").read_bytes()))
    assert read(tmp_path / "library.ttl.gz").entities == plain.entities
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as pack:
        pack.write(DATA / "library.rdf", "library.rdf")
        pack.write(DATA / "library.jsonld", "more/library.jsonld")
    both = read(tmp_path / "all.zip")
    assert (both.entities, sorted(both.relationships)) == (plain.entities, sorted(plain.relationships))


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("library.ttl", "a.owl"),
        ("library.ttl", "a.txt"),
        ("library.rdf", "a.xml"),
        ("library.jsonld", "a.data"),
        ("claims.nq", "a.dump"),
        ("claims.trig", "a.rdf"),
        ("w3c-test.nt", "a.n3"),
    ],
)
def test_the_content_tells_the_syntax_where_the_name_does_not(tmp_path: Path, source: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes((DATA / source).read_bytes())
    assert nameless(read(path)) == nameless(read(DATA / source))


def test_a_byte_order_mark_is_no_statement(tmp_path: Path) -> None:
    for name in ("library.ttl", "w3c-test.nt", "library.rdf", "library.jsonld"):
        found = read_text(tmp_path, b"\xef\xbb\xbf" + (DATA / name).read_bytes(), name)
        assert nameless(found) == nameless(read(DATA / name))
