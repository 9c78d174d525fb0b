"""IRIs that mean something to the importer, and vocabularies whose prefix everybody knows."""

from __future__ import annotations

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
OWL = "http://www.w3.org/2002/07/owl#"
XSD = "http://www.w3.org/2001/XMLSchema#"
SKOS = "http://www.w3.org/2004/02/skos/core#"
SCHEMA = "http://schema.org/"
FOAF = "http://xmlns.com/foaf/0.1/"
DCTERMS = "http://purl.org/dc/terms/"
DC = "http://purl.org/dc/elements/1.1/"

RDF_TYPE, RDF_FIRST, RDF_REST, RDF_NIL = (f"{RDF}{name}" for name in ("type", "first", "rest", "nil"))
XSD_STRING = f"{XSD}string"

KNOWN = {
    SCHEMA: "schema",
    FOAF: "foaf",
    SKOS: "skos",
    DCTERMS: "dcterms",
    DC: "dc",
    "http://www.w3.org/ns/prov#": "prov",
    "http://www.w3.org/ns/dcat#": "dcat",
    "http://www.w3.org/2006/vcard/ns#": "vcard",
    "http://www.geneontology.org/formats/oboInOwl#": "oboInOwl",
    OWL: "owl",
    RDFS: "rdfs",
    RDF: "rdf",
}
"""Prefixes by namespace; of two terms with the same local name, the one whose vocabulary is not here has it."""

NAMING = (
    f"{SKOS}prefLabel",
    f"{RDFS}label",
    f"{SCHEMA}name",
    "https://schema.org/name",
    f"{FOAF}name",
    f"{DCTERMS}title",
    f"{DC}title",
)
"""What gives an entity its `name`, the first that it has; then any other predicate whose local name is `name`."""
