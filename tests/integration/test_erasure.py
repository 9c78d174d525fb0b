"""An entity is erased: not one of its words is left in any file, and everything else is as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import EntityState
from slipstream.domain.errors import UnavailableError
from slipstream.domain.keys import entity_key
from slipstream.signing.documents import verify
from slipstream.testkit.embedders import HashEmbedder
from tests.integration.erasure_world import (
    ID,
    MENTION,
    NEW,
    OLD,
    WORDS,
    build_next,
    fill,
    is_known,
    leave_traces,
    opened,
    options,
    traces,
)

INDEXES = ["sqlite", "chroma"]
OWN_TEXT = "zyxilda"


def _others(found: list[list[str]]) -> list[list[str]]:
    """Leave out the neighbour that names the entity in a text of its own."""
    return [trace for trace in found if OWN_TEXT not in trace[1].lower()]


def _bio(slip: Slipstream, entity_id: str) -> object:
    state = slip.pkg.read([entity_key(entity_id)], {}).states[entity_key(entity_id)]
    assert isinstance(state, EntityState)
    return state.entity.properties["bio"]


@pytest.mark.parametrize("adapter", INDEXES)
def test_no_word_of_it_is_left_in_any_file(tmp_path: Path, adapter: str) -> None:
    with opened(tmp_path, adapter) as slip:
        fill(slip)
        build_next(slip)
        leave_traces(slip)
        before = {word for word in WORDS if any(word in trace[1] for trace in traces(tmp_path))}
        assert before == set(WORDS), f"a test of nothing: {set(WORDS) - before} are nowhere before"

        done = slip.erase(ID, with_neighbours_text=True, reference="ticket 12")

        assert traces(tmp_path) == []
        assert not is_known(slip)
        assert done.was_there
        assert done.relationships == 9
        assert done.neighbours_changed == 1
        assert done.files
        assert all(file.mentions_left == 0 for file in done.files)
        assert slip.verify(incremental=True).is_consistent
        report = slip.verify(deep=10_000)
        assert report.is_consistent, report.summary()
        assert slip.migrations.audit().is_consistent
        for kept in slip.audits.audits(None, 10):
            verify(kept.report)  # also those of which findings were erased: they are signed anew
    assert traces(tmp_path) == []
    with opened(tmp_path, adapter) as slip:
        assert slip.incident is None
        assert slip.verify().is_consistent
        assert traces(tmp_path) == []


@pytest.mark.parametrize("adapter", INDEXES)
def test_neighbours_keep_their_own_texts_unless_asked(tmp_path: Path, adapter: str) -> None:
    with opened(tmp_path, adapter) as slip:
        fill(slip)
        done = slip.erase(ID)
        assert _others(traces(tmp_path)) == []
        assert _bio(slip, "p3") == MENTION
        assert sum(file.mentions_left for file in done.files) > 0
        assert slip.verify(deep=10_000).is_consistent


def test_files_in_which_chroma_has_written_it_are_built_anew(tmp_path: Path) -> None:
    with opened(tmp_path, "chroma") as slip:
        fill(slip, people=300)
        with slip.pkg.transaction() as tx:  # so many changes more that it writes the ones before into its files
            for number in range(300):
                tx.update_entity(f"p{number}", {"bio": "some more"})
        assert slip.sync.drain(timeout_s=60)
        assert any("index_metadata.pickle" in trace[0] for trace in traces(tmp_path, [ID]))
        slip.erase(ID)
        assert _others(traces(tmp_path)) == []
        assert slip.verify(deep=10_000).is_consistent
    assert _others(traces(tmp_path)) == []


def test_the_receipt_is_signed_and_tells_nothing_of_the_entity(tmp_path: Path) -> None:
    with opened(tmp_path) as slip:
        fill(slip)
        done = slip.erase(ID, reference="ticket 12")
        assert done.receipt is not None
        text = Path(done.receipt).read_text()
        assert not [word for word in WORDS if word.lower() in text.lower()]
        document = json.loads(text)
        assert document["reference"] == "ticket 12"
        assert document["position"] == done.position
        verify(document)
        assert slip.erase(done.mark).document == document  # asked for again by what stands for it


def test_a_rehearsal_counts_and_changes_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as slip:
        fill(slip)
        leave_traces(slip)
        head = slip.pkg.feed.head()
        told = slip.erase(ID, dry_run=True, with_neighbours_text=True)
        assert slip.pkg.feed.head() == head
        assert is_known(slip)
        assert told.receipt is None
        assert told.neighbours_changed == 1
        places = {place.place: place.removed for place in told.places}
        assert places["dead letters"] == 1
        assert places["change log"] >= 11
        assert places["index records of all generations"] == 10  # it, and nine relationships
        assert len(slip.list_dead_letters()) == 1
        assert not (tmp_path / "receipts").exists()


def test_what_was_deleted_before_is_erased_too(tmp_path: Path) -> None:
    with opened(tmp_path) as slip:
        fill(slip)
        slip.pkg.delete_entity(ID)
        assert slip.sync.drain(timeout_s=60)
        assert _others(traces(tmp_path))
        done = slip.erase(ID)
        assert not done.was_there
        assert done.position is None
        assert _others(traces(tmp_path)) == []
        assert slip.verify().is_consistent


def test_an_id_that_nothing_knows_gets_a_receipt_that_says_so(tmp_path: Path) -> None:
    with opened(tmp_path) as slip:
        fill(slip)
        done = slip.erase("nobody-of-this-name")
        assert not done.was_there
        anybodys = ("cache of embeddings", "words of the word index")  # what any change has left
        assert sum(place.removed for place in done.places if place.place not in anybodys) <= 1  # the erasure itself
        assert slip.verify().is_consistent


@pytest.mark.parametrize("failure", [UnavailableError("down"), OSError("fails on each key")])
def test_a_model_that_is_down_is_not_waited_for(tmp_path: Path, failure: Exception) -> None:
    model = HashEmbedder(dimension=16, id=OLD)
    with opened(tmp_path, given=options((model, HashEmbedder(dimension=16, id=NEW)))) as slip:
        fill(slip)
        model.fail_with = failure
        done = slip.erase(ID)
        assert done.vectors_removed > 0
        assert _others(traces(tmp_path)) == []
        model.fail_with = None
        slip.replay_dead_letters()
        assert slip.sync.drain(timeout_s=60)
        assert slip.verify(deep=10_000).is_consistent
        assert slip.store.index.stamps([entity_key("p1")])


def test_a_hub_is_erased(tmp_path: Path) -> None:
    with opened(tmp_path) as slip:
        fill(slip)
        with slip.pkg.transaction() as tx:
            for number in range(1_000):
                tx.create_entity("Place", f"place {number}", {"name": f"place {number}"})
                tx.relate(ID, "KNOWS", f"place {number}", {"how": "plunketine"})
        assert slip.sync.drain(timeout_s=60)
        done = slip.erase(ID)
        assert done.relationships == 1_009
        assert _others(traces(tmp_path)) == []
        assert slip.verify().is_consistent


def test_who_comes_late_does_not_bring_it_back(tmp_path: Path) -> None:
    with opened(tmp_path) as slip:
        fill(slip)
        key = entity_key(ID)
        (stamp,) = slip.store.index.stamps([key])[key].records
        vector = slip.store.index.vectors([key], stamp.space)[key]
        slip.erase(ID)
        from slipstream.domain.stamps import VectorRecord

        assert slip.store.index.upsert([VectorRecord(stamp, vector)]) == [key]
        assert not [held for held in slip.store.index.stamps([key]).values() if held.records]
        assert _others(traces(tmp_path)) == []


def test_the_same_id_may_be_used_again(tmp_path: Path) -> None:
    with opened(tmp_path) as slip:
        fill(slip)
        slip.erase(ID)
        slip.pkg.create_entity("Person", ID, {"name": "somebody else"})
        assert slip.sync.drain(timeout_s=60)
        assert slip.search("somebody else", k=1)[0].entity_id == ID
        assert slip.verify().is_consistent
