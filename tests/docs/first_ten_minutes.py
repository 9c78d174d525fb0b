"""
docs/first-ten-minutes.md, run command by command; with nothing but the standard library, and from a new environment.

    python -m tests.docs.first_ten_minutes PYTHON [WHEEL]

builds a wheel (or takes one), installs it for that Python, and runs the page with what was installed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "first-ten-minutes.md"
EXTRAS = "cypher,notes,server"


class Step(NamedTuple):
    """One command of the page, and what its output has in it."""

    command: str
    told: tuple[str, ...]


def files() -> dict[str, str]:
    """Return the files of the page, by their paths."""
    found = re.findall(
        r"^<!-- file: (\S+) -->\n```\w+\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return dict(found)


def steps(page: Path = PAGE) -> Iterator[Step]:
    """Yield the commands of a page in their order."""
    for block in re.findall(r"^```console\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *told = part.splitlines()
            yield Step(command, tuple(told))


def walk(folder: Path, run: Callable[[str], str]) -> int:
    """Lay the files out and run each command; returns how many. Raises `AssertionError` for what is not told."""
    for name, text in files().items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    told = list(steps())
    for step in told:
        output = " ".join(run(step.command).split())
        for line in step.told:
            assert line in output, f"`{step.command}` says {output!r}, and not {line!r}"
    return len(told)


def installed(python: str, wheel: Path, folder: Path) -> Path:
    """Install a wheel into a new environment; returns the folder of its programs."""
    place = folder / "environment"
    subprocess.run(["uv", "venv", "--quiet", "--python", python, str(place)], check=True)
    target = ["--python", str(place / "bin" / "python"), f"{wheel}[{EXTRAS}]"]
    subprocess.run(["uv", "pip", "install", "--quiet", *target], check=True)
    return place / "bin"


def main(python: str, *wheels: str) -> None:
    """Run the page on a Python, in an environment that holds nothing but a wheel."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not wheels:
            subprocess.run(["uv", "build", "--quiet", "--out-dir", name, str(ROOT)], check=True)
        (wheel,) = wheels or [str(path) for path in folder.glob("*.whl")]
        programs = installed(python, Path(wheel).resolve(), folder)
        environment = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": name, "COLUMNS": "200"}

        def run(command: str) -> str:
            done = subprocess.run(
                ["sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, (command, done.stdout, done.stderr)
            return done.stdout

        number = walk(folder, run)
        served = subprocess.Popen(
            [str(programs / "slipstream"), "--dir", "my-pkg", "serve", "--http", "127.0.0.1:0"],
            cwd=folder,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert served.stderr is not None
        assert any("running" in line for line in served.stderr), "it serves"
        served.terminate()
        assert served.wait(60) == 0
        sys.stdout.write(f"{run('python --version').strip()}: {number} commands of {PAGE.name}, from {wheel}\n")


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    main(*sys.argv[1:])
