"""A PKG for the everyday commands: few people, a model that costs little, and a way to call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from slipstream.cli.app import app

HOSTILE = "red\x1b[31m\x07bell\r\nnext\u202eback"
CONFIG = """[models]
default = "wordllama-l2"
[views.Person]
template = "{{ name }}. {{ motto }}"
metadata = ["city", "age"]
"""


class Cli:
    """Calls commands in one directory, in this process."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, *words: str, code: int = 0, stdin: str | None = None) -> tuple[str, str]:
        """Return both outputs of a call that ends with a code."""
        told = CliRunner().invoke(app, ["--dir", str(self.directory), *words], input=stdin, env={"COLUMNS": "200"})
        assert told.exit_code == code, (told.exit_code, told.output, told.exception)
        return told.stdout, told.stderr

    def json(self, *words: str, code: int = 0) -> Any:
        """Return what a call says as JSON."""
        return json.loads(self.run(*words, "--json", code=code)[0])

    def refused(self, *words: str) -> str:
        """Return why a call is refused; a program is told the same as a person."""
        out, err = self.run(*words, "--json", code=2)
        told = json.loads(out)
        assert err == f"{told['error']}: {told['message']}\n"
        return f"{told['error']}: {told['message']}"


def made(directory: Path) -> Cli:
    """Return a PKG with three people, written by commands."""
    cli = Cli(directory)
    cli.run("init")
    (directory / "slipstream.toml").write_text(CONFIG)
    cli.run("add", "Person", "ada", "name=Ada", "city=London", "age:=36", "motto=engines weave", "--no-sync")
    cli.run("add", "Person", "grace", "name=Grace", "city=Arlington", f"motto={HOSTILE}", "--no-sync")
    cli.run("add", "Place", "river:1", "name=[bold]Thames[/bold]", "--no-sync")
    cli.run("relate", "ada", "KNOWS", "grace", "since:=1950", "--no-sync")
    cli.run("relate", "grace", "LIVES_AT", "river:1")
    return cli
