"""The command `doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slipstream.cli.codes import EXIT_DIVERGENT
from slipstream.cli.context import Context
from slipstream.cli.output import handled_errors, out, print_json
from slipstream.domain.texts import on_one_line

_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("doctor")(doctor)


def doctor(
    context: typer.Context,
    backups: Annotated[
        Path | None, typer.Option(help="The folder of its backups: how old is the newest one?")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """
    Look at everything that a PKG needs, say what is wrong and what to do; changes nothing.

    Exit code: 0 nothing is wrong, or warnings only; 1 something does not work.
    """
    with handled_errors(as_json=as_json):
        from slipstream.app.composition import examined

        settings: Context = context.obj
        findings = examined(settings.directory, backups)
        failed = [finding for finding in findings if finding.level == "fail"]
        if as_json:
            told = [{"name": f.name, "level": f.level.value, "said": f.said, "fix": f.fix} for f in findings]
            print_json({"directory": str(settings.directory.absolute()), "is_well": not failed, "findings": told})
        else:
            width = max(len(finding.name) for finding in findings)
            for finding in findings:
                level = finding.level.value
                out.print(f"{level:<5}", style=_STYLES[level], end="", highlight=False)
                _line(f"{finding.name:<{width}}  {finding.said}")
                if finding.fix:
                    _line(f"{'':<{width + 5}}  -> {finding.fix}")
        if failed:
            raise typer.Exit(EXIT_DIVERGENT)


def _line(text: str) -> None:
    out.print(on_one_line(text), markup=False, highlight=False, soft_wrap=True)
