"""What the doctor finds, one line each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from slipstream.app.composition.factories import DATA_FOLDER
from slipstream.app.config import Config

T = TypeVar("T")


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """It works, and somebody should know."""
    FAIL = "fail"
    """It does not work, or will not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    level: Level
    said: str
    fix: str = ""
    """What to do; empty when nothing is to be done."""


@dataclass
class Examination:
    """What was found so far; each look stands by itself, so that one that fails hides no other."""

    directory: Path
    findings: list[Finding] = field(default_factory=list)
    is_pkg: bool = False
    """Whether there is something to look at."""
    config: Config | None = None
    """None when it can not be read."""

    @property
    def data(self) -> Path:
        """Where the stores are."""
        return self.directory / DATA_FOLDER

    def ok(self, name: str, said: str) -> None:
        """Say that something is as it should be."""
        self.findings.append(Finding(name, Level.OK, said))

    def warn(self, name: str, said: str, fix: str) -> None:
        """Say what somebody should know."""
        self.findings.append(Finding(name, Level.WARN, said, fix))

    def fail(self, name: str, said: str, fix: str) -> None:
        """Say what does not work."""
        self.findings.append(Finding(name, Level.FAIL, said, fix))

    def look(self, name: str, at: Callable[[], T], fix: str) -> T | None:
        """Return what a look returns; where it fails, say so with what to do, and return None."""
        try:
            return at()
        except Exception as error:  # noqa: BLE001  (whatever it is, it is told, and the other looks go on)
            said = str(error) or "it failed without a reason"
            self.fail(name, f"{type(error).__name__}: {said}", fix)
            return None
