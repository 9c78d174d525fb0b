"""Runs suites that are to fail, in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree as ET


def failed_cases(suites: Path, folder: Path) -> dict[str, set[str]]:
    """Run a file of suites once; return the failed cases by class. An error in one is no verdict, and fails here."""
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", str(suites), "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert run.returncode == 1, f"the run itself failed:\n{run.stdout}\n{run.stderr}"
    failed: dict[str, set[str]] = defaultdict(set)
    for case in ET.parse(report).iter("testcase"):  # noqa: S314  (written by our own run)
        assert case.find("error") is None, f"{case.attrib}: an error is no verdict"
        if case.find("failure") is not None:
            failed[case.attrib["classname"].rpartition(".")[2]].add(case.attrib["name"].partition("[")[0])
    return failed
