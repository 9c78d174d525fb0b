"""One change of a feed behind the fence of its row: order, identity, differences, what was not sent, changed keys."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.domain.entities import EntityState, RelationshipState
from slipstream.domain.errors import InvalidInputError, NotFoundError, SlipstreamError
from slipstream.domain.events import PKGEvent
from slipstream.domain.feed_changes import Change, Note, Place
from slipstream.domain.keys import RelationshipRef, entity_key, relationship_key
from slipstream.events.changing import ChangeWriter, Outcome
from slipstream.testkit.clock import ManualClock

APPLIED, DUPLICATE, OUTDATED = Outcome.APPLIED, Outcome.DUPLICATE, Outcome.OUTDATED
SPACE, NODES = "kg.public.note", "neo4j:a"


class Feed:
    """A graph, and changes that are applied to it, each in a transaction of its own."""

    def __init__(self) -> None:
        self.graph = MemoryGraph(ManualClock())
        self.notes: list[Note] = []
        self.tables: dict[str, str] = {}
        self._number = 0

    def write(self, *changes: Change) -> list[Outcome | InvalidInputError]:
        with self.graph.transaction() as tx:
            writer = ChangeWriter(tx, changes, self.tables, self.notes.append)
            outcomes = [writer.write(change) for change in changes]
            writer.finish()
        return outcomes

    def one(self, change: Change) -> Outcome | InvalidInputError:
        (outcome,) = self.write(change)
        return outcome

    def row(self, kind: str, name: str, order: int | None = None, data: Any = None, **more: Any) -> Change:
        """Return a change of a row of a table."""
        space, event = more.pop("space", SPACE), dict[str, Any](more.pop("event", {}))
        self._number += 1
        said = {
            "event_id": f"e{self._number}", "event_type": f"entity_{kind}", "entity_id": f"{space}:{name}",
            "entity_type": space.rpartition(".")[2], "timestamp": datetime.now(UTC), "schema_version": 1,
            "new_data": None if kind == "deleted" else dict(data or {}), **event,
        }  # fmt: skip
        text = None if order is None else f"{order:020d}"
        return Change(event=PKGEvent.parse(said), space=space, name=name, order=text, **more)

    def edge(self, kind: str, name: str, ends: tuple[str, str], order: int, **more: Any) -> Change:
        """Return a change of a relationship without a key, between nodes that are called by their element ids."""
        self._number += 1
        data = more.pop("data", {})
        said = {
            "event_id": f"e{self._number}", "event_type": f"relationship_{kind}",
            "entity_id": RelationshipRef("KNOWS", *ends).id, "entity_type": "KNOWS", "source_id": ends[0],
            "target_id": ends[1], "timestamp": datetime.now(UTC), "schema_version": 1,
            "new_data": None if kind == "deleted" else data,
        }  # fmt: skip
        number = name.rpartition(":")[2]
        return Change(
            event=PKGEvent.parse(said), space=NODES, name=name, order=f"{order:020d}", end_names=ends,
            fallback_discriminator=number, **more,
        )  # fmt: skip

    def properties(self, entity_id: str) -> Mapping[str, Any] | None:
        state = self.graph.read([entity_key(entity_id)], {}).states.get(entity_key(entity_id))
        return state.entity.properties if isinstance(state, EntityState) else None

    def edges(self) -> dict[str, Mapping[str, Any]]:
        keys = [item.key for item in self.graph.scan(None, 99) if item.key == relationship_key(item.key.id)]
        states = self.graph.read(keys, {}).states
        return {key.id: state.relationship.properties for key, state in states.items()
                if isinstance(state, RelationshipState)}  # fmt: skip


@pytest.fixture
def feed() -> Feed:
    return Feed()


def note(number: int | str) -> str:
    return f"{SPACE}:{number}"


# -------------------------------------------------------------------------------------------- order


def test_an_older_change_puts_nothing_old_back(feed: Feed) -> None:
    assert feed.one(feed.row("updated", "1", 20, {"title": "new"})) is APPLIED
    assert feed.one(feed.row("created", "1", 10, {"title": "snapshot"})) is OUTDATED
    assert feed.properties(note(1)) == {"title": "new"}


def test_orders_are_those_of_each_row(feed: Feed) -> None:
    assert feed.write(feed.row("created", "1", 20, {"a": 1}), feed.row("created", "2", 10, {"a": 2})) == [APPLIED] * 2


def test_the_same_order_is_the_same_change(feed: Feed) -> None:
    assert feed.one(feed.row("created", "1", 10, {"title": "a"})) is APPLIED
    assert feed.one(feed.row("created", "1", 10, {"title": "b"})) is DUPLICATE


def test_different_changes_of_one_millisecond_are_all_applied_and_replayed_harmlessly(feed: Feed) -> None:
    changes = [feed.row("updated", "1", 10, {"title": title}, has_ties=True) for title in "abc"]
    assert feed.write(*changes) == [APPLIED] * 3
    assert feed.write(*changes) == [DUPLICATE] * 3
    assert feed.properties(note(1)) == {"title": "c"}


def test_a_deletion_keeps_older_changes_away(feed: Feed) -> None:
    assert feed.one(feed.row("deleted", "1", 30)) is APPLIED  # it came before the creation did
    assert feed.one(feed.row("created", "1", 10, {"title": "a"})) is OUTDATED
    assert feed.properties(note(1)) is None
    assert feed.one(feed.row("created", "1", 40, {"title": "again"})) is APPLIED


def test_a_tombstone_says_a_deletion_once_more(feed: Feed) -> None:
    tombstone = feed.row("deleted", "1", place=Place("kg/0", 3, 3))
    changes = [feed.row("created", "1", 10, {"a": 1}), feed.row("deleted", "1", 20), tombstone]
    assert feed.write(*changes) == [APPLIED, APPLIED, DUPLICATE]
    assert feed.one(feed.row("created", "1", 30, {"a": 2})) is APPLIED
    assert feed.one(tombstone) is DUPLICATE  # redelivered
    assert feed.properties(note(1)) == {"a": 2}


def test_a_tombstone_alone_is_a_deletion(feed: Feed) -> None:
    feed.one(feed.row("created", "1", data={"a": 1}, place=Place("kg/0", 1, 1)))
    assert feed.one(feed.row("deleted", "1", place=Place("kg/0", 2, 2))) is APPLIED
    assert feed.properties(note(1)) is None


@pytest.mark.parametrize(
    ("log", "offset", "at_ms", "outcome"),
    [("kg/0", 5, 5, DUPLICATE), ("kg/0", 7, 8, APPLIED), ("kg/1", 5, 5, APPLIED), ("kg/0", 0, 9, APPLIED)],
    ids=["redelivered", "next", "another log", "the topic was made anew"],
)
def test_without_an_order_the_place_in_the_log_tells(
    feed: Feed, log: str, offset: int, at_ms: int, outcome: Outcome
) -> None:
    feed.one(feed.row("created", "1", data={"a": 1}, place=Place("kg/0", 6, 6)))
    assert feed.one(feed.row("updated", "1", data={"a": 2}, place=Place(log, offset, at_ms))) is outcome


def test_a_row_without_an_order_keeps_the_order_that_there_was(feed: Feed) -> None:
    feed.one(feed.row("updated", "1", 20, {"a": 2}))
    assert feed.one(feed.row("created", "1", data={"a": 3})) is APPLIED  # of an incremental snapshot
    assert feed.one(feed.row("updated", "1", 10, {"a": 1})) is OUTDATED


def test_a_value_that_comes_back_without_order_and_place_is_told(feed: Feed) -> None:
    one, two = ({"event": {"event_id": event_id}} for event_id in ("one", "two"))
    feed.write(feed.row("updated", "1", None, {"v": 1}, **one), feed.row("updated", "1", None, {"v": 2}, **two))
    assert feed.one(feed.row("updated", "1", None, {"v": 2}, **two)) is DUPLICATE
    assert feed.notes == []
    assert feed.one(feed.row("updated", "1", None, {"v": 1}, **one)) is DUPLICATE
    assert [note.column for note in feed.notes] == [SPACE]


def test_an_empty_text_is_a_key_too(feed: Feed) -> None:
    feed.write(feed.row("created", "", 20, {"a": 1}), feed.row("created", "1", 20, {"a": 1}))
    assert feed.one(feed.row("updated", "", 10, {"a": 0})) is OUTDATED
    assert feed.properties(note("")) == {"a": 1}


def test_ids_of_the_graph_s_own_are_applied_once(feed: Feed) -> None:
    event = feed.row("created", "1", data={"a": 1}).event
    assert feed.write(Change(event=event), Change(event=event)) == [APPLIED, DUPLICATE]


# ------------------------------------------------------------------------------- state or difference


def test_a_whole_state_removes_what_it_lacks(feed: Feed) -> None:
    feed.write(
        feed.row("created", "1", 1, {"title": "a", "colour": "red"}), feed.row("updated", "1", 2, {"title": "b"})
    )
    assert feed.properties(note(1)) == {"title": "b"}


def test_a_difference_is_merged_and_changes_the_type(feed: Feed) -> None:
    feed.one(feed.row("created", "1", 1, {"title": "a", "rating": 4}))
    changed = feed.row("updated", "1", 2, {"rating": None, "x": 1}, is_whole=False, event={"entity_type": "Idea"})
    assert feed.one(changed) is APPLIED
    assert feed.properties(note(1)) == {"title": "a", "x": 1}
    assert feed.graph.counts() == {"Idea": 1}


def test_a_difference_without_its_base_is_refused(feed: Feed) -> None:
    with pytest.raises(NotFoundError, match="only what has changed of it: take a snapshot"):
        feed.one(feed.row("updated", "1", 2, {"a": 1}, is_whole=False))
    assert feed.graph.counts() == {}
    feed.one(feed.row("created", "1", 1, {"a": 0}))
    assert feed.one(feed.row("updated", "1", 2, {"a": 1}, is_whole=False)) is APPLIED  # the letter, replayed


def test_a_difference_of_a_deleted_row_is_refused(feed: Feed) -> None:
    feed.write(feed.row("created", "1", 1, {"a": 0}), feed.row("deleted", "1", 2))
    with pytest.raises(NotFoundError):
        feed.one(feed.row("updated", "1", 3, {"a": 1}, is_whole=False))


def test_what_was_not_sent_stays(feed: Feed) -> None:
    feed.one(feed.row("created", "1", 1, {"title": "a", "body": "long"}))
    feed.one(feed.row("updated", "1", 2, {"title": "b"}, unsent=frozenset({"body", "never"})))
    assert feed.properties(note(1)) == {"title": "b", "body": "long"}
    assert feed.notes == []


def test_what_was_not_sent_of_a_new_row_is_absent_and_told(feed: Feed) -> None:
    assert feed.one(feed.row("created", "1", 1, {"title": "a"}, unsent=frozenset({"body"}))) is APPLIED
    assert feed.properties(note(1)) == {"title": "a"}
    assert [told.column for told in feed.notes] == [f"{SPACE}.body"]


def test_what_was_not_sent_of_an_unknown_row_is_refused(feed: Feed) -> None:
    with pytest.raises(NotFoundError, match="take a snapshot"):
        feed.one(feed.row("updated", "1", 2, {"title": "b"}, unsent=frozenset({"body"})))


def test_what_no_graph_can_keep_is_left_out_and_told(feed: Feed) -> None:
    feed.one(feed.row("created", "1", 1, {"title": "a", "_version": 3}))
    assert feed.properties(note(1)) == {"title": "a"}
    assert [told.column for told in feed.notes] == ["note._version"]


# -------------------------------------------------------------------------------------- changed keys


def moved(feed: Feed) -> dict[str, Change]:
    """Return the two messages of a key that changed from 5 to 50, where the long body was not sent."""
    return {
        "gone": feed.row("deleted", "5", 20, new_name="50"),
        "new": feed.row("created", "50", 20, {"title": "b"}, old_name="5", unsent=frozenset({"body"})),
    }


@pytest.mark.parametrize("first", ["gone", "new"])
def test_a_changed_key_takes_along_what_was_not_sent(feed: Feed, first: str) -> None:
    feed.one(feed.row("created", "5", 10, {"title": "a", "body": "long"}))
    both = moved(feed)
    assert feed.write(both.pop(first), *both.values()) == [APPLIED, APPLIED]
    assert feed.properties(note(50)) == {"title": "b", "body": "long"}
    assert feed.properties(note(5)) is None


def test_a_changed_key_is_given_what_comes_late(feed: Feed) -> None:
    both = moved(feed)
    assert feed.one(both["new"]) is APPLIED  # the log with the old row is read later
    assert feed.properties(note(50)) == {"title": "b"}
    feed.one(feed.row("updated", "50", 25, {"title": "c"}, unsent=frozenset({"body"})))
    feed.write(feed.row("created", "5", 10, {"title": "a", "body": "short"}),
               feed.row("updated", "5", 15, {"title": "a", "body": "long"}), both["gone"])  # fmt: skip
    assert feed.properties(note(50)) == {"title": "c", "body": "long"}
    assert feed.properties(note(5)) is None


def test_what_was_sent_since_is_not_taken_from_the_old_key(feed: Feed) -> None:
    both = moved(feed)
    feed.write(both["new"], feed.row("updated", "50", 30, {"title": "c", "body": "newest"}))
    feed.write(feed.row("created", "5", 10, {"title": "a", "body": "long"}), both["gone"])
    assert feed.properties(note(50)) == {"title": "c", "body": "newest"}


def test_relationships_follow_a_changed_key(feed: Feed) -> None:
    feed.one(feed.row("created", "5", 10, {"title": "a"}))
    with feed.graph.transaction() as tx:
        tx.create_entity("Topic", "sea")
        tx.relate(note(5), "ABOUT", "sea")
    feed.write(*moved(feed).values())
    assert list(feed.edges()) == [RelationshipRef("ABOUT", note(50), "sea").id]


def test_a_key_that_was_there_before_stays_closed_to_older_changes(feed: Feed) -> None:
    feed.write(feed.row("created", "50", 3, {"title": "old"}), feed.row("deleted", "50", 4))
    feed.one(feed.row("created", "5", 10, {"title": "a", "body": "long"}))
    both = moved(feed)
    assert feed.write(both["gone"], feed.row("created", "50", 3, {"title": "old"})) == [APPLIED, OUTDATED]
    assert feed.one(both["new"]) is APPLIED
    assert feed.properties(note(50)) == {"title": "b", "body": "long"}


def test_an_old_key_that_is_another_row_by_now_is_left_alone(feed: Feed) -> None:
    feed.one(feed.row("created", "5", 40, {"title": "another", "body": "its own"}))
    both = moved(feed)
    assert feed.write(both["new"], both["gone"]) == [APPLIED, OUTDATED]
    assert feed.properties(note(50)) == {"title": "b"}
    assert feed.properties(note(5)) == {"title": "another", "body": "its own"}


# ------------------------------------------------------------------------------------------ identity


def test_two_tables_with_bare_names_do_not_share_an_entity(feed: Feed) -> None:
    bare: dict[str, Any] = {"event": {"entity_id": "1"}}
    feed.one(feed.row("created", "1", 1, {"name": "ACME"}, space="kg.public.company", **bare))
    with pytest.raises(InvalidInputError, match=r"is the id of row '1' of kg\.public\.company already.*--id-prefix"):
        feed.one(feed.row("created", "1", 2, {"name": "Ada"}, space="kg.public.person", **bare))
    assert feed.properties("1") == {"name": "ACME"}


def test_a_deletion_in_another_table_of_bare_names_takes_nothing(feed: Feed) -> None:
    bare: dict[str, Any] = {"event": {"entity_id": "1"}}
    feed.one(feed.row("created", "1", 1, {"name": "ACME"}, space="kg.public.company", **bare))
    assert feed.one(feed.row("deleted", "1", 3, space="kg.public.person", **bare)) is OUTDATED
    assert feed.one(feed.row("deleted", "1", space="kg.public.person", **bare)) is OUTDATED  # its tombstone
    assert feed.properties("1") == {"name": "ACME"}


def test_tables_of_two_schemas_with_one_name_do_not_share_an_entity(feed: Feed) -> None:
    by_type: dict[str, Any] = {"event": {"entity_id": "person:1"}}
    feed.one(feed.row("created", "1", 1, {"name": "Ada"}, space="kg.public.person", **by_type))
    with pytest.raises(InvalidInputError, match=r"is the id of row '1' of kg\.public\.person already"):
        feed.one(feed.row("created", "1", 2, {"name": "Bob"}, space="kg.crm.person", **by_type))
    assert feed.one(feed.row("deleted", "1", 3, space="kg.crm.person", **by_type)) is OUTDATED
    assert feed.properties("person:1") == {"name": "Ada"}


def test_a_row_is_not_written_over_an_entity_of_another_type(feed: Feed) -> None:
    bare: dict[str, Any] = {"event": {"entity_id": "1"}}
    with feed.graph.transaction() as tx:
        tx.create_entity("Person", "1", {"name": "Ada"})
    with pytest.raises(InvalidInputError, match=r"'1' is the id of an entity of type 'Person' already.*--id-prefix"):
        feed.one(feed.row("created", "1", 1, {"title": "a"}, **bare))
    assert feed.one(feed.row("deleted", "1", 2, **bare)) is OUTDATED
    assert feed.properties("1") == {"name": "Ada"}


@pytest.mark.parametrize(("label", "space"), [("note", SPACE), ("Person", NODES)])
def test_what_was_imported_is_gone_on_with(feed: Feed, label: str, space: str) -> None:
    with feed.graph.transaction() as tx:
        tx.create_entity(label, "1", {"name": "Ada"})
    assert feed.one(feed.row("created", "1", 1, {"name": "B"}, space=space, event={"entity_id": "1"})) is APPLIED
    assert feed.properties("1") == {"name": "B"}


def test_what_was_not_sent_is_never_taken_from_another_table(feed: Feed) -> None:
    feed.one(feed.row("created", "1", 1, {"body": "ACME's"}, space="kg.public.company", event={"entity_id": "1"}))
    moved = feed.row("created", "2", 2, {"v": 1}, old_name="1", unsent=frozenset({"body"}), event={"entity_id": "2"})
    assert (feed.one(moved), feed.properties("2")) == (APPLIED, {"v": 1})


def test_a_feed_under_a_new_name_goes_on_with_its_entities(feed: Feed) -> None:
    bare: dict[str, Any] = {"event": {"entity_id": "1"}}
    feed.one(feed.row("created", "1", 9, {"name": "ACME"}, space="kg.public.company", **bare))
    assert feed.one(feed.row("created", "1", 1, {"name": "New"}, space="kg2.public.company", **bare)) is APPLIED
    assert feed.properties("1") == {"name": "New"}


def test_two_nodes_of_one_business_key_are_two(feed: Feed) -> None:
    feed.one(feed.row("created", "4:a:1", 1, {"name": "A"}, space=NODES, event={"entity_id": "n1"}))
    with pytest.raises(InvalidInputError, match="--id-prefix"):
        feed.one(feed.row("created", "4:a:2", 2, {"name": "B"}, space=NODES, event={"entity_id": "n1"}))
    late = feed.row("deleted", "4:a:2", 3, space=NODES, event={"entity_id": "n1"})
    assert feed.one(late) is OUTDATED
    assert feed.properties("n1") == {"name": "A"}


def test_a_node_that_is_deleted_leaves_its_business_key_to_the_next(feed: Feed) -> None:
    one, two = ({"space": NODES, "event": {"entity_id": "n1"}} for _ in range(2))
    feed.write(feed.row("created", "4:a:1", 1, {"name": "A"}, **one), feed.row("deleted", "4:a:1", 2, **one))
    assert feed.one(feed.row("created", "4:a:2", 3, {"name": "B"}, **two)) is APPLIED
    assert feed.properties("n1") == {"name": "B"}


def test_a_node_whose_business_key_changes_is_the_same_node(feed: Feed) -> None:
    feed.one(feed.row("created", "4:a:1", 1, {"name": "A"}, space=NODES, event={"entity_id": "n1"}))
    with feed.graph.transaction() as tx:
        tx.create_entity("Topic", "sea")
        tx.relate("n1", "ABOUT", "sea")
    feed.one(feed.row("updated", "4:a:1", 2, {"name": "B"}, space=NODES, event={"entity_id": "n2"}))
    assert (feed.properties("n1"), feed.properties("n2")) == (None, {"name": "B"})
    assert list(feed.edges()) == ["ABOUT:n2:sea"]


def test_a_node_that_says_its_element_id_only_is_looked_up(feed: Feed) -> None:
    unnamed: dict[str, Any] = {"space": NODES, "is_whole": False, "id_by_name": True, "event": {"entity_id": "4:a:1"}}
    with pytest.raises(NotFoundError, match="the node '4:a:1' is not known here"):
        feed.one(feed.row("updated", "4:a:1", 2, {"name": "B"}, **unnamed))
    feed.one(feed.row("created", "4:a:1", 1, {"name": "A", "x": 1}, space=NODES, event={"entity_id": "n1"}))
    assert feed.one(feed.row("updated", "4:a:1", 2, {"name": "B"}, **unnamed)) is APPLIED
    assert feed.properties("n1") == {"name": "B", "x": 1}
    assert feed.one(feed.row("deleted", "4:a:1", 3, **unnamed)) is APPLIED
    assert feed.graph.counts() == {}


# ------------------------------------------------------------------------------------- relationships


@pytest.fixture
def nodes(feed: Feed) -> Feed:
    for number in (1, 2):
        feed.one(feed.row("created", f"4:a:{number}", number, {}, space=NODES, event={"entity_id": f"n{number}"}))
    return feed


ENDS = ("4:a:1", "4:a:2")


def test_ends_are_known_by_their_element_ids(nodes: Feed) -> None:
    assert nodes.one(nodes.edge("created", "5:a:7", ENDS, 3, data={"since": 1})) is APPLIED
    assert nodes.edges() == {"KNOWS:n1:n2": {"since": 1}}
    with pytest.raises(NotFoundError, match="the node '4:a:9' is not known here"):
        nodes.one(nodes.edge("created", "5:a:8", ("4:a:1", "4:a:9"), 4))


def test_parallel_relationships_without_keys_are_told_apart(nodes: Feed) -> None:
    for number, since in (("7", 1), ("8", 2)):
        nodes.one(nodes.edge("created", f"5:a:{number}", ENDS, int(number), data={"since": since}))
    assert nodes.edges() == {"KNOWS:n1:n2": {"since": 1}, "KNOWS:n1:n2:8": {"since": 2}}
    nodes.one(nodes.edge("updated", "5:a:8", ENDS, 9, data={"since": 3}))
    nodes.one(nodes.edge("deleted", "5:a:7", ENDS, 10))
    assert nodes.edges() == {"KNOWS:n1:n2:8": {"since": 3}}


def test_an_imported_relationship_is_the_one_of_its_number(nodes: Feed) -> None:
    with nodes.graph.transaction() as tx:
        tx.relate("n1", "KNOWS", "n2", {"first": True})
        tx.relate("n1", "KNOWS", "n2", {"second": True}, discriminator="8")
    nodes.one(nodes.edge("updated", "5:a:8", ENDS, 3, data={"second": False}))
    nodes.one(nodes.edge("updated", "5:a:7", ENDS, 4, data={"first": False}))
    assert nodes.edges() == {"KNOWS:n1:n2": {"first": False}, "KNOWS:n1:n2:8": {"second": False}}


def test_a_difference_of_a_relationship_is_merged_or_refused(nodes: Feed) -> None:
    with pytest.raises(NotFoundError, match="only what has changed of it"):
        nodes.one(nodes.edge("updated", "5:a:7", ENDS, 4, data={"role": "b"}, is_whole=False))
    nodes.one(nodes.edge("created", "5:a:7", ENDS, 3, data={"since": 1, "role": "a"}))
    nodes.one(nodes.edge("updated", "5:a:7", ENDS, 4, data={"role": "b"}, is_whole=False))
    assert nodes.edges() == {"KNOWS:n1:n2": {"since": 1, "role": "b"}}


def test_parallel_relationships_are_told_apart_behind_a_changed_business_key(nodes: Feed) -> None:
    between = ("4:a:1", "4:a:2")
    nodes.one(nodes.edge("created", "5:a:7", between, 3, data={"w": 7}))
    nodes.one(nodes.row("updated", "4:a:1", 4, {}, space=NODES, event={"entity_id": "new", "entity_type": "Person"}))
    nodes.one(nodes.edge("created", "5:a:8", between, 5, data={"w": 8}))
    assert sorted(found["w"] for found in nodes.edges().values()) == [7, 8]


def test_a_relationship_goes_after_its_ends(nodes: Feed) -> None:
    nodes.one(nodes.edge("created", "5:a:7", ENDS, 3))
    gone = nodes.row("deleted", "4:a:1", 4, space=NODES, event={"entity_id": "n1"})
    assert nodes.write(gone, nodes.edge("deleted", "5:a:7", ENDS, 5)) == [APPLIED, APPLIED]
    assert nodes.edges() == {}


# ----------------------------------------------------------------------------------------- partitions

ROW = {"title": "Regatta", "year": 2025}


def test_the_rows_of_a_partition_are_refused(feed: Feed) -> None:
    feed.one(feed.row("created", "1", 5, ROW, space="kg.public.event"))
    for order, data in ((5, ROW), (6, {**ROW, "title": "Regatta!"})):
        refusal = feed.one(feed.row("created", "1", order, data, space="kg.public.event_2025"))
        assert "--table event_2025=event" in str(refusal)
    assert feed.graph.counts() == {"event": 1}


@pytest.mark.parametrize(
    ("space", "order", "data"),
    [("kg.public.event_item", 5, {"title": "Item"}), ("kg.public.event_item", 6, ROW), ("kg.public.events", 5, ROW)],
    ids=["another row", "another place", "another name"],
)
def test_a_table_with_a_longer_name_is_a_table_of_its_own(feed: Feed, space: str, order: int, data: Any) -> None:
    feed.one(feed.row("created", "1", 5, ROW, space="kg.public.event"))
    assert feed.one(feed.row("created", "1", order, data, space=space)) is APPLIED
    assert sum(feed.graph.counts().values()) == 2


def test_a_table_that_the_user_has_told_of_is_no_partition(feed: Feed) -> None:
    feed.one(feed.row("created", "1", 5, ROW, space="kg.public.event"))
    assert isinstance(feed.one(feed.row("created", "1", 5, ROW, space="kg.public.event_2025")), InvalidInputError)
    feed.tables["event_2025"] = "event_2025"
    assert feed.one(feed.row("created", "1", 5, ROW, space="kg.public.event_2025")) is APPLIED


def test_what_is_refused_without_an_order_is_applied_when_it_is_replayed(feed: Feed) -> None:
    feed.write(feed.row("created", "1", 1), feed.row("created", "1", 1, space=f"{SPACE}_2025"))
    later = feed.row("created", "2", None, {"v": 2}, space=f"{SPACE}_2025")
    assert isinstance(feed.one(later), InvalidInputError)
    feed.tables = {"note_2025": "note_2025"}
    assert feed.one(later) is APPLIED
    assert feed.properties(f"{SPACE}_2025:2") == {"v": 2}


def test_a_change_that_fails_leaves_no_fence(feed: Feed) -> None:
    with pytest.raises(SlipstreamError):
        feed.write(feed.row("created", "1", 9, {"a": 1}), feed.row("updated", "2", 9, {"a": 1}, is_whole=False))
    assert feed.one(feed.row("created", "1", 8, {"a": 0})) is APPLIED
