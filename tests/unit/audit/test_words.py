"""Word rows audited, told of, repaired and braked; the classes are in the tampering suite of word rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.audit.brake import BrakePlan
from slipstream.audit.findings import report_as_dict
from slipstream.audit.reloading import kept_report
from slipstream.audit.validator import EmbeddingConsistencyValidator
from slipstream.audit.words_comparing import Reflection
from slipstream.audit.words_found import with_words
from slipstream.domain.brake import BrakeSettings
from slipstream.domain.errors import RepairNeedsConfirmationError, StalePlanError
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion
from slipstream.domain.words import WordDeletion, WordFields, WordRow, word_row
from slipstream.testkit.suites.words_world import PERSONS, ROWS, VIEWS, WordsWorld, words_found

Make = Callable[..., WordsWorld]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    found = SqliteStore(tmp_path / "index.db")
    yield found
    found.close()


@pytest.fixture
def make(store: SqliteStore) -> Make:
    """Return what makes a world whose rows are right; another one over the same graph where `system` is given."""

    def made(**settings: object) -> WordsWorld:
        world = WordsWorld(store.words, store.journal, **settings)  # type: ignore[arg-type]
        if "system" not in settings:
            world.follow()
        return world

    return made


@pytest.fixture
def world(make: Make) -> WordsWorld:
    return make()


def remove(world: WordsWorld, *names: str) -> None:
    """Remove rows of entities that there are."""
    world.words.put([], [WordDeletion(entity_key(name), Position(10_000)) for name in names])


def write(world: WordsWorld, *names: str) -> None:
    """Write rows that no entity asks for, with a position that the graph has passed."""
    keys = [entity_key(name) for name in names]
    world.words.put([], [WordDeletion(key, Position(10_000)) for key in keys])
    world.words.put([word_row(key, Position(3), WordFields("Person", key.id, f"forged {key.id}")) for key in keys])


def spoil(world: WordsWorld) -> None:
    """Leave one row missing, one orphaned and one stale."""
    remove(world, "p59")
    write(world, "ghost", "p07")


def counts(world: WordsWorld) -> dict[str, int]:
    return {kind: len(keys) for kind, keys in words_found(world.auditor.audit()).items()}


def test_an_incremental_audit_reads_what_has_changed_and_no_more(world: WordsWorld) -> None:
    world.auditor.audit()
    with world.system.graph.transaction() as transaction:
        transaction.update_entity("p03", {"of": "Bern"})
        transaction.delete_entity("p10")
        transaction.create_entity("Person", "new", {"name": "new"})
    world.system.settle()
    report = world.auditor.audit_changes()
    assert report.kind == "incremental"
    assert words_found(report) == {
        "word_stale": {"e:p03"},
        "word_orphaned": {"e:p10", "r:KNOWS:p10:p11"},
        "word_missing": {"e:new"},
    }
    assert report.words is not None
    assert (report.words.looked, report.words.is_counted) == ("changed", True)
    assert report.words.rows_read <= 2 * 4
    world.follow()
    mended = world.auditor.audit_changes()
    assert mended.words is not None
    assert (words_found(mended), mended.words.consistency) == ({}, 1.0)
    quiet = world.auditor.audit_changes()
    assert quiet.words is not None
    assert quiet.words.rows_read == 0


def test_what_is_found_stands_until_it_is_mended(world: WordsWorld) -> None:
    write(world, "p07")
    assert words_found(world.auditor.audit_changes()) == {"word_stale": {"e:p07"}}  # the first one is a full one
    assert words_found(world.auditor.audit_changes()) == {"word_stale": {"e:p07"}}
    world.reconcile([entity_key("p07")])
    assert words_found(world.auditor.audit_changes()) == {}


def test_what_an_incremental_audit_does_not_read_it_does_not_claim_to_have_read(world: WordsWorld) -> None:
    world.auditor.audit()
    write(world, "p07")
    report = world.auditor.audit_changes()
    assert words_found(report) == {}
    assert report.words is not None
    assert (report.words.looked, report.words.rows_read, report.words.graph.records) == ("changed", 0, 0)


def test_other_views_have_every_row_read(world: WordsWorld, make: Make) -> None:
    world.auditor.audit()
    report = make(system=world.system, views=VIEWS[:1]).auditor.audit_changes()
    assert report.words is not None
    assert report.words.looked == "all"
    assert len(report.words.divergences["orphaned"]) == ROWS - PERSONS  # relationships have no rows any more


def test_a_rescan_in_the_log_has_every_row_read(world: WordsWorld) -> None:
    world.auditor.audit()
    graph = world.system.graph
    graph.advance(Position(graph.read([], {}).position + 5))
    world.system.settle()
    report = world.auditor.audit_changes()
    assert report.words is not None
    assert report.words.looked == "all"


def test_what_the_follower_is_still_to_do_is_owed(make: Make) -> None:
    reflection = [Reflection.OWED]
    world = make(reflects=lambda _, __: reflection[0])
    world.auditor.audit()
    with world.system.graph.transaction() as transaction:
        transaction.update_entity("p03", {"of": "Bern"})
        transaction.create_entity("Person", "new", {"name": "new"})
    world.system.settle()
    for audit in (world.auditor.audit, world.auditor.audit_changes):
        report = audit()
        assert words_found(report) == {}
        assert report.words is not None
        assert {key.id for key in report.words.owed} == {"p03", "new"}
        assert report.owed_lanes == {"words": 2}
        assert report.summary()["owed"] == {"words": 2}
        assert report.is_consistent
        assert report.consistency == 1.0
    reflection[0] = Reflection.IDLE
    report = world.auditor.audit_changes()
    assert words_found(report) == {"word_stale": {"e:p03"}, "word_missing": {"e:new"}}
    assert any("nobody keeps the word rows" in note for note in report.notes)


def test_where_all_is_owed_nobody_can_tell(make: Make) -> None:
    world = make(reflects=lambda _, __: Reflection.OWED)
    world.words.clear()
    report = world.auditor.audit_keys([], words=[entity_key("p01")])
    assert report.verdict == "undecided"


def test_a_row_that_is_written_while_it_is_looked_at_is_not_divergent(
    world: WordsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.auditor.audit()
    read, edits = world.words.rows, iter(range(3))

    def written_meanwhile(keys: Sequence[RecordKey]) -> Mapping[RecordKey, WordRow]:
        if (number := next(edits, None)) is not None:
            with world.system.graph.transaction() as transaction:
                transaction.update_entity("p03", {"of": f"city {number}"})
            world.writer.reconcile([entity_key("p03")])
        return read(keys)

    monkeypatch.setattr(world.words, "rows", written_meanwhile)
    report = world.auditor.audit()
    assert next(edits, None) is None, "it was looked at again and again"
    assert words_found(report) == {}
    assert report.words is not None
    assert (report.words.unsettled, report.words.fresh) == ([], 90)


def test_a_row_that_never_holds_still_is_not_judged(world: WordsWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    read, edits = world.words.rows, iter(range(1_000))

    def written_meanwhile(keys: Sequence[RecordKey]) -> Mapping[RecordKey, WordRow]:
        with world.system.graph.transaction() as transaction:
            transaction.update_entity("p03", {"of": f"city {next(edits)}"})
        world.writer.reconcile([entity_key("p03")])
        return read(keys)

    monkeypatch.setattr(world.words, "rows", written_meanwhile)
    report = world.auditor.audit_keys([], words=[entity_key("p03"), entity_key("p04")])
    assert words_found(report) == {}
    assert report.words is not None
    assert [key.id for key in report.words.unsettled] == ["p03"]
    assert report.verdict == "undecided"


def test_a_record_that_can_not_be_made_a_row_is_not_missed(
    world: WordsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = world.writer.views.fields

    def failing(state: object) -> object:
        found = fields(state)  # type: ignore[arg-type]
        if found is not None and found.entity_id == "p03":
            raise TypeError("is like no other")
        return found

    monkeypatch.setattr(world.writer.views, "fields", failing)
    report = world.auditor.audit()
    assert words_found(report) == {"word_orphaned": {"e:p03"}}
    world.repairer.repair(report.kept_id)
    assert words_found(world.auditor.audit()) == {}


# ---------------------------------------------------------------------- what is told


def test_a_report_comes_back_from_the_log_as_it_was(world: WordsWorld) -> None:
    spoil(world)
    report = world.auditor.audit()
    kept = kept_report(world.system.audits, report.kept_id)
    assert kept.summary() == report.summary()
    assert sorted(kept.findings()) == sorted(report.findings())
    assert report_as_dict(kept) == report_as_dict(report)
    told = report_as_dict(report)
    assert (told["counts"]["word_missing"], told["counts"]["word_stale"]) == (1, 1)
    assert told["divergences"]["word_orphaned"] == ["e:ghost"]
    assert told["words"]["consistency"] == told["consistency"] < told["embedding_consistency"] == 1.0
    assert told["missing_embeddings"] == []


def test_an_audit_of_an_older_version_says_nothing_of_word_rows(world: WordsWorld) -> None:
    report = world.auditor.audit()
    summary = {
        name: value for name, value in report.summary().items() if name not in ("words", "embedding_consistency")
    }
    audit_id = world.system.audits.keep(summary, [])
    assert kept_report(world.system.audits, audit_id).words is None
    assert kept_report(world.system.audits, audit_id).consistency == 1.0


# ---------------------------------------------------------------------- repairs


def test_a_plan_says_how_many_rows_it_writes_and_that_they_cost_no_embedding(world: WordsWorld) -> None:
    spoil(world)
    report = world.auditor.audit()
    plan = world.repairer.plan(report.kept_id)
    assert (plan.word_rows, plan.word_deletions, plan.texts, plan.deletions) == (2, 1, 0, 0)
    only = world.repairer.repair(report.kept_id, ["word_missing"])
    assert only.marked == {"word_missing": 1}
    assert set(words_found(world.auditor.audit())) == {"word_orphaned", "word_stale"}


@pytest.mark.parametrize("damage", [remove, write])
def test_more_than_the_brake_allows_waits_to_be_confirmed(make: Make, damage: Callable[..., None]) -> None:
    world = make(brake=BrakeSettings(share=0.05, records_min=5))
    names = [f"p{number:02}" for number in range(6)]
    damage(world, *(names if damage is remove else [f"ghost {name}" for name in names]))
    report, before = world.auditor.audit(), world.words.count()
    with pytest.raises(RepairNeedsConfirmationError, match="word rows to") as braked:
        world.repairer.repair(report.kept_id)
    assert world.words.count() == before
    plan = world.repairer.braked(report.kept_id)
    assert plan is not None
    assert plan.id == braked.value.plan["id"]
    gone = 0 if damage is remove else 6
    assert (plan.word_deletions, plan.word_rows, plan.word_limit) == (gone, 6 - gone, 5)
    assert (plan.deletions, plan.texts) == (0, 0)
    assert world.repairer.confirm(plan.id).keys == 6
    assert counts(world) == {}
    assert world.repairer.confirm(plan.id).keys == 0, "a plan is not applied twice"


def test_as_much_as_the_brake_allows_is_mended_at_once(make: Make) -> None:
    world = make(brake=BrakeSettings(share=0.05, records_min=5))
    remove(world, *(f"p{number:02}" for number in range(5)))
    report = world.auditor.audit()
    assert world.repairer.braked(report.kept_id) is None
    world.repairer.repair(report.kept_id)
    assert counts(world) == {}


def test_vectors_and_rows_of_the_same_keys_are_weighed_apart(make: Make) -> None:
    world = make(brake=BrakeSettings(share=0.05, records_min=5))
    remove(world, *(f"p{number:02}" for number in range(5)))
    for number in range(5):
        stamp = world.system.stamp(f"p{number:02}")
        assert stamp is not None
        world.system.index.delete([Deletion(stamp.key, stamp.position, stamp.space)])
    report = world.auditor.audit()
    assert report.counts()["missing"] == report.counts()["word_missing"] == 5
    assert world.repairer.braked(report.kept_id) is None


def test_a_plan_is_out_of_date_once_its_rows_are_right(make: Make) -> None:
    world = make(brake=BrakeSettings(share=0.0, records_min=0))
    remove(world, "p07")
    plan = world.repairer.braked(world.auditor.audit().kept_id)
    assert plan is not None
    world.follow()
    with pytest.raises(StalePlanError):
        world.repairer.confirm(plan.id)


def test_a_plan_of_an_older_version_can_be_read(make: Make) -> None:
    world = make(brake=BrakeSettings(share=0.0, records_min=0))
    remove(world, "p07")
    plan = world.repairer.braked(world.auditor.audit().kept_id)
    assert plan is not None
    told = {name: value for name, value in plan.as_dict().items() if not name.startswith("word_")}
    assert BrakePlan.from_dict(told).id == plan.id


def test_a_repair_that_was_cut_short_goes_on(world: WordsWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(world)
    report = world.auditor.audit()
    written, reconcile = list[RecordKey](), world.reconcile

    def dying(keys: Sequence[RecordKey], *, anew: bool = False) -> object:
        if written:
            raise KeyboardInterrupt
        written.extend(keys)
        return reconcile(keys, anew=anew)

    monkeypatch.setattr(world.repairer, "words", dying)
    with pytest.raises(KeyboardInterrupt):
        world.repairer.repair(report.kept_id)
    assert world.repairer.unfinished == report.kept_id
    monkeypatch.setattr(world.repairer, "words", reconcile)
    world.repairer.repair()
    assert counts(world) == {}
    assert world.repairer.unfinished is None


def test_the_validator_mends_rows_as_well(world: WordsWorld) -> None:
    spoil(world)
    validator = EmbeddingConsistencyValidator(
        world.system.graph, world.system.store, auditor=world.auditor, words=world.reconcile
    )
    assert validator.repair_inconsistencies(validator.validate_consistency()) == 3
    assert counts(world) == {}
    spoil(world)
    assert validator.repair_inconsistencies(validator.audit()) == 3
    assert counts(world) == {}


def test_classes_of_the_schedule_are_those_of_rows_too() -> None:
    assert with_words(["missing", "outdated"]) == ("missing", "outdated", "word_missing")
    assert with_words(["word_stale"]) == ("word_stale",)
