"""Kept audits are signed and chained; what retention forgets, an erasure changes or a tamperer touches shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from slipstream.adapters.indexes.memory import MemoryJournal
from slipstream.adapters.indexes.memory_audits import MemoryAudits
from slipstream.audit.sealing import RETENTION, Evidence
from slipstream.domain.audits import Finding
from slipstream.domain.errors import InvalidInputError, NotFoundError
from slipstream.signing.documents import verify
from slipstream.signing.examining import ALTERED, UNKNOWN, VALID, Examined, Examining
from slipstream.signing.keys import SigningKey
from slipstream.testkit.clock import ManualClock

SOME = [Finding("stale", "e:ada"), Finding("stale", "e:grace")]


class World:
    """A key, kept audits, and what a verifier makes of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.audits, self.journal = folder, MemoryAudits(), MemoryJournal()
        self.evidence = Evidence(SigningKey(folder), self.audits, self.journal, ManualClock())

    def keep(self, count: int = 1, **more: Any) -> list[int]:
        """Keep audits."""
        report = {"schema": "slipstream.audit/1", "kind": "full", "ratio": 0.1, "notes": [], **more}
        return [self.audits.keep(report, SOME, self.evidence.seal(SOME)) for _ in range(count)]

    def change(self, audit_id: int, change: Callable[[dict[str, Any]], object]) -> None:
        """Change a kept report behind everybody's back."""
        text, findings = self.audits._audits[audit_id]
        report = json.loads(text)
        change(report)
        self.audits._audits[audit_id] = (json.dumps(report), findings)

    def examined(self, *documents: Mapping[str, Any], key: bytes | None = None) -> Examined:
        """Verify documents, each as a file that went through JSON; the chain alone when none is given."""
        examining = Examining([] if key is None else [key])
        for number, document in enumerate(documents or [self.evidence.chain()]):
            examining.add(f"file {number}", json.loads(json.dumps(document)))
        return examining.examined()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "signing")


def test_kept_audits_are_a_chain_that_anybody_can_verify(world: World) -> None:
    ids = world.keep(5)
    found = world.examined(key=world.evidence.key.public_key)
    assert (found.verdict, found.is_known_key, found.keys) == (VALID, True, (world.evidence.key.key_id,))
    (chain,) = found.chains
    assert (chain.first, chain.last, chain.kept, chain.problems) == (1, 5, 5, ())
    assert chain.newest == verify(world.evidence.audit(ids[-1])).digest
    assert world.evidence.kept(ids[1]) == {
        "chain": chain.chain,
        "number": 2,
        "digest": verify(world.evidence.audit(ids[1])).digest,
    }


def test_each_is_signed_with_its_number(world: World) -> None:
    (audit_id,) = world.keep()
    report = world.evidence.audit(audit_id)
    assert report["id"] == audit_id
    with pytest.raises(NotFoundError):
        world.evidence.audit(audit_id + 1)


def test_every_audit_alone_and_all_together_hold(world: World) -> None:
    documents = [world.evidence.audit(audit_id) for audit_id in world.keep(4)]
    assert [world.examined(each).verdict for each in documents] == [VALID] * 4
    assert world.examined(*documents[::-1]).chains[0].problems == ()
    (problem,) = world.examined(documents[0], *documents[2:]).chains[0].problems
    assert problem.startswith("number 2 is missing")


def test_a_change_in_the_middle_is_found(world: World) -> None:
    ids = world.keep(5)
    world.change(ids[2], lambda report: report.update(ratio=1.0))
    found = world.examined()
    assert found.verdict == ALTERED
    assert found.files[0].said.startswith("audits[2]: the signature does not fit")


def test_one_that_is_taken_out_of_the_middle_is_found(world: World) -> None:
    ids = world.keep(5)
    world.audits.forget([ids[2]])  # not by way of retention
    found = world.examined()
    assert (found.verdict, found.chains[0].problems[0][:19]) == (ALTERED, "number 3 is missing")


def test_whoever_rewrites_one_with_the_key_must_rewrite_all_behind_it(world: World) -> None:
    ids = world.keep(4)

    def forge(report: dict[str, Any]) -> None:
        report["ratio"] = 1.0
        report.update(world.evidence.sign(report))

    world.change(ids[1], forge)
    (problem,) = world.examined().chains[0].problems
    assert problem.startswith("number 3 does not follow on number 2")


def test_retention_may_forget_and_the_chain_holds(world: World) -> None:
    ids = world.keep(12)
    world.evidence.forget(ids[:2])
    world.evidence.forget([ids[4], ids[5], ids[8]])
    world.evidence.forget([ids[6]])
    world.keep()
    found = world.examined()
    assert found.verdict == VALID
    (chain,) = found.chains
    assert (chain.first, chain.last, chain.kept, chain.forgotten) == (3, 13, 7, 4)
    world.audits.forget([ids[9]])
    assert world.examined().verdict == ALTERED


def test_the_list_of_what_was_forgotten_is_signed(world: World) -> None:
    ids = world.keep(6)
    world.evidence.forget([ids[2]])
    told = world.evidence.retention()
    assert told is not None
    told["forgotten"][0]["last"] = 4
    world.journal.set(RETENTION, json.dumps(told))
    world.audits.forget([ids[3]])
    assert world.examined().verdict == ALTERED


def test_without_the_list_what_was_forgotten_is_missing(world: World) -> None:
    ids = world.keep(6)
    world.evidence.forget([ids[2]])
    world.journal.set(RETENTION, None)
    assert world.examined().verdict == ALTERED


def test_what_an_audit_names_is_signed_too(world: World) -> None:
    (audit_id,) = world.keep()
    assert world.evidence.findings_fit(audit_id)
    text, _ = world.audits._audits[audit_id]
    world.audits._audits[audit_id] = (text, SOME[:1])
    assert not world.evidence.findings_fit(audit_id)


def test_an_erasure_signs_anew_and_says_so(world: World) -> None:
    ids = world.keep(3, notes=["about zyxilda"])
    before = world.evidence.audit(ids[1])
    changed = world.evidence.resealed(before, {**before, "notes": ["about nobody"]}, SOME[1:])
    text = json.dumps(changed)
    world.audits._audits[ids[1]] = (text, SOME[1:])
    assert "zyxilda" not in text  # no digest happens to spell it
    assert world.evidence.findings_fit(ids[1])
    world.keep()
    assert world.examined().verdict == VALID
    assert world.examined(before, world.evidence.chain()).verdict == VALID  # an older file holds beside it
    assert changed["evidence"]["replaces"] == [verify(before).digest]
    again = world.evidence.resealed(changed, {**changed, "notes": []}, [])
    world.audits._audits[ids[1]] = (json.dumps(again), [])
    assert world.examined().verdict == VALID


def test_an_erasure_covers_nothing_up(world: World) -> None:
    (audit_id,) = world.keep()
    world.change(audit_id, lambda report: report.update(ratio=1.0))
    before = world.evidence.audit(audit_id)
    changed = world.evidence.resealed(before, {**before, "notes": ["x"]}, [])
    with pytest.raises(Exception, match="does not fit"):
        verify(changed)


def test_audits_of_older_versions_stand_beside_the_chain(world: World) -> None:
    world.audits.keep({"schema": "slipstream.audit/1", "kind": "full"}, [])
    world.keep(2)
    assert world.examined().verdict == VALID
    assert (world.examined().chains[0].first, world.examined().chains[0].kept) == (1, 2)


def test_an_audit_is_kept_when_it_can_not_be_signed(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.keep()
    (world.folder / "private.pem").write_text("damaged")
    broken = Evidence(SigningKey(world.folder), world.audits, world.journal, ManualClock())
    kept = world.audits.keep({"kind": "full", "notes": ["one"]}, SOME, broken.seal(SOME))
    report = world.audits.audit(kept)
    assert report is not None
    assert report.report["notes"][0] == "one"
    assert report.report["notes"][1].startswith("not signed: ")
    assert "signature" not in report.report
    assert "without a signature" in caplog.text
    world.keep()  # the other one still has the key: the chain goes on behind the newest that is signed
    assert world.examined().chains[0].last == 2


def test_what_json_has_no_one_form_for_is_signed_as_text(world: World) -> None:
    (audit_id,) = world.keep(notes=["lone \ud800"], position=2**60)
    report = world.evidence.audit(audit_id)
    assert (report["notes"], report["position"]) == (["lone \\ud800"], str(2**60))
    assert world.examined().verdict == VALID


def test_another_key_is_told_and_two_are_named(world: World, tmp_path: Path) -> None:
    world.keep(2)
    first = world.evidence.key
    (world.folder / "private.pem").unlink()
    world.evidence = Evidence(SigningKey(world.folder), world.audits, world.journal, ManualClock())
    world.keep(2)
    found = world.examined()
    assert (found.verdict, set(found.keys)) == (VALID, {first.key_id, world.evidence.key.key_id})
    assert not found.is_known_key
    assert world.examined(key=world.evidence.key.public_key).verdict == ALTERED
    both = Examining([first.public_key, world.evidence.key.public_key])
    both.add("chain", world.evidence.chain())
    assert (both.examined().verdict, both.examined().is_known_key) == (VALID, True)


@pytest.mark.parametrize("document", [[], "x", None, {"schema": "x"}, {"signature": None}])
def test_what_is_not_signed_can_not_be_judged(world: World, document: Any) -> None:
    assert world.examined(document).verdict == UNKNOWN
    assert world.examined(world.evidence.sign({}), document).verdict == UNKNOWN


def test_a_receipt_verifies_like_an_audit(world: World) -> None:
    receipt = world.evidence.sign({"schema": "slipstream.erasure/1", "removed": {"index": 3}})
    assert (world.examined(receipt).verdict, world.examined(receipt).chains) == (VALID, ())


def test_nothing_signed_inside_is_passed_over(world: World) -> None:
    inner = world.evidence.sign({"said": 1})
    inner["said"] = 2
    outer = world.evidence.sign({"deep": [{"er": inner}]})
    found = world.examined(outer)
    assert (found.verdict, found.files[0].said[:10]) == (ALTERED, "deep[0].er")


def test_a_document_that_can_not_be_signed_is_refused(world: World) -> None:
    with pytest.raises(InvalidInputError):
        world.evidence.sign({"x": float("nan")})
