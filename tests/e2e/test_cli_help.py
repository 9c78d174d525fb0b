"""The help of every command ends with an example, and each example is a call that the command takes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from slipstream.cli.app import app
from slipstream.cli.examples import EXAMPLES


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(_commands(get_command(app)))


def test_there_is_an_example_of_every_command_and_of_nothing_else() -> None:
    assert {" ".join(path) for path in COMMANDS} == set(EXAMPLES)
    assert len(COMMANDS) >= 45


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_example_is_shown_and_is_a_call_that_the_command_takes(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200"}).stdout
    _, _, example = " ".join(shown.split()).partition("Example: ")
    program, *words = shlex.split(example)
    assert program == "slipstream"
    root = get_command(app).make_context(program, words, resilient_parsing=False)
    assert root.params["directory"].name == "my-pkg"
    rest = [*root._protected_args, *root.args]
    assert tuple(rest[: len(path)]) == path
    with COMMANDS[path].make_context(path[-1], rest[len(path) :], parent=root) as context:
        assert context.args == [], "everything is understood"
        assert any(context.params.values()) or len(rest) == len(path)
