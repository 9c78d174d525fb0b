"""Chroma as a server against the suite."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SUITE = Path(__file__).with_name("chroma_server_suite.py")


def test_a_real_chroma_server_passes_the_suite() -> None:
    # In a process of its own: Chroma's client leaves sockets in reference cycles, and the warnings about them would
    # strike whichever test happens to run when they are collected.
    ignored = ["-W", "ignore::ResourceWarning", "-W", "ignore::pytest.PytestUnraisableExceptionWarning"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *ignored, str(SUITE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert result.returncode == 0, result.stdout[-3000:]
    assert " passed" in result.stdout
