"""What `views explain` credits a vector to: an entry of the log only where stamp and log allow no other reading."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config
from slipstream.app.explaining import Explanation
from slipstream.app.key_history import PROMPT_S
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import NotFoundError
from slipstream.domain.keys import entity_key
from slipstream.domain.stamps import Stamp
from slipstream.ports.feed import INDEX_CONSUMER, WORDS_CONSUMER, Retention
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import Via, View
from tests.integration.logged_time import log_time_of

NAME = View("Person", "{{ name }}")
AT = View("Person", "{{ name }} {{ of|map(attribute='name')|join }}", {"of": Via("WORKS_AT")})


def _opened(root: Path, clock: ManualClock, *views: View, run: bool = True) -> Slipstream:
    options = Options(views=views or (NAME,), embedders=(HashEmbedder(dimension=16),), clock=clock)
    slip = open_pkg(root, run=run, config=Config(), options=options)
    log_time_of(clock, root)
    return slip


def _settle(slip: Slipstream) -> None:
    assert slip.sync.drain(timeout_s=60)


def _outcomes(found: Explanation) -> list[tuple[str, str]]:
    """Return events and outcomes, newest first, without times."""
    return [(happening.event, happening.outcome.split(", 20")[0].split(" 20")[0]) for happening in found.happenings]


def _stamp(slip: Slipstream, entity_id: str = "ada") -> Stamp:
    (stamp,) = slip.store.index.stamps([entity_key(entity_id)])[entity_key(entity_id)].records
    return stamp


def _made(slip: Slipstream, **properties: str) -> None:
    slip.pkg.create_entity("Person", "ada", {"name": "Ada", **properties})
    _settle(slip)


def test_a_prompt_vector_is_credited_to_the_change_that_its_text_shows(tmp_path: Path) -> None:
    with _opened(tmp_path, ManualClock()) as slip:
        _made(slip)
        slip.pkg.update_entity("ada", {"name": "Ada Lovelace"})
        _settle(slip)
        found = slip.explain("ada")
        assert _outcomes(found) == [
            ("entity_updated", "re-embedded"),
            ("entity_created", "reflected by that vector too"),
        ]
        assert found.embedded_for == f"entity_updated of Person ada at position {found.happenings[0].position}"


def test_an_edited_view_is_not_credited_to_an_event(tmp_path: Path) -> None:
    clock = ManualClock()
    with _opened(tmp_path, clock) as slip:
        _made(slip, title="Dr.")
        assert _outcomes(slip.explain("ada")) == [("entity_created", "re-embedded")]
    clock.advance(PROMPT_S + 1)
    with _opened(tmp_path, clock, View("Person", "{{ name }}, {{ title }}")) as slip:
        _settle(slip)
        found = slip.explain("ada")
        assert (found.text, found.verdict) == ("Ada, Dr.", "fresh")
        assert _outcomes(found) == [("entity_created", "reflected by the vector of")]
        assert (found.embedded_for or "").startswith("a comparison (an edited view, a repair,")
        assert (found.embedded_for or "").endswith("reflected 2.0 s later")


def test_a_vector_of_an_edited_view_is_not_explained_by_what_the_view_shows_now(tmp_path: Path) -> None:
    clock = ManualClock()
    with _opened(tmp_path, clock) as slip:
        _made(slip)
    with _opened(tmp_path, clock, View("Person", "{{ name }}!"), run=False) as slip:
        found = slip.explain("ada")
        assert found.embedded_for == "an earlier edition of its view, and the log does not tell what that showed"
        assert _outcomes(found) == [("entity_created", "reflected by the vector of")]


def test_a_forced_vector_is_credited_to_its_reason(tmp_path: Path) -> None:
    with _opened(tmp_path, ManualClock()) as slip:
        _made(slip)
        slip.store.mark_for_reembedding(["ada"], reason="asked by hand")
        _settle(slip)
        found = slip.explain("ada")
        assert found.embedded_for == "it was embedded anew: asked by hand"
        assert _outcomes(found) == [("entity_created", "reflected by the vector of")]


def test_the_reason_of_a_flag_is_not_that_of_the_vector_which_is_there(tmp_path: Path) -> None:
    with _opened(tmp_path, ManualClock()) as slip:
        _made(slip)
        slip.sync.stop()
        slip.store.index.restamp([_stamp(slip)._replace(needs_reembedding=True, reembedding_reason="doubted")])
        found = slip.explain("ada")
        assert (found.embedded_for or "").startswith("entity_created of Person ada")
        assert found.reasons[-1] == "it is marked to be embedded anew: doubted"


def test_a_change_behind_the_read_and_one_that_leaves_the_text_alone_are_not_credited(tmp_path: Path) -> None:
    clock = ManualClock()
    with _opened(tmp_path, clock, View("Person", "{{ name|lower }}")) as slip:
        _made(slip)
        slip.pkg.update_entity("ada", {"extraction_confidence": 0.5})  # moves the stamp, and its position
        _settle(slip)
        slip.pkg.update_entity("ada", {"name": "ADA"})  # the same text
        _settle(slip)
        made, head = _stamp(slip), slip.sync.engine.frontier
        assert made.position < head
        found = slip.explain("ada")
        same = "compared: its text was the same, so nothing was embedded"
        assert _outcomes(found) == [
            ("entity_updated", same),
            ("entity_updated", same),
            ("entity_created", "re-embedded"),
        ]
        assert found.embedded_for == f"entity_created of Person ada at position {found.happenings[-1].position}"


def test_a_stamp_that_has_moved_since_does_not_make_its_vector_newer(tmp_path: Path) -> None:
    clock = ManualClock()
    lowered = replace(AT, template="{{ name }} {{ of|map(attribute='name')|join|lower }}")
    with _opened(tmp_path, clock, lowered) as slip:
        with slip.pkg.transaction() as tx:
            tx.create_entity("Company", "acme", {"name": "Acme"})
            tx.create_entity("Person", "ada", {"name": "Ada"})
            related = tx.relate("ada", "WORKS_AT", "acme")
        _settle(slip)
        clock.advance(PROMPT_S / 2)
        log_time_of(clock, tmp_path)
        slip.pkg.update_entity("acme", {"name": "ACME"})  # the same text
        slip.pkg.update_entity("ada", {"extraction_confidence": 0.5})
        _settle(slip)
        found = slip.explain("ada")
        assert _stamp(slip).position == slip.sync.engine.frontier
        assert [happening.about for happening in found.happenings[:2]] == ["Person ada", "Company acme"]
        same = "compared: its text was the same, so nothing was embedded"
        assert [outcome for _, outcome in _outcomes(found)][:2] == [same, same]
        assert (found.embedded_for or "").startswith(f"relationship_created of WORKS_AT {related}")


def test_a_vector_that_no_change_explains_is_called_one_of_a_comparison(tmp_path: Path) -> None:
    clock = ManualClock()
    with _opened(tmp_path, clock) as slip:
        _made(slip)
        slip.pkg.update_entity("ada", {"shoe": 44})
        _settle(slip)
        for consumer in (INDEX_CONSUMER, WORDS_CONSUMER):
            slip.pkg.feed.acknowledge(consumer, slip.sync.engine.frontier)
        assert slip.pkg.feed.trim(Retention(kept_bytes=0)) > 0
        found = slip.explain("ada")
        assert _outcomes(found) == [("entity_updated", "nothing that its view shows now has changed")]
        assert found.embedded_for == (
            "a comparison (an edited view, a repair, a backfill, a migration or a reopening): "
            "no change that was looked through explains it"
        )


def test_a_cause_is_found_behind_many_changes_that_did_nothing(tmp_path: Path) -> None:
    with _opened(tmp_path, ManualClock()) as slip:
        _made(slip)
        for number in range(15):
            slip.pkg.update_entity("ada", {"shoe": number})
        _settle(slip)
        found = slip.explain("ada")
        assert {outcome for _, outcome in _outcomes(found)} == {"nothing that its view shows now has changed"}
        assert (found.embedded_for or "").startswith("entity_created of Person ada")


# ---------------------------------------------------------------------- Cypher writes, and scans


def test_a_cypher_write_is_a_change_like_any_other(tmp_path: Path) -> None:
    with _opened(tmp_path, ManualClock()) as slip:
        _made(slip, title="Dr.")
        position = slip.pkg.execute("MATCH (p:Person {id: 'ada'}) SET p.name = 'Eve'")
        slip.pkg.execute("MATCH (p:Person {id: 'ada'}) SET p.title = 'Prof.'")
        _settle(slip)
        found = slip.explain("ada")
        assert found.text == "Eve"
        assert _outcomes(found) == [
            ("entity_updated", "nothing that its view shows now has changed"),
            ("entity_updated", "re-embedded"),
            ("entity_created", "reflected by that vector too"),
        ]
        assert found.embedded_for == f"entity_updated of Person ada at position {position}"


def _written_unlogged(root: Path, statement: str, *types: str) -> None:
    """Write what no trigger logs, and say in the log only of which types it was."""
    with closing(sqlite3.connect(root / ".slipstream" / "graph.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        (trigger,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'entity_updated'").fetchone()
        connection.execute("DROP TRIGGER entity_updated")
        connection.execute(statement)
        connection.execute(trigger)
        connection.execute("INSERT INTO change(kind, new) VALUES ('*', ?)", (json.dumps(types),))
        connection.execute("COMMIT")


def test_a_scan_is_among_what_can_have_led_to_the_vector(tmp_path: Path) -> None:
    with _opened(tmp_path, ManualClock()) as slip:
        _made(slip)
        _written_unlogged(tmp_path, """UPDATE entity SET properties = '{"name": "Eve"}' WHERE id = 'ada'""", "Person")
        _settle(slip)
        found = slip.explain("ada")
        assert found.text == "Eve"
        assert _outcomes(found) == [
            ("rescan", "reflected by the vector of"),
            ("entity_created", "reflected by that vector too"),
        ]
        assert (found.embedded_for or "").startswith("the scan at position")


def test_a_scan_that_left_the_text_alone_was_compared(tmp_path: Path) -> None:
    with _opened(tmp_path, ManualClock()) as slip:
        _made(slip, title="Dr.")
        _written_unlogged(
            tmp_path, "UPDATE entity SET properties = json_set(properties, '$.title', 'Prof.')", "Person"
        )
        _settle(slip)
        found = slip.explain("ada")
        assert _outcomes(found) == [
            ("rescan", "compared: its text was the same, so nothing was embedded"),
            ("entity_created", "re-embedded"),
        ]


def test_a_scan_concerns_what_its_types_can_reach_and_nothing_else(tmp_path: Path) -> None:
    with _opened(tmp_path, ManualClock(), AT) as slip:
        with slip.pkg.transaction() as tx:
            tx.create_entity("Company", "acme", {"name": "Acme"})
            tx.create_entity("Ship", "mary", {"name": "Mary"})
            tx.create_entity("Person", "ada", {"name": "Ada"})
            tx.relate("ada", "WORKS_AT", "acme")
        _settle(slip)
        _written_unlogged(
            tmp_path, """UPDATE entity SET properties = '{"name": "Acme Ltd"}' WHERE id = 'acme'""", "Company"
        )
        _settle(slip)
        assert slip.explain("acme").text == "Acme Ltd"
        assert "rescan" in [event for event, _ in _outcomes(slip.explain("ada"))], "its text shows companies"
        assert "rescan" in [event for event, _ in _outcomes(slip.explain("acme"))]
        assert "rescan" not in [event for event, _ in _outcomes(slip.explain("mary"))]
        with pytest.raises(NotFoundError):
            slip.explain("nobody")
