"""Runs suites over broken adapters in a separate process: does each fault fail the case written for it?"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET


def failed_cases(suites: Path, faults: Mapping[type, str], folder: Path) -> dict[str, set[str]]:
    """
    Run one case of each class `Test<fault>` in a file, and return the failed cases by class.

    `faults` gives the case that was written for each fault. Raises `AssertionError` when nothing failed, and for an
    error in a case, which is not a verdict.
    """
    report = folder / "report.xml"
    cases = [f"{suites}::Test{fault.__name__}::{case}" for fault, case in faults.items()]
    command = [sys.executable, "-m", "pytest", *cases, "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert run.returncode == 1, f"the run itself failed:\n{run.stdout}\n{run.stderr}"
    failed: dict[str, set[str]] = defaultdict(set)
    for case in ET.parse(report).iter("testcase"):  # noqa: S314  (written by our own run)
        assert case.find("error") is None, f"{case.attrib}: an error is no verdict"
        if case.find("failure") is not None:
            failed[case.attrib["classname"].rpartition(".")[2]].add(case.attrib["name"].partition("[")[0])
    return failed
