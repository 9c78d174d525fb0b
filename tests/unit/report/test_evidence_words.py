"""The evidence page says what was found of word rows, and how closely they were looked at."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from slipstream.audit.findings import AuditReport, report_as_dict
from slipstream.audit.words_found import ALL, CHANGED, WordsFound
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.report.evidence import render_html
from tests.unit.report.test_evidence import Page

_AT = datetime(2026, 7, 1, 3, tzinfo=UTC)


def told(words: WordsFound | None, kind: str = "full") -> dict[str, Any]:
    """Return the report of an audit that found every vector right."""
    report = AuditReport(Position(9), kind=kind, id=4, started_at=_AT, finished_at=_AT, words=words)
    report.of_type("Person").expected = report.of_type("Person").found = report.of_type("Person").fresh = 100
    return report_as_dict(report)


def found(*stale: str, looked: str = ALL, counted: bool = False) -> WordsFound:
    """Return what was found of 200 rows, some of them stale."""
    words = WordsFound(looked, expected=200, held=200, fresh=200 - len(stale), is_counted=counted)
    for name in stale:
        words.note("word_stale", entity_key(name), "Person")
    return words


def page_of(report: dict[str, Any]) -> Page:
    return Page(render_html(report, [report]))


def test_a_stale_row_is_a_divergence_although_every_vector_is_right() -> None:
    report = told(found("p1"))
    page = page_of(report)
    assert page.by_tag["h1"] == ["1 divergence found"]
    assert "99.5 %" in page.text
    row = next(row for row in page.rows() if row.startswith("word_stale"))
    assert row == "word_stalefound by words of an older text, or of other views1"
    assert "e:p1" in page.text
    assert "Word rows expected200every row was read" in page.text
    assert "199 as they should be" in page.text


def test_right_vectors_and_right_rows_agree() -> None:
    page = page_of(told(found()))
    assert page.by_tag["h1"] == ["Graph and index agree"]
    assert any(row.startswith("word_corrupt") and row.endswith("history0") for row in page.rows())


@pytest.mark.parametrize(("counted", "said"), [(True, "only counted"), (False, "neither read nor counted")])
def test_what_was_not_read_is_said(counted: bool, said: str) -> None:
    page = page_of(told(found(looked=CHANGED, counted=counted), kind="incremental"))
    assert f"the rest was {said}" in page.text


def test_an_audit_without_word_rows_does_not_say_that_none_is_wrong() -> None:
    page = page_of(told(None))
    assert "word_stale" not in page.text
    assert "not compared" in page.text


def test_rows_that_are_owed_are_named_by_their_lane() -> None:
    words = found()
    words.note("word_owed", entity_key("p2"), "Person")
    page = page_of(told(words))
    assert "1 key still to be brought up to date" in page.text
    assert "e:p2" in page.text
