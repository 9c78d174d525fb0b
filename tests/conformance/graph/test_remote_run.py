"""The fake remote graph is as unpleasant as it says, the same for the same seed, and its client keeps the ports."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipstream.domain.entities import EntityState
from slipstream.domain.errors import UnavailableError
from slipstream.domain.keys import entity_key
from slipstream.ports.graph import GraphTransaction
from slipstream.testkit.broken.remote import BoundsNothing, PassesHoles, StampsAfterReading
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.remote import CALM, ROUGH, RemoteDatabase, RemoteGraph, Trouble
from tests.conformance.graph.remote_run import run

HOPELESS = Trouble(unreached=0.1, unanswered=0.1)
"""A bad line whose trouble the caller hears of."""


@pytest.mark.parametrize("trouble", [CALM, ROUGH, HOPELESS], ids=["calm", "rough", "hopeless"])
@pytest.mark.parametrize("seed", range(12))
def test_a_client_keeps_the_ports_beside_another_writer(seed: int, trouble: Trouble) -> None:
    assert run(seed, trouble).problems() == []


@pytest.mark.parametrize("trouble", [CALM, HOPELESS], ids=["calm", "hopeless"])
def test_one_seed_gives_one_run(trouble: Trouble) -> None:
    assert run(7, trouble).trace == run(7, trouble).trace
    assert run(7, trouble).trace != run(8, trouble).trace


def test_the_fake_is_as_unpleasant_as_it_says() -> None:
    runs = [run(seed, HOPELESS) for seed in range(6)]
    assert all(each.holes for each in runs)
    assert all(each.trouble for each in runs)
    assert all(each.newer() for each in runs)


@pytest.mark.parametrize("broken", [StampsAfterReading, PassesHoles, BoundsNothing], ids=lambda kind: kind.__name__)
def test_a_broken_client_is_found_by_some_seed(broken: type[RemoteGraph]) -> None:
    assert any(run(seed, CALM, broken).problems() for seed in range(12))


def _opened(trouble: Trouble, seed: int = 0) -> RemoteGraph:
    return RemoteGraph(RemoteDatabase(ManualClock(), seed), ManualClock(), trouble)


def _number(graph: RemoteGraph) -> object:
    found = graph.read([entity_key("a")], {}).states[entity_key("a")]
    assert isinstance(found, EntityState)
    return found.entity.properties["n"]


def _counted(tx: GraphTransaction) -> None:
    """Count one delivery, however often it is tried."""
    if tx.once("delivery"):
        tx.upsert_entity("Person", "a", {"n": 1})


def _breaks_off(graph: RemoteGraph, trouble: Trouble, write: Callable[[GraphTransaction], None]) -> None:
    """Write, and have the line break when it commits."""
    with graph.transaction() as tx:
        write(tx)
        graph._line.trouble = trouble


def test_a_lost_acknowledgement_leaves_a_commit_that_a_repetition_does_not_double() -> None:
    calm = _opened(CALM)
    other = RemoteGraph(calm.database, ManualClock(), CALM)
    calm.create_entity("Person", "a", {"n": 0})
    with pytest.raises(UnavailableError):
        _breaks_off(other, Trouble(unanswered=1.0), _counted)
    with calm.transaction() as tx:  # waits until the lost one is there
        head = tx.position
        _counted(tx)
    assert (_number(calm), tx.position) == (1, head)


def test_a_commit_that_never_arrived_leaves_nothing_and_blocks_nobody() -> None:
    calm = _opened(CALM)
    calm.create_entity("Person", "a", {"n": 0})
    head = calm.feed.head()
    with pytest.raises(UnavailableError):
        _breaks_off(RemoteGraph(calm.database, ManualClock(), CALM), Trouble(unreached=1.0), _counted)
    assert (_number(calm), calm.feed.head()) == (0, head)
    with calm.transaction() as tx:
        _counted(tx)
    assert _number(calm) == 1


def test_a_commit_whose_client_is_gone_becomes_visible_in_its_own_time() -> None:
    calm = _opened(CALM, seed=3)

    def write(tx: GraphTransaction) -> None:
        for number in range(40):
            tx.create_entity("Person", f"p{number}", {})

    with pytest.raises(UnavailableError):
        _breaks_off(RemoteGraph(calm.database, ManualClock(), CALM), Trouble(unanswered=1.0), write)
    counts = [len(calm.scan(None, 100)) for _ in range(60)]
    assert counts == sorted(counts)
    assert 0 < counts[3] < 40
    assert counts[-1] == 40
