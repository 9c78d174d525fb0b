"""Evidence that is signed: what the file and the page say of the key, the digest and the chain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipstream.adapters.indexes.memory import MemoryJournal
from slipstream.adapters.indexes.memory_audits import MemoryAudits
from slipstream.audit.sealing import Evidence
from slipstream.report.evidence import write_evidence
from slipstream.signing.documents import digest_of, verify
from slipstream.signing.keys import SigningKey
from slipstream.testkit.clock import ManualClock
from tests.unit.report.test_evidence import HOSTILE, Made, Page


def _evidence(folder: Path) -> Evidence:
    return Evidence(SigningKey(folder / "signing"), MemoryAudits(), MemoryJournal(), ManualClock())


def test_a_signed_report_says_where_it_stands_in_the_chain(tmp_path: Path) -> None:
    evidence = _evidence(tmp_path)
    kept = evidence._audits.keep(Made(id=None).report(), [], evidence.seal([]))
    history = [dict(evidence.audit(kept))]
    report = {**Made().report(), "id": kept}
    json_path, html_path = write_evidence(tmp_path / "audit", report, history, evidence=evidence)
    document = json.loads(json_path.read_text(encoding="utf-8"))
    assert verify(document, evidence.key.public_key).digest == digest_of(document)
    assert document["kept"] == {**evidence.kept(kept), "number": 1}  # type: ignore[dict-item]
    page = Page(html_path.read_text(encoding="utf-8")).text
    assert f"number 1 of the chain {document['kept']['chain']}" in page
    assert evidence.key.key_id in page
    assert digest_of(document) in page


def test_a_report_that_can_not_be_signed_is_written_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "signing").write_text("in the way")
    json_path, html_path = write_evidence(tmp_path / "audit", Made().report(), [], evidence=_evidence(tmp_path))
    assert "signature" not in json.loads(json_path.read_text(encoding="utf-8"))
    assert "is not signed" in Page(html_path.read_text(encoding="utf-8")).text
    assert "without a signature" in caplog.text


def test_hostile_ids_are_signed_in_the_one_form_they_have(tmp_path: Path) -> None:
    made = Made(counts={"missing": len(HOSTILE)}, divergences={"missing": HOSTILE})
    json_path, _ = write_evidence(tmp_path / "audit", made.report(), [], evidence=_evidence(tmp_path))
    document = json.loads(json_path.read_text(encoding="utf-8"))
    assert verify(document)
    assert document["divergences"]["missing"][:-1] == HOSTILE[:-1]
    assert document["divergences"]["missing"][-1].endswith("\\ud800")
