"""Where a command's answer goes, and where its input comes from, as real processes: nothing of it is a traceback."""

from __future__ import annotations

import json
import os
import resource
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import warm

COUNT = 3_000
SLIPSTREAM = (sys.executable, "-m", "slipstream")
NAMES = "MATCH (p:Person) RETURN p.name"


@pytest.fixture(scope="module")
def pkg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("streams")
    nodes = (
        {"type": "node", "id": str(n), "labels": ["Person"], "properties": {"id": f"p{n}", "name": f"Zoë {n} " * 9}}
        for n in range(COUNT)
    )
    (root / "dump").write_text("".join(json.dumps(node) + "\n" for node in nodes))
    assert _ended(root / "pkg", "init").returncode == 0
    (root / "pkg" / "slipstream.toml").write_text('[models]\ndefault = "wordllama-l2"\n')
    assert _ended(root / "pkg", f"import {root / 'dump'} --no-sync").returncode == 0
    return root / "pkg"


def _command(pkg: Path, call: str) -> list[str]:
    return [*SLIPSTREAM, "--dir", str(pkg), *(NAMES if word == "NAMES" else word for word in call.split())]


def _ended(pkg: Path, call: str, **how: object) -> subprocess.CompletedProcess[str]:
    options: dict[str, Any] = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "stdin": subprocess.DEVNULL,
        **how,
    }
    begin = warm.run if how.keys().isdisjoint(("env", "preexec_fn")) else subprocess.run
    return begin(_command(pkg, call), text=True, timeout=600, check=False, **options)


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("call", ["query NAMES", "audits list --json", "export -"])
def test_a_reader_that_has_enough_is_no_fault_and_no_verdict(pkg: Path, call: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = _ended(pkg, call, stdout=writing)
    os.close(writing)
    assert (ended.returncode, _lines(ended.stderr)) == (2, [])


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="has no /dev/full")
@pytest.mark.parametrize("call", ["query NAMES", "audits list --json", "export -"])
def test_a_full_disk_behind_standard_output_is_told(pkg: Path, call: str) -> None:
    with Path("/dev/full").open("w") as full:
        ended = _ended(pkg, call, stdout=full)
    assert len(_lines(ended.stderr)) == 1, ended.stderr
    (line,) = _lines(ended.stderr)
    assert ended.returncode == 2
    assert "No space left on device" in line
    assert "standard output" in line


@pytest.mark.parametrize(
    ("call", "closed", "code"),
    [("audits list", ">&-", 0), ("audits list", "2>&-", 0), ("nope", "2>&-", 2), ("apply -", "<&-", 2)],
)
def test_a_closed_stream_ends_no_command_by_a_traceback(pkg: Path, call: str, closed: str, code: int) -> None:
    shell = ["sh", "-c", f'exec "$@" {closed}', "-", *_command(pkg, call)]
    ended = subprocess.run(shell, capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr
    if "<" in closed:
        assert _lines(ended.stderr) == [
            "ConfigError: standard input is closed: name a file, or pipe the events in",
        ]


@pytest.mark.parametrize("call", ["query NAMES", "query NAMES --json"])
def test_an_output_without_a_character_for_it_shows_its_escape(pkg: Path, call: str) -> None:
    ended = _ended(pkg, call, env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert (ended.returncode, _lines(ended.stderr)) == (0, [])
    if "--json" in call:
        assert len(json.loads(ended.stdout)) == COUNT
    assert "Zo\\u00eb" in ended.stdout or "Zo\\xeb" in ended.stdout


def test_a_file_that_may_not_grow_is_told_and_nothing_of_it_stays(pkg: Path, tmp_path: Path) -> None:
    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    ended = _ended(pkg, f"export {tmp_path / 'all.jsonl'}", preexec_fn=small)  # no threads here
    (line,) = _lines(ended.stderr)
    assert ended.returncode == 2
    assert "all.jsonl can not be written (File too large): nothing is left of it" in line
    assert list(tmp_path.iterdir()) == []


def test_an_export_into_a_pipe_leaves_the_pipe_as_it_is(pkg: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with warm.Popen(_command(pkg, f"export {pipe} --plain"), stdout=subprocess.DEVNULL) as process:
        with pipe.open() as reader:
            assert sum(1 for _ in reader) == COUNT
        assert process.wait(120) == 0
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def _without_rights() -> list[str]:
    """Return what runs a command as a user who may not write everywhere."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root writes everywhere, and setpriv is not here")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


@pytest.mark.parametrize(
    ("mode", "of", "call"),
    [
        (0o555, "pkg", "status"),
        (0o555, "pkg", "import DUMP"),
        (0o555, "pkg", "backup BACKUPS"),
        (0o000, "pkg", "verify"),
        (0o000, "pkg/slipstream.toml", "verify"),
    ],
)
def test_what_may_not_be_used_is_told(pkg: Path, tmp_path: Path, mode: int, of: str, call: str) -> None:
    as_somebody = _without_rights()
    shutil.copytree(pkg, tmp_path / "pkg")
    (tmp_path / "backups").mkdir(mode=0o555)
    changed = [tmp_path / of, tmp_path / of / ".slipstream"] if mode == 0o555 else [tmp_path / of]
    for path in reversed(changed):
        path.chmod(mode)
    try:
        words = call.replace("DUMP", str(pkg.parent / "dump")).replace("BACKUPS", str(tmp_path / "backups"))
        command = [*as_somebody, *_command(tmp_path / "pkg", words)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    finally:
        for path in changed:
            path.chmod(0o700)
    assert ended.returncode == 2, (ended.stdout, ended.stderr)
    assert "Traceback" not in ended.stderr
    assert "can not be" in ended.stderr or "may not be" in ended.stderr or "denied" in ended.stderr, ended.stderr
    if call != "status":  # which tells each fact that it could not read in a line of its own
        assert len(_lines(ended.stderr)) == 1
