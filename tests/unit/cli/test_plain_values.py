"""Plain values are taken as they are; everything else, and every error, is Typer's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from slipstream.cli.plain_values import take_plainly

CALLS: list[list[str]] = [
    ["text"],
    ["text", "--number", "5"],
    ["text", "--number", "05"],
    ["text", "--number", "-5"],
    ["text", "--number", "1_000"],
    ["text", "--number", "5.0"],
    ["text", "--number", "99999999999999999999"],
    ["text", "--number", "x"],
    ["text", "--bounded", "5"],
    ["text", "--bounded", "50"],
    ["text", "--path", "a/b"],
    ["text", "--there", "/nowhere/at/all"],
    ["text", "--there", "/"],
    ["text", "--more", "1", "--more", "2"],
    ["text", "--flag"],
    ["text", "--flag", "--no-flag"],
    ["", "--path", ""],
    ["bad \udcff"],
    [],
]


def _app() -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None, add_completion=False)

    @app.command()
    def show(
        text: str,
        number: int | None = None,
        bounded: Annotated[int, typer.Option(min=1, max=9)] = 1,
        path: Path = Path(),
        there: Annotated[Path | None, typer.Option(exists=True)] = None,
        more: list[int] | None = None,
        flag: bool | None = None,
    ) -> None:
        typer.echo(repr((text, number, bounded, path, there, more, flag)))

    return app


def _said(arguments: list[str], *, plainly: bool) -> tuple[int, str]:
    app = _app()
    command: Any = get_command(app)
    if plainly:
        take_plainly(command.params)
    answer = CliRunner().invoke(_Kept(command), arguments)
    return answer.exit_code, answer.output


class _Kept(typer.Typer):
    """Has the runner of the tests run this very command."""

    def __init__(self, command: Any) -> None:
        super().__init__()
        self.command_kept = command


@pytest.fixture(autouse=True)
def _runs_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.testing._get_command", lambda app: app.command_kept)


@pytest.mark.parametrize("arguments", CALLS, ids=repr)
def test_what_comes_of_a_call_is_what_typer_makes_of_it(arguments: list[str]) -> None:
    assert _said(arguments, plainly=True) == _said(arguments, plainly=False)
