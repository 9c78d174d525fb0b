"""What hides damage must fail the tampering suites, each where its fault shows; an honest wrapper must not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from slipstream.testkit.broken.audited import BROKEN_AUDITED, HonestIndex
from slipstream.testkit.broken.words_audited import BROKEN_ROWS, HonestRows
from tests import warm

_SUITES = Path(__file__).with_name("tampering_broken_suites.py")
_CASE = "test_damage_is_found_with_its_class_and_repaired"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], bool]:
    """Run the cases in a process of their own; return by class and case whether it passed."""
    report = tmp_path_factory.mktemp("broken") / "report.xml"
    chosen = [(broken.__name__, way) for broken, way in BROKEN_AUDITED.items()]
    chosen += [(HonestIndex.__name__, way) for way in BROKEN_AUDITED.values()]
    chosen += [(_of_rows(broken), way) for broken, way in BROKEN_ROWS.items()]
    chosen += [(_of_rows(HonestRows), way) for way in dict.fromkeys(BROKEN_ROWS.values())]
    cases = [f"{_SUITES}::Test{name}::{_CASE}[{way}]" for name, way in chosen]
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


@pytest.mark.parametrize(("broken", "way"), BROKEN_ROWS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_word_rows_that_hide_damage_fail_the_suite(
    verdicts: dict[tuple[str, str], bool], broken: type[HonestRows], way: str
) -> None:
    assert verdicts[_of_rows(broken), way] is False
    assert verdicts[_of_rows(HonestRows), way] is True


def _of_rows(wrapper: type[HonestRows]) -> str:
    return f"Words{wrapper.__name__}"
