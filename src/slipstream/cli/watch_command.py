"""The command `watch`: changes as they are committed, and when searches find them."""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slipstream.cli.completing import types
from slipstream.cli.context import Context
from slipstream.cli.output import handled_errors, out, print_json, print_warning
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.positions import Position
from slipstream.domain.texts import on_one_line

if TYPE_CHECKING:
    from slipstream.app.composition import Looking
    from slipstream.ports.feed import ChangeFeed

_PAGE = 500
_WAIT_S = 0.5
"""How long a commit is waited for at a time: so long a closed pipe goes unnoticed."""
_SOON_S = 0.1
"""How long the index is waited for at a time, while it is behind: so long a new commit may have to wait."""
_LAG_EVERY_S = 1.0
_ALONE_S = 2.0
"""When it is said that nobody runs the engine."""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("watch")(watch)


def watch(
    context: typer.Context,
    entity_type: Annotated[
        str | None,
        typer.Option("--type", help="Only entities or relationships of this type.", autocompletion=types),
    ] = None,
    after: Annotated[
        int | None, typer.Option(min=0, help="Begin behind this position; without: with what comes now.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON document a line, for programs.")] = False,
) -> None:
    """
    Show changes as they are committed, and when searches find them, until Ctrl-C; beside a server, and alone.

    It reads the files and never runs the engine. Exit code: 0 after Ctrl-C.
    """
    from slipstream.app.composition import looking_on

    settings: Context = context.obj
    with handled_errors(as_json=as_json), looking_on(settings.directory) as looking, suppress(KeyboardInterrupt):
        _Watching(settings, looking, entity_type, as_json=as_json).run(after)


@dataclass
class _Watching:
    """Follows one log; says each change at once, and how far the index is whenever that tells something new."""

    settings: Context
    looking: Looking
    entity_type: str | None
    as_json: bool
    at: int = 0
    """How far the log was read."""
    told: int = -1
    """The frontier that was told last."""
    told_s: float = 0.0
    behind_since_s: float = field(default_factory=time.monotonic)
    has_warned: bool = False

    def run(self, after: int | None) -> None:
        """Follow the log until the process is interrupted, or nobody reads."""
        feed = self.looking.feed
        head = int(feed.head())
        if after is not None and after > head:
            raise InvalidInputError(f"the log has only come to position {head}, not to {after}", field="after")
        self.at = head if after is None else after
        self.told = int(self.looking.frontier.now())
        self._say_lag()
        while True:
            if _is_unread():
                raise BrokenPipeError
            if self._read(feed):
                continue
            frontier = int(self.looking.frontier.now())
            if frontier < self.at:
                self.looking.frontier.wait(Position(self.at), _SOON_S)
                self._look_at_lag()
            else:
                self._look_at_lag()
                feed.wait(Position(self.at), _WAIT_S)

    def _read(self, feed: ChangeFeed) -> bool:
        """Say what is new in the log; False when nothing is."""
        from slipstream.app.browsing import change_of  # here, as elsewhere: completing a word needs none of it

        entries = feed.read(Position(self.at), _PAGE)
        if entries and int(self.looking.frontier.now()) >= self.at:
            self.behind_since_s = time.monotonic()
        for change in map(change_of, entries):
            self.at = int(change.position)
            if self.entity_type is None or change.type == self.entity_type or change.kind == "rescan":
                self._say({
                    "position": change.position,
                    "kind": change.kind,
                    "id": change.id,
                    "type": change.type,
                    "source_id": change.source_id,
                    "target_id": change.target_id,
                    "changed": None if change.changed is None else list(change.changed),
                    "committed_at": change.committed_at,
                })  # fmt: skip
        return bool(entries)

    def _look_at_lag(self) -> None:
        """Tell how far the index is: when it has come to the end, and once a second while it has not."""
        frontier, now_s = int(self.looking.frontier.now()), time.monotonic()
        is_over = frontier >= self.at
        if frontier != self.told and (is_over or now_s - self.told_s >= _LAG_EVERY_S):
            self.told = frontier
            self._say_lag()
        if not is_over and not self.has_warned and now_s - self.behind_since_s >= _ALONE_S:
            self._warn()

    def _warn(self) -> None:
        from slipstream.app.composition import engine_holder

        self.has_warned = True
        if engine_holder(self.settings.directory) is None:
            print_warning("no process runs the engine, so searches do not find these changes: `slipstream serve`")

    def _say_lag(self) -> None:
        self.told_s = time.monotonic()
        head = max(self.at, int(self.looking.feed.head()))
        self._say({"kind": "lag", "frontier": self.told, "head": head, "lag_events": max(0, head - self.told)})

    def _say(self, said: Mapping[str, Any]) -> None:
        if self.as_json:
            print_json(said)
        else:
            out.print(on_one_line(_line(said)), markup=False, highlight=False, soft_wrap=True)
        sys.stdout.flush()


def _line(said: Mapping[str, Any]) -> str:
    if said["kind"] == "lag":
        behind = said["lag_events"]
        how = f"{behind:,} behind" if behind else "in step"
        return f"{_clock(datetime.now(UTC))}  -- searches are at {said['frontier']:,}: {how}"
    what = said["kind"].replace("_", " ")
    named = f"{said['type']} {said['id']}" if said["source_id"] is None else said["id"]
    changed = "" if not said["changed"] else f" ({', '.join(said['changed'])})"
    return f"{_clock(said['committed_at'])}  {said['position']:>8,}  {what}: {named}{changed}"


def _clock(moment: datetime | None) -> str:
    return "--:--:--.---" if moment is None else moment.astimezone().strftime("%H:%M:%S.%f")[:-3]


def _is_unread() -> bool:
    """Return whether whoever has read the output has gone, as in `| head`."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLERR | select.POLLHUP)
        return bool(poll.poll(0))
    except (OSError, ValueError):  # standard output is no file, in tests say
        return False
