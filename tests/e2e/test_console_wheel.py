"""The wheel, made from the sdist, has all that a checkout has: the console, types, licences, the command."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from slipstream.http.console import console_assets

ROOT = Path(__file__).parents[2]
PREFIX = "slipstream/console/"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the files of a wheel that was made from the sdist, by their paths."""
    uv, folder = shutil.which("uv"), tmp_path_factory.mktemp("wheel")
    if uv is None:
        pytest.skip("uv is not installed: `pip install uv`")
    made = subprocess.run(
        [uv, "build", "--quiet", "--out-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert made.returncode == 0, made.stderr
    assert len(list(folder.glob("*.tar.gz"))) == 1
    (built,) = folder.glob("*.whl")
    assert built.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(built) as files:
        return {name: files.read(name) for name in files.namelist()}


def test_the_wheel_has_every_file_of_the_console_and_the_licences(wheel: dict[str, bytes]) -> None:
    held = {name.removeprefix(PREFIX): body for name, body in wheel.items() if name.startswith(PREFIX)}
    assert {name: asset.body for name, asset in console_assets().items()}.items() <= held.items()
    assert {"vendor/SHA256SUMS", "vendor/README.md", "vendor/licenses/preact.txt"} <= held.keys()


def test_the_wheel_has_every_file_of_the_package_and_what_tells_of_it(wheel: dict[str, bytes]) -> None:
    source = ROOT / "src"
    ours = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    assert {name for name in ours if "__pycache__" not in name} == {n for n in wheel if ".dist-info/" not in n}
    assert "slipstream/py.typed" in wheel
    about = {name.partition(".dist-info/")[2]: body for name, body in wheel.items() if ".dist-info/" in name}
    for licence in ("LICENSE", "NOTICE"):
        assert about[f"licenses/{licence}"] == (ROOT / licence).read_bytes()
    assert b"slipstream = slipstream.__main__:main" in about["entry_points.txt"]
    assert b"\nName: slipstream-pkg\n" in about["METADATA"]
