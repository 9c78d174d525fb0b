"""Indexes that hide damage must fail the tampering suite, each where its fault shows; an honest wrapper must not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from slipstream.testkit.broken.audited import BROKEN_AUDITED, HonestIndex
from tests import warm

_SUITES = Path(__file__).with_name("tampering_broken_suites.py")
_CASE = "test_damage_is_found_with_its_class_and_repaired"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], bool]:
    """Run the cases in a process of their own; return by class and case whether it passed."""
    report = tmp_path_factory.mktemp("broken") / "report.xml"
    chosen = [(broken, way) for broken, way in BROKEN_AUDITED.items()]
    chosen += [(HonestIndex, way) for way in BROKEN_AUDITED.values()]
    cases = [f"{_SUITES}::Test{wrapper.__name__}::{_CASE}[{way}]" for wrapper, way in chosen]
    warmed = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"  # in the process that is forked
    options = ["-q", "-p", "no:cacheprovider", "-W", warmed, f"--junitxml={report}"]
    command = [sys.executable, "-m", "pytest", *cases, *options]
    run = warm.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900)
    assert run.returncode == 1, f"the run itself failed:\n{run.stdout}"
    found = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314  (written by our own run)
        assert case.find("error") is None, f"{case.attrib}: an error is no verdict"
        name = case.attrib["classname"].rpartition(".")[2].removeprefix("Test")
        found[name, case.attrib["name"].partition("[")[2].removesuffix("]")] = case.find("failure") is None
    return found


@pytest.mark.parametrize(("broken", "way"), BROKEN_AUDITED.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_what_hides_damage_fails_the_suite(
    verdicts: dict[tuple[str, str], bool], broken: type[HonestIndex], way: str
) -> None:
    assert verdicts[broken.__name__, way] is False
    assert verdicts[HonestIndex.__name__, way] is True
