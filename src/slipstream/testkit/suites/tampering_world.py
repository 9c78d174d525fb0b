"""The real PKG that the tampering suite damages: a graph, its views, and what an audit of it must look like."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from slipstream.app.composition import DATA_FOLDER, Options, Wrapping, open_pkg
from slipstream.app.config import Config
from slipstream.app.slipstream import Slipstream
from slipstream.audit.findings import AuditReport
from slipstream.domain.entities import PropertyValue
from slipstream.domain.models import Space
from slipstream.ports.pkg import Mutations
from slipstream.ports.scans import scan_graph
from slipstream.testkit.embedders import HashEmbedder
from slipstream.testkit.suites.tampering_raw import RawStore
from slipstream.testkit.suites.tampering_ways import Victims
from slipstream.views.declaration import Via, View

DIMENSION = 16
PERSONS = 400
"""Persons in the graph; with their relationships enough for several leaves of the digest tree."""
_ORGANISATIONS = 4
_CITIES = ("Basel", "Bern", "Zug")
_PATIENCE_S = 60.0

_VIEWS = (
    View(
        "Person",
        "{{ name }} of {{ city }}{% for e in employer %} at {{ e.name }}{% endfor %}",
        {"employer": Via("WORKS_AT")},
        metadata=("city", "age"),
    ),
    View("KNOWS", "{{ source.name }} knows {{ target.name }}", is_relationship=True),
)


def open_world(directory: Path, config: Config, wrapping: Wrapping | None = None) -> Slipstream:
    """Open a PKG with the suite's views and model; the engine is stopped."""
    options = Options(views=_VIEWS, embedders=(HashEmbedder(dimension=DIMENSION),), wrapping=wrapping or Wrapping())
    directory.mkdir(parents=True, exist_ok=True)
    return open_pkg(directory, run=False, config=config, options=options)


def data_of(directory: Path) -> Path:
    """Return where a PKG keeps its stores."""
    return directory / DATA_FOLDER


def populate(pkg: Mutations) -> None:
    """Fill a graph: persons with their employers, and every second one knows the next."""
    with pkg.transaction() as tx:
        for number in range(_ORGANISATIONS):
            tx.create_entity("Organization", f"o{number}", {"name": f"organisation {number}"})
        for number in range(PERSONS):
            properties: dict[str, PropertyValue] = {
                "name": f"person {number}",
                "city": _CITIES[number % len(_CITIES)],
                "age": 20 + number,
                "source_document_id": f"document {number}",
                "extraction_confidence": number / 1_000,
            }
            tx.create_entity("Person", f"p{number:03}", properties)
            tx.relate(f"p{number:03}", "WORKS_AT", f"o{number % _ORGANISATIONS}")
        for number in range(0, PERSONS, 2):
            tx.relate(f"p{number:03}", "KNOWS", f"p{number + 1:03}", {"since": 2000 + number})


def edit(pkg: Mutations) -> None:
    """Change a graph in every way: with neighbours that render what has changed, and new parallel relationships."""
    with pkg.transaction() as tx:
        tx.update_entity("o1", {"name": "renamed organisation"})
        tx.update_entity("p010", {"name": "renamed person", "city": "Chur"})
        tx.delete_entity("p020")
        tx.unrelate("KNOWS:p030:p031")
        tx.create_entity("Person", "new", {"name": "new person", "city": "Zug", "age": 1})
        tx.relate("new", "KNOWS", "p040", {"since": 2026})
        tx.relate("p050", "KNOWS", "p051", {"since": 2026}, discriminator="again")


def groups_of(raw: RawStore) -> list[Victims]:
    """Cut the records into groups that have nothing in common."""
    keys, space = raw.keys(), Space.of(HashEmbedder(dimension=DIMENSION).spec)
    persons = [key for key in keys if key.startswith("e:p")]
    links = [key for key in keys if key.startswith("r:KNOWS")]
    pairs = zip(persons[::2], persons[1::2], links, strict=True)
    return [Victims(first, second, link, space) for first, second, link in pairs]


def graph_dump(slipstream: Slipstream) -> Mapping[str, object]:
    """Return everything that the graph holds, and how far its log is."""
    keys = [row.key for row in scan_graph(slipstream.pkg)]
    snapshot = slipstream.pkg.read(keys, {})
    return {key.encode(): state for key, state in snapshot.states.items()} | {"head": snapshot.position}


def found_by(report: AuditReport) -> dict[str, set[str]]:
    """Return the divergent keys of a report by class, without empty classes."""
    return {kind: {key.encode() for key in keys} for kind, keys in report.divergences.items() if keys}


def assert_found(report: AuditReport, wanted: Mapping[str, set[str]]) -> None:
    """Check that an audit found exactly these keys, each in its class."""
    found = {(kind, key) for kind, keys in found_by(report).items() for key in keys}
    expected = {(kind, key) for kind, keys in wanted.items() for key in keys}
    assert found == expected, (
        f"{report.kind} audit: overlooked {sorted(expected - found)}, invented {sorted(found - expected)}"
    )


def assert_agrees(report: AuditReport) -> None:
    """Check that an audit found both sides equal, down to the digests."""
    assert_found(report, {})
    assert report.is_consistent
    assert report.consistency == 1.0
    assert report.unsettled == 0
    assert report.graph_digest == report.index_digest
    assert report.graph_digest.records == report.total_embeddings > 0


def run_until_settled(slipstream: Slipstream) -> None:
    """Start the engine and wait until nothing is left to do."""
    slipstream.sync.start()
    assert slipstream.sync.drain(timeout_s=_PATIENCE_S)
