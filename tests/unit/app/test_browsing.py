"""Looking around in a graph: one that lists entities by type, and one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.app.browsing import Browsing
from slipstream.app.pkg import PKG, GraphPorts
from slipstream.domain.entities import Entity
from slipstream.domain.errors import InvalidInputError, NotFoundError
from slipstream.domain.positions import ORIGIN
from slipstream.testkit.clock import ManualClock


class Looking(Browsing):
    """Looks around in one graph."""

    def __init__(self, pkg: PKG) -> None:
        self._pkg = pkg

    @property
    def pkg(self) -> PKG:
        """The graph."""
        return self._pkg


@pytest.fixture(params=["memory", "sqlite"])
def looking(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Looking]:
    """Return somebody who looks around in a hub with five spokes."""
    clock = ManualClock()
    graph = MemoryGraph(clock) if request.param == "memory" else SqliteGraph(tmp_path / "graph.db", clock=clock)
    ports = GraphPorts(
        reader=graph, writer=graph, feed=graph.feed, marks=graph, sync_view=graph.sync_view, close=graph.close
    )
    pkg = PKG(ports)
    with pkg.transaction() as tx:
        tx.create_entity("Hub", "hub", {"name": "The hub"})
        for n in range(5):
            tx.create_entity("Spoke", f"s{n}", {"n": n})
            tx.relate("hub", "TO", f"s{n}", {"weight": n})
        tx.relate("s0", "FROM", "hub")
        tx.relate("hub", "SELF", "hub")
    yield Looking(pkg)
    pkg.close()


def _pages(looking: Looking, **options: object) -> list[tuple[str, str, str]]:
    found, after = [], None
    while True:
        page = looking.neighbours("hub", after=after, limit=2, **options)  # type: ignore[arg-type]
        found += [(row.direction.value, row.relationship_type, row.entity_id) for row in page.items]
        after = page.next
        if after is None:
            return found


def test_one_entity_and_one_relationship_are_returned_as_they_are(looking: Looking) -> None:
    assert looking.get("s3") == Entity("s3", "Spoke", {"n": 3})
    assert [found.id for found in looking.find(["s2", "nobody", "s1"])] == ["s2", "s1"]
    assert looking.relationship("TO:hub:s4").properties == {"weight": 4}
    with pytest.raises(NotFoundError, match="nobody"):
        looking.get("nobody")
    with pytest.raises(NotFoundError, match="TO:hub:s9"):
        looking.relationship("TO:hub:s9")


@pytest.mark.parametrize("entity_type", [None, "Spoke"])
def test_entities_come_once_each_page_by_page(looking: Looking, entity_type: str | None) -> None:
    found, after = [], None
    while True:
        page = looking.entities(entity_type, after=after, limit=2)
        found += [entity.id for entity in page.items]
        after = page.next
        if after is None:
            break
    assert sorted(found) == [*(["hub"] if entity_type is None else []), "s0", "s1", "s2", "s3", "s4"]
    assert looking.entities("Nothing").items == ()


def test_neighbours_come_once_for_each_direction_and_can_be_narrowed(looking: Looking) -> None:
    outgoing = [("out", "SELF", "hub"), *(("out", "TO", f"s{n}") for n in range(5))]
    incoming = [("in", "FROM", "s0"), ("in", "SELF", "hub")]
    assert _pages(looking) == [*incoming, *outgoing]
    assert _pages(looking, direction="out") == outgoing
    assert _pages(looking, direction="in") == incoming
    assert _pages(looking, relationship_type="TO") == outgoing[1:]
    row = looking.neighbours("s4").items[0]
    assert (row.relationship_id, row.entity_type, row.name, row.properties) == (
        "TO:hub:s4",
        "Hub",
        "The hub",
        {"weight": 4},
    )


def test_wrong_arguments_are_named(looking: Looking) -> None:
    with pytest.raises(NotFoundError):
        looking.neighbours("nobody")
    for wrong in ({"after": "]"}, {"after": '["up","a","b",""]'}, {"direction": "up"}, {"limit": 0}):
        with pytest.raises(InvalidInputError) as caught:
            looking.neighbours("hub", **wrong)
        assert caught.value.field in wrong


def test_changes_are_told_in_order_with_what_differs(looking: Looking) -> None:
    position = looking.pkg.update_entity("s1", {"n": 10, "name": "one"})
    page = looking.changes(ORIGIN, limit=3)
    rest = looking.changes(page.next, limit=1_000)
    assert [change.position for change in (*page.items, *rest.items)] == list(range(1, position + 1))
    last = rest.items[-1]
    assert (last.kind, last.id, last.type, last.changed) == ("entity_updated", "s1", "Spoke", ("n", "name"))
    assert looking.changes(position).items == ()
    assert looking.changes(position).next == rest.head == position
