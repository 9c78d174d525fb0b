"""The pages on alerts and evidence say what the code does."""

from __future__ import annotations

import json
import re
import shlex
from contextlib import chdir
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import slipstream
from slipstream.adapters.alerts.webhook import SCHEMA as ALERT_SCHEMA
from slipstream.cli.app import app
from slipstream.ports.alerts import AlertEvent
from slipstream.report.alerts import BACKLOG_MAX, RULES, AlertThresholds
from slipstream.report.evidence_page import SCHEMA as AUDIT_SCHEMA
from slipstream.signing.documents import CONTEXT, digest_of

DOCS = Path(__file__).parents[2] / "docs"
ALERTS = (DOCS / "alerts.md").read_text(encoding="utf-8")
EVIDENCE = (DOCS / "evidence.md").read_text(encoding="utf-8")


def _snippets(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def _run(snippet: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(snippet, "docs", "exec"), names)  # noqa: S102  (our own page)
    return names


def test_the_alerts_snippet_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    (snippet,) = _snippets(ALERTS, "python")
    _run(snippet)
    said = re.findall(r"print\(.*\)  # ([^:\n]*\])", snippet)
    assert capsys.readouterr().out.splitlines() == said
    assert len(said) == 2


def test_every_rule_and_limit_is_documented_with_its_default() -> None:
    for rule in RULES:
        assert f"| `{rule}` |" in ALERTS
    for limit in fields(AlertThresholds):
        assert f"{limit.name} = {limit.default}" in ALERTS or f"`{limit.name}` (10 seconds)" in ALERTS
    assert f"{BACKLOG_MAX} alerts are kept" in ALERTS


def test_the_posted_alert_is_the_documented_one() -> None:
    (block,) = _snippets(ALERTS, "json")
    shown = json.loads(block)
    event = AlertEvent.from_dict(shown)
    assert shown == {"schema": ALERT_SCHEMA, "id": event.id, "incident": event.incident, **event.as_dict()}


def test_the_evidence_snippets_name_what_there_is() -> None:
    names = [_run(snippet) for snippet in _snippets(EVIDENCE, "python")]
    assert [callable(names[0]["keep"]), callable(names[1]["page_again"])] == [True, True]
    assert AUDIT_SCHEMA in EVIDENCE


def test_the_signature_snippets_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with slipstream.open(tmp_path / "my-pkg", create=True) as slip:
        slip.verify()
    newest_audit = _run(_snippets(EVIDENCE, "python")[2])["newest_audit"]
    document = newest_audit(str(tmp_path / "my-pkg"))
    assert capsys.readouterr().out == f"{digest_of(document)}\n"
    (shell,) = [block for block in _snippets(EVIDENCE, "sh") if "evidence verify" in block]
    commands = [shlex.split(line, comments=True)[1:] for line in shell.splitlines()]
    with chdir(tmp_path):
        for words in commands:
            words, _, file = (words[:-2], ">", words[-1]) if ">" in words else (words, "", "")  # noqa: PLW2901
            told = CliRunner().invoke(app, words)
            assert told.exit_code == 0, told.output
            if file:
                Path(file).write_text(told.stdout)
    assert CONTEXT == b"slipstream signed document 1\n"
    assert "`slipstream signed document 1`" in EVIDENCE
