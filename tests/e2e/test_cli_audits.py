"""Audits, repairs and the long-running command, as a script would use them."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import typer

from slipstream.audit.findings import AuditReport
from slipstream.cli.audit_commands import _show_report, exit_by
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from tests import warm
from tests.e2e.test_cli import Cli

PEOPLE = 12


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    cli = Cli(tmp_path / "pkg")
    cli.run("init")
    rows = [
        {"type": "node", "id": str(n), "labels": ["Person"], "properties": {"id": f"p{n:02}", "name": f"Person {n}"}}
        for n in range(PEOPLE)
    ]
    dump = tmp_path / "people.jsonl"
    dump.write_text("".join(json.dumps(row) + "\n" for row in rows))
    cli.run("import", str(dump))
    return cli


def tamper(cli: Cli, *statements: str) -> None:
    with closing(sqlite3.connect(cli.directory / ".slipstream" / "index.db")) as raw, raw:
        for statement in statements:
            assert raw.execute(statement).rowcount > 0, statement


ZEROED = "UPDATE vectors SET vector = zeroblob(1536) WHERE record IN (SELECT id FROM records WHERE key = 'e:p03')"
FUTURE = "UPDATE records SET position = 4000000 WHERE key = 'e:p04'"
DELETED = "DELETE FROM records WHERE key IN ('e:p05', 'e:p06')"
SWAPPED = """
UPDATE vectors SET vector = (SELECT vector FROM vectors WHERE record = (SELECT id FROM records WHERE key = 'e:p07'))
WHERE record = (SELECT id FROM records WHERE key = 'e:p08')
"""
EXPECTED = {"corrupt": ["e:p03", "e:p04", "e:p08"], "missing": ["e:p05", "e:p06"]}


def found(report: dict[str, Any]) -> dict[str, list[str]]:
    return {name: sorted(keys) for name, keys in report["divergences"].items() if keys}


@pytest.mark.parametrize("options", [[], ["--incremental"]], ids=["full", "incremental"])
def test_every_damage_is_found_by_either_audit_and_mended(cli: Cli, options: Sequence[str]) -> None:
    assert cli.json("verify")["consistency"] == 1.0
    tamper(cli, ZEROED, FUTURE, DELETED, SWAPPED)
    report = cli.json("verify", *options, code=1)
    assert report["kind"] == ("incremental" if options else "full")
    assert found(report) == EXPECTED
    assert report["consistency"] == pytest.approx(7 / 12)
    assert report["graph_digest"] != report["index_digest"]
    result = cli.json("repair", *options)
    assert (result["marked"], result["after"]["consistency"]) == (5, 1.0)
    assert result["after"]["graph_digest"] == result["after"]["index_digest"]
    assert cli.json("repair", *options)["marked"] == 0
    cli.run("query", "MATCH (p:Person {id: 'p04'}) SET p.name = 'Zebra'", "--write")  # no fence is left behind
    assert cli.json("search", "Zebra", "-k", "1")[0]["entity_id"] == "p04"


def test_an_incremental_audit_of_nothing_new_reads_nothing(cli: Cli) -> None:
    cli.run("verify")
    rows = cli.json("verify", "--incremental")["rows_read"]
    assert (rows["graph"], rows["index"], rows["vectors"]) == (0, 0, 0)


def test_drift_is_only_found_by_looking_deep(cli: Cli) -> None:
    with closing(sqlite3.connect(cli.directory / ".slipstream" / "index.db")) as raw, raw:
        raw.execute(
            "UPDATE vectors SET vector = (SELECT vector FROM vectors v JOIN records r ON r.id = v.record WHERE "
            "r.key = 'e:p01') WHERE record = (SELECT id FROM records WHERE key = 'e:p02')"
        )
        raw.execute(
            "UPDATE records SET checksum = (SELECT checksum FROM records WHERE key = 'e:p01') WHERE key = 'e:p02'"
        )
    assert cli.json("verify")["consistent"]
    assert found(cli.json("verify", "--deep", "all", code=1)) == {"drifted": ["e:p02"]}
    assert cli.json("repair", "--deep", "all")["marked"] == 1
    assert cli.json("verify", "--deep", "1000")["consistent"]


@pytest.mark.parametrize("deep", ["some", "0", "-3", "1.5"])
def test_a_senseless_sample_is_refused(cli: Cli, deep: str) -> None:
    assert cli.json("verify", f"--deep={deep}", code=2)["field"] == "deep"


def test_a_dry_run_tells_the_cost_and_changes_nothing(cli: Cli) -> None:
    tamper(cli, ZEROED, DELETED)
    plan = cli.json("repair", "--dry-run", code=1)
    assert (plan["keys"], plan["texts"], plan["deletions"]) == ({"corrupt": 1, "missing": 2}, 3, 0)
    assert plan["tokens"] >= 3 * 4
    assert plan["embed_s"] > 0
    assert not cli.json("verify", code=1)["consistent"]
    assert cli.json("repair", "--class", "missing", code=1)["after"]["counts"]["corrupt"] == 1
    assert cli.json("repair", "--class", "nonsense", code=2)["field"] == "kinds"


def test_a_repair_that_goes_on_says_with_what(cli: Cli) -> None:
    tamper(cli, DELETED)
    audit_id = cli.json("verify", code=1)["id"]
    reached = json.dumps([audit_id, ["missing"], ["missing", "e:p05"], 1])
    with closing(sqlite3.connect(cli.directory / ".slipstream" / "index.db")) as raw, raw:
        raw.execute("INSERT INTO named_values (name, value) VALUES ('repair', ?)", (reached,))
    result = cli.json("repair")
    assert result["resumed"] == {"audit": audit_id, "marked": {"missing": 1}, "marked_before": 1}
    assert (result["marked"], found(result["before"])) == (2, {"missing": ["e:p05"]})
    assert result["after"]["consistency"] == 1.0
    assert cli.json("repair")["resumed"] is None


def test_a_pkg_that_was_never_scrubbed_is_overdue(cli: Cli) -> None:
    cli.run("status", "--check")
    with closing(sqlite3.connect(cli.directory / ".slipstream" / "index.db")) as raw, raw:
        (text,) = raw.execute("SELECT value FROM named_values WHERE name = 'scrub'").fetchone()
        state = json.loads(text)
        state["opened_at"] = "2026-01-01T00:00:00+00:00"
        raw.execute("UPDATE named_values SET value = ?, checksum = NULL WHERE name = 'scrub'", (json.dumps(state),))
    cli.run("status", "--check", code=1)
    cli.run("verify")  # as good as a scheduled one
    cli.run("status", "--check")


def test_findings_are_kept_and_paged(cli: Cli) -> None:
    tamper(cli, ZEROED, DELETED)
    audit_id = cli.json("verify", code=1)["id"]
    first = cli.json("audits", "show", str(audit_id), "--limit", "2")
    assert first["findings"] == [["corrupt", "e:p03"], ["missing", "e:p05"]]
    rest = cli.json("audits", "show", str(audit_id), "--after", "missing/e:p05")
    assert rest["findings"] == [["missing", "e:p06"]]
    assert cli.json("audits", "show", str(audit_id), "--class", "corrupt")["findings"] == [["corrupt", "e:p03"]]
    assert cli.json("audits", "list")[0]["counts"]["missing"] == 2
    assert "not kept" in cli.json("audits", "show", "4711", code=2)["message"]


def test_a_senseless_page_or_class_is_refused(cli: Cli) -> None:
    tamper(cli, DELETED)
    audit_id = str(cli.json("verify", code=1)["id"])
    for limit in ("0", "-5"):
        cli.run("audits", "show", audit_id, "--limit", limit, code=2)
        cli.run("audits", "list", "--limit", limit, code=2)
    assert "known are missing" in cli.json("audits", "show", audit_id, "--class", "nonsense", code=2)["message"]
    kept = len(cli.json("audits", "list"))
    assert cli.json("repair", "--class", "nonsense", "--dry-run", code=2)["field"] == "kinds"
    assert len(cli.json("audits", "list")) == kept  # refused before anything was audited
    assert "missing/e:p05  Person" in cli.run("audits", "show", audit_id)


def test_counts_are_told_by_type(cli: Cli) -> None:
    tamper(cli, ZEROED, DELETED)
    report = cli.json("verify", code=1)
    assert report["coverage"]["Person"]["counts"] == {"corrupt": 1, "missing": 2}
    assert "corrupt 1, missing 2" in cli.run("audits", "show", str(report["id"]))
    assert "corrupt 1, missing 2" in cli.run("verify", code=1)


def test_what_was_not_judged_is_said_and_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    report = AuditReport(Position(7))
    report.of_type("Person").expected = report.of_type("Person").fresh = 100_000
    exit_by(report)
    _show_report(report, as_json=False)
    assert "could not tell" not in capsys.readouterr().out
    report.note("unsettled", entity_key("hot"), "Person")
    report.note("owed", entity_key("slow"), "Person", "repair")
    with pytest.raises(typer.Exit) as undecided:
        exit_by(report)
    assert undecided.value.exit_code == 2
    _show_report(report, as_json=False)
    shown = capsys.readouterr().out
    assert "could not tell" in shown
    assert "hot" in shown
    assert "slow" in shown
    assert "1 owed (repair 1)" in shown
    report.note("missing", entity_key("gone"), "Person")
    with pytest.raises(typer.Exit) as divergent:
        exit_by(report)
    assert divergent.value.exit_code == 1


def test_a_tiny_miss_is_not_shown_as_everything(capsys: pytest.CaptureFixture[str]) -> None:
    report = AuditReport(Position(7))
    report.of_type("Person").expected, report.of_type("Person").fresh = 10_000_000, 9_999_999
    _show_report(report, as_json=False)
    assert "consistency 99.9999 %" in capsys.readouterr().out


def test_the_report_is_written_as_json_and_as_a_page(cli: Cli, tmp_path: Path) -> None:
    cli.run("verify")
    tamper(cli, DELETED)
    cli.run("verify", "--report", str(tmp_path / "evidence"), code=1)
    report = json.loads((tmp_path / "evidence.json").read_text())
    assert found(report) == {"missing": ["e:p05", "e:p06"]}
    page = (tmp_path / "evidence.html").read_text()
    assert "<svg" in page
    assert "e:p05" in page
    kept = len(cli.json("audits", "list"))
    assert cli.json("verify", "--report", "/nowhere/at/all", code=2)["error"] == "ConfigError"
    assert len(cli.json("audits", "list")) == kept  # before the audit, not after it


def test_status_tells_by_its_exit_code_what_is_past_its_limit(cli: Cli) -> None:
    cli.run("verify")
    cli.run("status", "--check")
    tamper(cli, DELETED)
    cli.run("verify", code=1)
    cli.run("status")
    cli.run("status", "--check", code=1)


def test_the_schedule_is_paused_and_resumed(cli: Cli) -> None:
    cli.run("scrub", "pause")
    assert cli.json("scrub", "status")["paused"] is True
    cli.run("scrub", "resume")
    facts = cli.json("scrub", "status")
    assert (facts["paused"], facts["running"], facts["last_audit"]) == (False, None, None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_run_serves_metrics_and_ends_when_told(cli: Cli, number: signal.Signals) -> None:
    cli.run("verify")
    command = [sys.executable, "-m", "slipstream", "--dir", str(cli.directory), "run", "--metrics", "0"]
    with warm.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = "".join(iter(process.stderr.readline, "running; Ctrl-C ends\n"))
        address = re.search(r"http://\S+/metrics", said)
        assert address is not None
        page = urllib.request.urlopen(address.group(), timeout=10).read().decode()  # noqa: S310  (our own server)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "ended; nothing is lost\n"), err
    assert "slipstream_consistency_ratio 1.0" in page
    assert 'slipstream_alert_firing{rule="consistency"} 0.0' in page


def test_run_tells_by_its_exit_code_that_an_alert_was_firing(cli: Cli) -> None:
    cli.run("apply", "-", stdin="nonsense\n", code=1)  # a dead letter
    command = [sys.executable, "-m", "slipstream", "--dir", str(cli.directory), "--verbose", "run"]
    with warm.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "dead_letters firing" in line:
                break
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "alerts were firing: dead_letters" in err


def test_what_the_operating_system_refuses_is_no_divergence(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    shown = cli.run("import", str(folder), code=2)
    assert "Traceback" not in shown
    assert cli.json("verify")["consistency"] == 1.0


def test_an_empty_graph_has_nothing_to_compare(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "empty")
    cli.run("init")
    shown = cli.run("verify")
    assert "nothing to compare" in shown
    assert "%" not in shown
    assert cli.json("verify")["consistency"] is None
    assert "nothing to compare" in cli.run("audits", "list")


def test_damage_below_is_told_by_name_and_mended(cli: Cli) -> None:
    tamper(cli, "INSERT INTO vectors (record, vector) VALUES (999, zeroblob(4))")
    report = cli.json("verify", code=1)
    (damage,) = report["damage"]
    assert (damage["store"], damage["place"], damage["is_mendable"]) == ("index.db", "vectors.record", True)
    assert (report["verdict"], report["consistency"], report["looked_below"]) == ("divergent", 1.0, "cheap")
    assert "index.db: vectors.record" in cli.run("verify", code=1)
    cli.run("status", "--check", code=1)  # the rule `damage`
    assert cli.json("repair")["after"]["damage"] == []
    assert cli.json("verify", "--deep", "1")["looked_below"] == "deep"
