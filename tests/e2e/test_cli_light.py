"""What is light stays light: the help loads no command, and what it says is what each command says of itself."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from slipstream.cli import loading
from slipstream.cli.app import app

_HEAVY = ("numpy", "pydantic", "rich", "jinja2", "onnxruntime", "tokenizers", "slipstream.app.composition", "sqlite3")
_PROGRAM = """
import json, sys
from slipstream.__main__ import main
sys.argv = ["slipstream", *sys.argv[1:]]
try:
    main()
except SystemExit:
    print(json.dumps(sorted(sys.modules)))
"""


def _loaded_by(*arguments: str) -> set[str]:
    call = [sys.executable, "-c", _PROGRAM, *arguments]
    output = subprocess.run(call, check=True, capture_output=True, text=True).stdout
    return set(json.loads(output.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []])
def test_to_list_the_commands_loads_none(arguments: list[str]) -> None:
    loaded = _loaded_by(*arguments)
    assert not loaded & set(_HEAVY)
    assert not {name for name in loaded if name.startswith("slipstream.cli.") and "_command" in name}


def test_a_command_loads_no_other() -> None:
    loaded = {name for name in _loaded_by("search", "--help") if "_command" in name and "slipstream.cli" in name}
    assert loaded == {"slipstream.cli.show_commands"}


@pytest.mark.parametrize(
    "name",
    [
        "get",
        "list",
        "neighbours",
        "history",
        "watch",
        "add",
        "set",
        "relate",
        "unrelate",
        "delete",
        "doctor",
        "query",
    ],
)
def test_the_help_of_an_everyday_command_loads_no_more_than_itself(name: str) -> None:
    """So it is with what a shell completes: the options and values of a command are its own module's."""
    loaded = _loaded_by(name, "--help")
    assert not loaded & set(_HEAVY)


def test_the_list_says_of_each_command_what_its_help_says() -> None:
    said = {name: command.help.split("\n\n")[0].replace("\n", " ") for name, command in _commands().items()}
    assert said == {name: shown for name, (_, shown) in loading._SHOWN.items()}


def test_every_command_that_a_module_registers_is_in_the_table() -> None:
    registered = {name for module, _ in loading._SHOWN.values() for name in loading._commands_of(module)}
    assert registered == set(loading._SHOWN)


def test_an_unknown_command_is_answered_by_the_near_ones() -> None:
    answer = CliRunner().invoke(app, ["serach"])
    assert answer.exit_code == 2
    assert "search" in answer.output


def _commands() -> dict[str, Any]:
    group: Any = get_command(app)
    return dict(group.commands)
