"""What audits read: relationships and neighbours that no view shows are none of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from slipstream.adapters.wrappers.faults import FaultyGraph
from slipstream.app.composition import Options, Wrapping, open_pkg
from slipstream.app.slipstream import Slipstream
from slipstream.audit.auditor import DEEP_ALL
from slipstream.domain.entities import EntityState, GraphSnapshot, Hop, KeyedType
from slipstream.domain.keys import KeyKind, RecordKey
from slipstream.testkit.embedders import HashEmbedder
from tests.integration.tamper_world import VIEWS, settle

LIKES = 40
"""Relationships that no view shows."""


class ReadGraph(FaultyGraph):
    """Notes which relationships a reader is given, as records, as neighbours, or as a number."""

    def begin(self) -> None:
        """Forget what was read."""
        self.relationships: set[str] = set()

    def read(self, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> GraphSnapshot:
        found = super().read(keys, hops)
        self.relationships |= {key.id.partition(":")[0] for key in keys if key.kind is KeyKind.RELATIONSHIP}
        for state in found.states.values():
            if isinstance(state, EntityState):
                self.relationships |= {hop.relationship_type for hop in state.neighbours}
        return found

    def scan(
        self, after: RecordKey | None, limit: int, relationship_types: Collection[str] | None = None
    ) -> Sequence[KeyedType]:
        found = super().scan(after, limit, relationship_types)
        self.relationships |= {row.type for row in found if row.key.kind is KeyKind.RELATIONSHIP}
        return found

    def counts(self, relationship_types: Collection[str] | None = None) -> Mapping[str, int]:
        found = super().counts(relationship_types)
        self.relationships |= found.keys() & {"LIKES", "KNOWS", "WORKS_AT"}
        return found


@pytest.fixture
def slipstream(tmp_path: Path) -> Iterator[Slipstream]:
    options = Options(views=VIEWS, embedders=(HashEmbedder(dimension=8),), wrapping=Wrapping())
    with open_pkg(tmp_path / "pkg", create=True, run=False, options=options) as slipstream:
        with slipstream.pkg.transaction() as tx:
            tx.create_entity("Organization", "acme", {"name": "Acme"})
            for number in range(8):
                tx.create_entity("Person", f"p{number}", {"name": f"person {number}", "city": "Bern", "age": number})
                tx.relate(f"p{number}", "WORKS_AT", "acme")
            tx.relate("p0", "KNOWS", "p1")
            for number in range(LIKES):
                tx.relate(f"p{number % 8}", "LIKES", f"p{(number + 1) % 8}", discriminator=str(number))
        settle(slipstream)
        yield slipstream


def test_relationships_that_no_view_shows_are_not_read(slipstream: Slipstream) -> None:
    graph = ReadGraph(slipstream.pkg, lambda _: None)
    auditor = slipstream.auditor
    auditor._graph = graph
    graph.begin()
    full = auditor.audit()
    assert full.is_consistent
    assert full.rows.graph == 8 + 1 + 1
    assert graph.relationships == {"KNOWS", "WORKS_AT"}
    graph.begin()
    assert auditor.audit(deep=DEEP_ALL).is_consistent
    assert graph.relationships == {"KNOWS", "WORKS_AT"}
    slipstream.pkg.update_entity("p3", {"name": "renamed"})
    settle(slipstream)
    graph.begin()
    incremental = auditor.audit_changes()
    assert (incremental.kind, incremental.is_consistent, incremental.total_entities) == ("incremental", True, 9)
    assert graph.relationships <= {"KNOWS", "WORKS_AT"}
    graph.begin()
    assert auditor.audit_sample(3).is_consistent
    assert graph.relationships <= {"KNOWS", "WORKS_AT"}


def test_numbers_of_some_relationships_are_those_of_all(slipstream: Slipstream) -> None:
    every = slipstream.pkg.counts()
    assert every == {"Organization": 1, "Person": 8, "WORKS_AT": 8, "KNOWS": 1, "LIKES": LIKES}
    assert slipstream.pkg.counts(()) == {"Organization": 1, "Person": 8}
    assert slipstream.pkg.counts(("KNOWS", "LIKES", "NONE")) == {
        name: count for name, count in every.items() if name != "WORKS_AT"
    }
