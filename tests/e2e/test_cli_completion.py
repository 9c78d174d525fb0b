"""What Tab offers, in a real bash: commands, types and ids; quick, and silent when nothing can be told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import slipstream
from slipstream.importers.reading import FORMATS
from slipstream.search.options import MODES
from tests.e2e.everyday import made

BIN = Path(sys.executable).parent
HEAVY = {"numpy", "pydantic", "jinja2", "slipstream.app.composition", "slipstream.app.slipstream"}
_SCRIPT = """
eval "$(_SLIPSTREAM_COMPLETE=source_bash slipstream)"
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 ))
_slipstream_completion slipstream
printf '%s\\n' "${COMPREPLY[@]}"
"""
_PROGRAM = """
import json, sys, atexit
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
from slipstream.__main__ import main
sys.argv = ["slipstream"]
main()
"""


@pytest.fixture(scope="module")
def pkg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cli = made(tmp_path_factory.mktemp("completion") / "pkg")
    with slipstream.open(cli.directory) as slip, slip.pkg.transaction() as tx:
        tx.create_entity("Person", "has a space")
        tx.create_entity("Person", "$(touch hacked)")
        tx.create_entity("Strange type", "s")
    return cli.directory


def _offered(*words: str, cwd: Path) -> list[str]:
    """Press Tab behind the last word; returns what bash gets, when nothing else was said."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash here")
    call = [bash, "--norc", "-c", _SCRIPT, "bash", "slipstream", *words]
    path = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(call, capture_output=True, text=True, check=True, env=path, cwd=cwd)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_is_offered_commands_types_and_ids(pkg: Path, tmp_path: Path) -> None:
    here = ("--dir", str(pkg))
    assert _offered("sea", cwd=tmp_path) == ["search"]
    assert {"get", "list", "add", "watch", "doctor"} <= set(_offered("", cwd=tmp_path))
    assert _offered(*here, "get", "a", cwd=tmp_path) == ["ada"]
    assert _offered(*here, "get", "ada", "", cwd=tmp_path) == ["ada", "grace", "river:1", "s"], (
        "none that needs quotes"
    )
    assert _offered(*here, "search", "x", "--type", "", cwd=tmp_path) == ["KNOWS", "LIVES_AT", "Person", "Place"]
    assert _offered(*here, "search", "x", "--mode", "", cwd=tmp_path) == list(MODES)
    assert _offered(*here, "search", "x", "--sort", "n", cwd=tmp_path) == ["newest"]
    assert _offered(*here, "search", "x", "--why-not", "gr", cwd=tmp_path) == ["grace"]
    assert _offered(*here, "neighbours", "ada", "--type", "K", cwd=tmp_path) == ["KNOWS"]
    assert _offered(*here, "add", "P", cwd=tmp_path) == ["Person", "Place"]
    assert _offered(*here, "relate", "ada", "", cwd=tmp_path) == ["KNOWS", "LIVES_AT"]
    assert "--json" in _offered(*here, "get", "--", cwd=tmp_path)
    assert _offered("import", "--format", "", cwd=tmp_path) == list(FORMATS)
    assert _offered("get", "a", cwd=pkg) == ["ada"], "the PKG of this directory"
    assert not (tmp_path / "hacked").exists()


def test_an_id_with_a_colon_is_completed_although_bash_cuts_it(pkg: Path, tmp_path: Path) -> None:
    assert _offered("--dir", str(pkg), "get", "river", ":", "", cwd=tmp_path) == ["1"]


@pytest.mark.parametrize("state", ["gone", "broken", "never opened"])
def test_it_is_silent_where_nothing_can_be_told(tmp_path: Path, state: str) -> None:
    place = tmp_path / "pkg"
    if state != "gone":
        (place / ".slipstream").mkdir(parents=True)
        (place / "slipstream.toml").write_text("")
    if state == "broken":
        (place / ".slipstream" / "graph.db").write_bytes(b"broken" * 1_000)
    assert _offered("--dir", str(place), "get", "", cwd=tmp_path) == []
    assert _offered("--dir", str(place), "search", "x", "--type", "", cwd=tmp_path) == []
    assert place.exists() is (state != "gone")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_told_the_same(pkg: Path, shell: str) -> None:
    def asked(line: str) -> str:
        told = {"_SLIPSTREAM_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line}
        more = {**os.environ, **told, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
        done = subprocess.run([BIN / "slipstream"], capture_output=True, text=True, check=False, env=more)
        assert done.stderr == ""
        return done.stdout

    assert "ada" in asked(f"slipstream --dir {pkg} get a")
    assert "grace" not in asked(f"slipstream --dir {pkg} get a")
    assert "Show entities" in asked("slipstream ge")


@pytest.mark.parametrize(
    "words", ["se", "--dir {} get a", "--dir {} search x --type P", "--dir {} query --format ", "import --format "]
)
def test_it_loads_next_to_nothing(pkg: Path, words: str) -> None:
    line = f"slipstream {words.format(pkg)}"
    told = {"_SLIPSTREAM_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    call = [sys.executable, "-c", _PROGRAM]
    done = subprocess.run(call, capture_output=True, text=True, check=False, env={**os.environ, **told})
    assert done.stdout.strip()
    assert not HEAVY & set(json.loads(done.stderr.splitlines()[-1]))


def test_it_installs_itself_for_the_shell_that_asks(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash here")
    home = {**os.environ, "HOME": str(tmp_path), "PATH": f"{BIN}:{os.environ['PATH']}"}
    call = [bash, "--norc", "-c", "slipstream --install-completion; true"]
    done = subprocess.run(call, capture_output=True, text=True, check=True, env=home)
    assert "completion installed" in done.stdout
    assert (tmp_path / ".bashrc").read_text().count("slipstream.sh") == 1
    call = [bash, "--norc", "-c", "slipstream --show-completion; true"]
    shown = subprocess.run(call, capture_output=True, check=True, env=home)
    assert b"complete -o default -F _slipstream_completion slipstream" in shown.stdout
