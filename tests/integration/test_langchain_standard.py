"""LangChain's standard tests pass, all of them, in a process of their own where nothing may open a connection."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

pytest.importorskip("langchain_tests")
ROOT = Path(__file__).parents[2]
SUITE = ROOT / "tests" / "integration" / "langchain_standard"
STORES, RETRIEVERS = 25, 5
"""How many standard tests there are: 12 of a store, each also with `await`, 4 of a retriever, and one of both."""


def test_every_standard_test_passes_on_every_face(tmp_path: Path) -> None:
    told = tmp_path / "told.xml"
    line = [sys.executable, "-m", "pytest", "-c", str(SUITE / "pytest.ini"), str(SUITE), "-q", f"--junitxml={told}"]
    tracing = {"LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2", "LANGSMITH_API_KEY", "LANGCHAIN_API_KEY"}
    environment = {name: value for name, value in os.environ.items() if name not in tracing}
    ended = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    cases = list(ET.parse(told).iter("testcase"))  # noqa: S314  (pytest has just written it)
    assert [case.get("name") for case in cases if len(case)] == []  # none failed, was skipped or expected to fail
    passed = Counter(str(case.get("classname")).rpartition(".")[2] for case in cases)
    assert passed == {
        "TestStoreOfLangChain": STORES,
        "TestStoreOfOwnModel": STORES,
        "TestStoreConnected": STORES,
        "TestRetrieverOpened": RETRIEVERS,
        "TestRetrieverConnected": RETRIEVERS,
    }
