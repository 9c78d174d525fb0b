"""The brake on a real graph file and real indexes: what another program wiped past the log, and what is explained."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from slipstream.adapters.graphs.sqlite.layout import TRIGGERS
from slipstream.app.composition import Options, open_pkg
from slipstream.app.composition.options import OnOtherRecipe
from slipstream.app.config import Config
from slipstream.app.slipstream import Slipstream
from slipstream.audit.scrubber import FULL
from slipstream.domain.errors import RepairNeedsConfirmationError, StalePlanError
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import View
from tests.until import until

ENTITIES, GONE, LIMIT = 100, 30, 10
BRAKE = {"records_min": LIMIT}


def opened(
    root: Path,
    adapter: str = "sqlite",
    *,
    view: str | None = None,
    model: int = 16,
    on_other: OnOtherRecipe = OnOtherRecipe.REFUSE,
    brake: dict[str, Any] = BRAKE,
    **how: Any,
) -> Slipstream:
    views = () if view is None else (View("Person", template=view),)
    options = Options(embedders=(HashEmbedder(dimension=model),), views=views, on_other_recipe=on_other)
    config = Config.model_validate({"index": {"adapter": adapter}, "brake": brake, "alerts": {"for_s": 0.0}})
    return open_pkg(root, config=config, options=options, **how)


def filled(root: Path, adapter: str = "sqlite", entities: int = ENTITIES) -> None:
    with opened(root, adapter) as slip:
        with slip.pkg.transaction() as tx:
            for number in range(entities):
                tx.create_entity("Person", f"p{number:04}", {"name": f"name {number}"})
        assert slip.sync.drain(timeout_s=60)


def graph_file(root: Path) -> sqlite3.Connection:
    return sqlite3.connect(root / ".slipstream" / "graph.db", isolation_level=None)


def wipe(root: Path, count: int = GONE, *, put_back: bool = False) -> None:
    """Delete entities past the triggers, as a program does that drops them; it may put them back as they were."""
    with closing(graph_file(root)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for name in TRIGGERS:
            connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        connection.execute("DELETE FROM entity WHERE id < ?", (f"p{count:04}",))
        if put_back:
            for statement in TRIGGERS.values():
                connection.execute(statement)
        connection.execute("COMMIT")


def held(slip: Slipstream) -> int:
    count, after = 0, None
    while page := slip.store.index.scan(after, 1_000):
        count, after = count + len(page), page[-1].key
    return count


def plan_of(slip: Slipstream) -> dict[str, Any]:
    """Wait for the plan of what is braked: the scrubber audits at once."""
    until(lambda: (slip.scrubber.summary()["brake"] or {}).get("plan"))
    plan: dict[str, Any] = slip.scrubber.summary()["brake"]["plan"]
    return plan


@pytest.fixture(params=["sqlite", "chroma"])
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_what_was_wiped_past_the_log_is_braked_until_it_is_confirmed(tmp_path: Path, adapter: str) -> None:
    filled(tmp_path, adapter, 1_000)
    wipe(tmp_path, 300)
    with opened(tmp_path, adapter, brake={}) as slip:
        assert slip.sync.drain(timeout_s=60)
        plan = plan_of(slip)
        assert (plan["keys"], plan["deletions"], plan["texts"]) == ({"orphaned": 300, "word_orphaned": 300}, 300, 0)
        assert (plan["word_deletions"], plan["word_records"], plan["word_limit"]) == (300, 1_000, 100)
        assert held(slip) == 1_000
        written = slip.pkg.create_entity("Person", "new", {"name": "a new day"})
        assert slip.search("a new day", k=1, after=written)[0].entity_id == "new"  # all else goes on
        until(lambda: "brake" in slip.watch.alerts.firing())
        report = slip.verify()
        assert len(report.divergences["orphaned"]) == 300
        with pytest.raises(RepairNeedsConfirmationError) as caught:
            slip.repair(report)
        assert caught.value.plan["id"] == plan["id"]  # the same findings
        assert held(slip) == 1_001
        assert slip.repair(confirm=plan["id"]) == 600  # vectors and word rows
        assert slip.sync.drain(timeout_s=60)
        report = slip.verify()
        assert (report.consistency, report.fresh, held(slip)) == (1.0, 701, 701)
        assert report.words is not None
        assert (report.words.fresh, report.words.held) == (701, 701)
        assert slip.scrubber.summary()["brake"] is None
        until(lambda: "brake" not in slip.watch.alerts.firing())


def test_triggers_that_were_put_back_hide_nothing_from_a_full_audit(tmp_path: Path) -> None:
    filled(tmp_path)
    wipe(tmp_path, put_back=True)
    with opened(tmp_path) as slip:
        assert slip.sync.drain(timeout_s=60)
        assert slip.scrubber.summary()["brake"] is None  # nobody has noticed
        slip.scrubber.run(FULL)
        assert plan_of(slip)["keys"] == {"orphaned": GONE, "word_orphaned": GONE}
        assert held(slip) == ENTITIES


def test_what_the_brake_allows_is_mended_as_ever(tmp_path: Path, adapter: str) -> None:
    filled(tmp_path, adapter)
    wipe(tmp_path, LIMIT)
    with opened(tmp_path, adapter) as slip:
        assert slip.sync.drain(timeout_s=60)
        assert (held(slip), slip.scrubber.summary()["brake"]) == (ENTITIES - LIMIT, None)
        assert slip.verify().is_consistent


def test_a_plan_whose_graph_was_put_right_is_refused(tmp_path: Path) -> None:
    filled(tmp_path)
    wipe(tmp_path)
    with opened(tmp_path) as slip:
        plan = plan_of(slip)
        slip.pkg.create_entity("Person", "p0007", {"name": "name 7"})
        assert slip.sync.drain(timeout_s=60)
        with pytest.raises(StalePlanError, match="1 keys differ"):
            slip.repair(confirm=plan["id"])
        assert held(slip) == ENTITIES


def test_a_log_that_was_cut_is_braked_too(tmp_path: Path) -> None:
    filled(tmp_path)
    wipe(tmp_path, put_back=True)
    with closing(graph_file(tmp_path)) as connection:
        connection.execute("INSERT INTO entity(id, type, properties) VALUES ('x', 'Person', '{\"name\": \"x\"}')")
        connection.execute("INSERT INTO entity(id, type, properties) VALUES ('y', 'Person', '{\"name\": \"y\"}')")
        (newest,) = connection.execute("SELECT max(position) FROM change").fetchone()
        connection.execute("DELETE FROM change WHERE position < ?", (newest,))
    with opened(tmp_path) as slip:
        assert slip.sync.drain(timeout_s=60)
        assert plan_of(slip)["keys"] == {"missing": 2, "orphaned": GONE, "word_missing": 2, "word_orphaned": GONE}
        assert held(slip) == ENTITIES


# ---------------------------------------------------------------------- explained


def test_commits_of_our_own_delete_as_many_as_they_say(tmp_path: Path, adapter: str) -> None:
    filled(tmp_path, adapter)
    with opened(tmp_path, adapter) as slip:
        with slip.pkg.transaction() as tx:
            for number in range(GONE):
                tx.delete_entity(f"p{number:04}")
        assert slip.sync.drain(timeout_s=60)
        assert (held(slip), slip.scrubber.summary()["brake"]) == (ENTITIES - GONE, None)


def test_commits_of_another_program_with_the_triggers_do_too(tmp_path: Path) -> None:
    filled(tmp_path)
    with closing(graph_file(tmp_path)) as connection:
        connection.execute("DELETE FROM entity WHERE id < ?", (f"p{GONE:04}",))
    with opened(tmp_path) as slip:
        assert slip.sync.drain(timeout_s=60)
        assert (held(slip), slip.scrubber.summary()["brake"]) == (ENTITIES - GONE, None)
        assert slip.verify().is_consistent


def test_views_that_were_changed_on_purpose_pass(tmp_path: Path) -> None:
    filled(tmp_path)
    with opened(tmp_path, view="Somebody called {{ name }}") as slip:
        assert slip.sync.drain(timeout_s=60)
        assert slip.scrubber.run(FULL).is_consistent
        assert slip.status().counters["embedded"] == ENTITIES
        assert slip.scrubber.summary()["brake"] is None


def test_another_model_that_is_put_in_force_passes(tmp_path: Path) -> None:
    filled(tmp_path)
    with opened(tmp_path, model=24, on_other=OnOtherRecipe.REPLACE) as slip:
        assert slip.sync.drain(timeout_s=60)
        assert slip.verify().is_consistent
        assert slip.scrubber.summary()["brake"] is None


# ---------------------------------------------------------------------- verifying


@pytest.mark.parametrize("gone", [5, GONE])
def test_without_mending_nothing_but_the_log_is_followed(tmp_path: Path, gone: int) -> None:
    filled(tmp_path)
    wipe(tmp_path, gone)
    with closing(sqlite3.connect(tmp_path / ".slipstream" / "index.db", isolation_level=None)) as index:
        index.execute("UPDATE records SET fingerprint = 'forged' WHERE key LIKE '%p005%' AND key < 'e:p0055'")
    with opened(tmp_path, mend=False) as slip:
        written = slip.pkg.create_entity("Person", "new", {"name": "a new day"})
        assert slip.sync.drain(timeout_s=60)
        for _ in range(2):
            report = slip.verify()
            assert report.position >= written
            found = {kind: len(keys) for kind, keys in report.divergences.items() if keys}
            assert found == {"orphaned": gone, "stale": 5}
            assert (report.owed, report.unsettled, held(slip)) == ([], 0, ENTITIES + 1)
    with opened(tmp_path) as slip:  # and the next one that may mend decides
        assert slip.sync.drain(timeout_s=60)
        if gone == GONE:
            assert plan_of(slip)["keys"]["orphaned"] == GONE
        assert held(slip) == (ENTITIES + 1 if gone == GONE else ENTITIES + 1 - gone)
