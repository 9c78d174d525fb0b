"""A restored graph over in-memory adapters: it is noticed, moved on and compared, wherever the process dies."""

from __future__ import annotations

import pytest

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.domain.errors import IncidentError
from slipstream.domain.journal_names import ADOPTED, RESTAMPED
from slipstream.domain.keys import entity_key
from slipstream.domain.log import Rescan
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion
from slipstream.domain.work import Lane, WorkItem
from slipstream.ports.sync_view import EntitySync
from slipstream.testkit.system import MemorySystem


def _people(system: MemorySystem, first: int, last: int, text: str) -> None:
    for number in range(first, last):
        system.graph.upsert_entity("Person", f"p{number}", {"name": f"{text} {number}"})


def _backed_up() -> tuple[MemorySystem, MemoryGraph]:
    """Return a system that has gone on for a day since its graph was copied."""
    system = MemorySystem()
    _people(system, 0, 20, "old")
    system.settle()
    backup = system.graph.copy()
    system.reopen()
    _people(system, 0, 10, "lost")
    system.graph.delete_entity("p15")
    system.graph.create_entity("Person", "lost", {"name": "never to be seen again", "age": 3})
    system.settle()
    system.write_back.leave(1.0)
    return system, backup


def _prove_whole(system: MemorySystem) -> None:
    system.settle()
    report = system.audit()
    assert report.is_consistent, report.divergences
    assert report.fresh == report.expected == report.total_embeddings == 20
    assert system.engine.frontier == system.graph.feed.head()
    system.write_back.finish()
    assert system.graph.sync_view.counts() == {EntitySync.FRESH: 20}
    position = system.graph.update_entity("p3", {"name": "after all that"})
    system.settle()
    stamp = system.stamp("p3")
    assert stamp is not None
    assert stamp.position >= position
    assert system.audit().is_consistent


@pytest.mark.parametrize("commits", [0, 1, 200])
def test_a_restored_graph_is_healed_whether_behind_or_ahead_again(
    commits: int, caplog: pytest.LogCaptureFixture
) -> None:
    system, backup = _backed_up()
    newest = system.graph.feed.head()
    system.graph = backup
    for number in range(commits):  # by somebody who has no index
        backup.update_entity("p7", {"name": f"elsewhere {number}"})
    seen = max(newest, backup.feed.head())
    assert (backup.feed.head() > newest) is (commits == 200)
    system.reopen(adopt=True)
    assert "taken for the truth" in caplog.text
    assert backup.feed.head() == seen + 1
    assert system.journal.get(ADOPTED) == str(seen + 1)
    assert list(backup.feed.read(seen, 10)) == [Rescan(Position(seen + 1))]
    _prove_whole(system)


def test_a_graph_that_was_healed_is_not_healed_again_though_the_process_died_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What was remembered of the other history says nothing of this one."""
    system = MemorySystem()
    _people(system, 0, 20, "old")
    system.settle()
    backup = system.graph.copy()
    for number in range(5):
        system.graph.update_entity("p1", {"name": f"lost {number}"})
    system.settle()
    system.maintenance.remember()
    for number in range(9):
        backup.update_entity("p7", {"name": f"elsewhere {number}"})
    system.graph = backup
    with pytest.raises(IncidentError, match=r"older than its index: its log says something else"):
        system.reopen()
    system.reopen(adopt=True)
    caplog.clear()
    system.reopen()
    assert caplog.text == ""
    _prove_whole(system)


def test_a_graph_that_only_goes_on_is_not_taken_for_a_restored_one(caplog: pytest.LogCaptureFixture) -> None:
    system = MemorySystem()
    _people(system, 0, 20, "old")
    system.settle()
    _people(system, 0, 3, "made by somebody who has no index")
    head = system.graph.feed.head()
    for _ in range(3):
        system.reopen()
    assert system.graph.feed.head() == head
    assert caplog.text == ""
    _prove_whole(system)


def test_a_graph_of_another_make_replaces_what_the_index_held() -> None:
    system = MemorySystem()
    _people(system, 0, 30, "first")
    system.settle()
    system.graph = MemoryGraph(system.clock, graph_id="another", virtual_time=True)
    _people(system, 100, 101, "second")
    with pytest.raises(IncidentError, match="another graph"):
        system.reopen()
    system.reopen(adopt=True)
    _people(system, 100, 120, "second")
    system.settle()
    assert system.audit().is_consistent
    assert system.stamp("p1") is None


STEPS = (
    "adopted.before",
    "adopted.after",
    "graph_id.before",
    "graph_id.after",
    "remembered.before",
    "incident.after",
)
FAILPOINTS = (
    "index.vacuum.before",
    "index.vacuum.after",
    "write_back.before",
    "timeline.before",
    "timeline.after",
    *STEPS,
)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("commits", [0, 200])
@pytest.mark.parametrize("failpoint", [*FAILPOINTS, "index.restamp.before", "restamped_schema_version.before"])
def test_dying_in_any_step_ends_healed(failpoint: str, commits: int, count: int) -> None:
    class Killed(BaseException):
        pass

    left = 0

    def hook(name: str) -> None:
        nonlocal left
        if left and name == failpoint:
            left -= 1
            if left == 0:
                raise Killed

    system, backup = _backed_up()
    system.hook = hook
    system.graph = backup
    for number in range(commits):
        backup.update_entity("p7", {"name": f"elsewhere {number}"})
    left = count
    try:
        system.reopen(adopt=True)
    except Killed:
        system.reopen(adopt=True)
    left = 0
    system.reopen(adopt=True)
    _prove_whole(system)


def test_unfinished_work_and_tombstones_of_the_lost_days_hold_nothing_up() -> None:
    system, backup = _backed_up()
    far = Position(system.graph.feed.head() + 1_000)
    system.journal.put_work([WorkItem(entity_key("p1"), Lane.RETRY, far, attempts=1, reason="retry")])
    system.index.delete([Deletion(entity_key("p15"), Position(far + 5))])
    system.graph = backup
    system.reopen(adopt=True)
    assert system.graph.feed.head() == far + 1
    _prove_whole(system)


def test_schema_versions_that_the_graph_has_no_more_are_taken_back() -> None:
    system, backup = _backed_up()
    assert system.graph.schema().version > backup.schema().version
    system.graph = backup
    system.reopen(adopt=True)
    assert int(system.journal.get(RESTAMPED) or 0) <= backup.schema().version
    system.graph.update_entity("p1", {"height": 180})  # the same number again, another schema
    system.settle()
    schema = system.graph.schema()
    stamps = [stamp for stamp in system.index.scan(None, 100) if stamp.key.kind.value == "e"]
    assert {(stamp.schema_version, stamp.schema_hash) for stamp in stamps} == {(schema.version, schema.hash)}
    _prove_whole(system)
