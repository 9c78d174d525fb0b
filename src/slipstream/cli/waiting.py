"""What a command says while it waits, so that nobody looks at a silent terminal and wonders."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from slipstream.app.composition import engine_holder
from slipstream.app.slipstream import Slipstream
from slipstream.cli.output import print_warning
from slipstream.domain.errors import SlipstreamError

_LOOK_S = 0.5
_SILENT_S_MAX = 2.0
"""How long a wait may last before something is said."""
_AGAIN_S, _AGAIN_S_MAX = 30.0, 300.0
"""When it is said again at first, and the longest pause: each pause is twice the last one."""
_ASK_S = 5.0
"""How often another process is asked what it waits for."""
_GOES_ON = "It goes on by itself; Ctrl-C ends, and nothing is lost"

Look = Callable[[], str | None]
"""Returns what is waited for now; None when nothing is."""


@contextmanager
def telling(slipstream: Slipstream, *, running: bool = True) -> Iterator[None]:
    """Say on stderr what is waited for during the block; with `running`, also what an engine elsewhere waits for."""
    other = _Asked(slipstream) if running and not slipstream.runs_engine else None

    def look() -> str | None:
        call = slipstream.embedding.calls.longest()
        if slipstream.runs_engine and (waits := slipstream.sync.engine.waits):
            return "; ".join(map(str, waits))
        if call is not None and call.lasts_s >= _SILENT_S_MAX:
            return f"model {call.model_id!r} has been asked, and has not answered for {call.lasts_s:.0f} s"
        return None if other is None else other.outage()

    with _said(look):
        yield


@contextmanager
def telling_of_opening(directory: Path) -> Iterator[None]:
    """Say on stderr that opening takes long, and which process runs the engine."""

    def look() -> str | None:
        holder = engine_holder(directory)
        if holder is None:
            return f"{directory} is being opened: its stores are looked at, its models are loaded or asked"
        return f"{directory} is being opened, and process {holder} runs its engine"

    with _said(look):
        yield


@contextmanager
def _said(look: Look) -> Iterator[None]:
    ending = threading.Event()
    thread = threading.Thread(target=_tell, args=(look, ending), name="slipstream-telling", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join(_LOOK_S)


def _tell(look: Look, ending: threading.Event) -> None:
    """Report each wait that lasts, soon after it began, and then ever more rarely."""
    since: float | None = None
    due_s, pause_s = _SILENT_S_MAX, _AGAIN_S
    while not ending.wait(_LOOK_S):
        text = look()
        if text is None:
            since = None
            continue
        if since is None:
            since, due_s, pause_s = time.monotonic(), _SILENT_S_MAX - _LOOK_S, _AGAIN_S
        if time.monotonic() - since >= due_s and not ending.is_set():
            print_warning(f"waiting: {text}. {_GOES_ON}")
            due_s, pause_s = due_s + pause_s, min(2 * pause_s, _AGAIN_S_MAX)


class _Asked:
    """What the process that runs the engine waits for, asked at intervals."""

    def __init__(self, slipstream: Slipstream) -> None:
        self._slipstream, self._asked_at = slipstream, float("-inf")
        self._outage: str | None = None

    def outage(self) -> str | None:
        if time.monotonic() - self._asked_at >= _ASK_S:
            self._asked_at = time.monotonic()
            self._outage = self._asked()
        return self._outage

    def _asked(self) -> str | None:
        """Return its outage; None also when it does not answer."""
        try:
            outage = self._slipstream.status().outage
        except SlipstreamError:
            return None
        return None if outage is None else f"the process that runs the engine waits: {outage}"
