"""Stamps reach the current schema version, also of keys that were under way while a restamping pass went by."""

from __future__ import annotations

from slipstream.domain.journal_names import RESTAMPED
from slipstream.testkit.system import MemorySystem


def test_a_key_that_is_found_unchanged_behind_a_pass_is_restamped_by_the_next_one() -> None:
    # Thread simulator, seed 35828: the key is read before the schema evolves, is dirty while the pass goes by (which
    # leaves it to its batch), and turns out to need no write.
    system = MemorySystem()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    ada = system.stamp("ada")
    assert ada is not None
    system.engine.mark([ada.key])
    claims = system.engine.take()
    prepared = system.engine.prepare(claims)
    assert prepared.unchanged == 1
    evolved = system.graph.schema().version + 1
    system.graph.create_entity("Town", "bern", {"population": 134_000})
    while system.maintenance.restamp_step():
        pass
    assert system.journal.get(RESTAMPED) == str(evolved)
    system.engine.finish(claims, prepared)
    assert system.journal.get(RESTAMPED) == str(ada.schema_version), "who opens it next has to know"
    system.settle()
    moved = system.stamp("ada")
    assert moved is not None
    assert (moved.schema_version, moved.fingerprint) == (evolved, ada.fingerprint)
    assert not system.maintenance.restamp_due


def test_a_key_that_is_found_unchanged_and_up_to_date_asks_for_no_pass() -> None:
    system = MemorySystem()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    ada = system.stamp("ada")
    assert ada is not None
    system.engine.mark([ada.key])
    while system.engine.step():
        pass
    assert not system.maintenance.restamp_due
