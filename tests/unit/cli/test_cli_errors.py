"""One place says what went wrong, in a line, and by which code the command ends."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from typing import Any

import pytest
import typer

from slipstream.cli.codes import EXIT_ERROR
from slipstream.cli.output import handled_errors
from slipstream.domain.errors import InvalidInputError, RepairNeedsConfirmationError

WRONG: Mapping[str, tuple[Exception, str]] = {
    "no room": (OSError(errno.ENOSPC, "No space left", "/x/a"), "/x/a: No space left: make room, and run the same"),
    "too large": (OSError(errno.EFBIG, "File too large", "/x/a"), "/x/a: File too large: make room"),
    "denied": (
        OSError(errno.EACCES, "Denied", "/x/a"),
        "/x/a: Denied: change who may use it, or choose another place",
    ),
    "read only": (OSError(errno.EROFS, "Read-only", "/x/a"), "/x/a: Read-only: change who may use it"),
    "gone": (OSError(errno.ENOENT, "No such file", b"/x/\xff"), "/x/\\udcff: No such file: look at the path"),
    "a folder": (OSError(errno.EISDIR, "Is a directory", "/x"), "/x: Is a directory: name a file"),
    "files": (OSError(errno.EMFILE, "Too many open files"), "Too many open files: let the process open more files"),
    "unknown": (
        OSError(errno.EIO, "Input/output error", "/x"),
        "/x: Input/output error: look at it, and run the same",
    ),
    "without a number": (OSError("odd"), "odd: look at it"),
    "memory": (MemoryError(), "there is not enough memory: end other programs, or ask for less"),
    "ours": (InvalidInputError("is wrong", field="k"), "k: is wrong"),
    "hostile": (InvalidInputError("\x1b[31m[red]", field="k"), "k: \\x1b[31m[red]"),
}


def _ended(error: Exception, **how: Any) -> int:
    with pytest.raises(typer.Exit) as caught, handled_errors(**how):
        raise error
    return caught.value.exit_code


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_outside_of_us_is_one_line_and_2(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    error, said = WRONG[kind]
    assert _ended(error) == EXIT_ERROR == 2
    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert line.startswith(f"{type(error).__name__}: ")
    assert said in line
    assert shown.out == ""


@pytest.mark.parametrize("kind", WRONG)
def test_a_program_reads_the_same(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    error, _ = WRONG[kind]
    assert _ended(error, as_json=True, more={"done": 3}) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["error"] == type(error).__name__
    assert told["message"]
    assert told["done"] == 3


def test_json_has_the_field_and_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert _ended(InvalidInputError("is wrong", field="k"), as_json=True) == 2
    assert json.loads(capsys.readouterr().out)["field"] == "k"
    assert _ended(RepairNeedsConfirmationError("braked", plan={"id": 7}), as_json=True) == 2
    assert json.loads(capsys.readouterr().out)["plan"] == {"id": 7}


def test_nobody_is_told_when_nobody_reads(capsys: pytest.CaptureFixture[str]) -> None:
    assert _ended(BrokenPipeError(errno.EPIPE, "Broken pipe"), as_json=True) == 2
    assert capsys.readouterr() == ("", "")


def test_ctrl_c_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, handled_errors():
        raise KeyboardInterrupt
    assert caught.value.exit_code == 130
    assert "interrupted: nothing is lost" in capsys.readouterr().err


def test_a_fault_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), handled_errors():
        raise ZeroDivisionError
