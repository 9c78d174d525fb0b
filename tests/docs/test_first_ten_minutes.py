"""The commands of docs/first-ten-minutes.md run, and say what the page says."""

from __future__ import annotations

import glob
import os
import shlex
import subprocess
import sys
from pathlib import Path

from tests import warm
from tests.docs import first_ten_minutes

COMMAND = [sys.executable, "-m", "slipstream"]


def test_each_command_runs_and_says_what_stands_below_it(tmp_path: Path) -> None:
    def run(command: str) -> str:
        program, *words = shlex.split(command)
        if program != "slipstream":
            subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
            return ""
        arguments = [found for word in words for found in glob.glob(word, root_dir=tmp_path) or [word]]
        done = warm.run(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return str(done.stdout)

    assert first_ten_minutes.walk(tmp_path, run) > 10
    assert first_ten_minutes.files().keys() >= {"people.csv", "notes/Ada.md"}
