"""The wheel has the whole console: what is served from a checkout is served from an installed package."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from slipstream.http.console import console_assets

ROOT = Path(__file__).parents[2]
PREFIX = "slipstream/console/"


def test_the_wheel_has_every_file_of_the_console_and_the_licences(tmp_path: Path) -> None:
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed: `pip install uv`")
    made = subprocess.run(
        [uv, "build", "--wheel", "--quiet", "--out-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert made.returncode == 0, made.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        held = {name.removeprefix(PREFIX): files.read(name) for name in files.namelist() if name.startswith(PREFIX)}
    assert {name: asset.body for name, asset in console_assets().items()}.items() <= held.items()
    assert {"vendor/SHA256SUMS", "vendor/README.md", "vendor/licenses/preact.txt"} <= held.keys()
