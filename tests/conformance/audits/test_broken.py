"""Deliberately broken audit memories must fail the suite, each in the case that was written for its fault."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from slipstream.adapters.indexes.memory_audits import MemoryAudits
from slipstream.testkit.broken.audits import BROKEN_AUDITS

_SUITES = Path(__file__).with_name("broken_suites.py")


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Run the suite over all of them, once, in a process of its own; return the failed cases by class."""
    report = tmp_path_factory.mktemp("broken") / "report.xml"
    command = [sys.executable, "-m", "pytest", str(_SUITES), "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert run.returncode == 1, f"the run itself failed:\n{run.stdout}\n{run.stderr}"
    failed: dict[str, set[str]] = defaultdict(set)
    for case in ET.parse(report).iter("testcase"):  # noqa: S314  (written by our own run)
        assert case.find("error") is None, f"{case.attrib}: an error is no verdict"
        if case.find("failure") is not None:
            failed[case.attrib["classname"].rpartition(".")[2]].add(case.attrib["name"].partition("[")[0])
    return failed


@pytest.mark.parametrize(("broken", "case"), BROKEN_AUDITS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_broken_audits_fail_the_suite(failures: dict[str, set[str]], broken: type[MemoryAudits], case: str) -> None:
    assert case in failures[f"Test{broken.__name__}"]
