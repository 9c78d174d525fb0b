"""A process of a PKG that does what it is told, line by line, and says what came of it."""

from __future__ import annotations

import sys
from pathlib import Path

from slipstream.app.composition import Options, open_pkg
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import SlipstreamError
from slipstream.domain.keys import entity_key

LONG_S = 120.0


def main(root: Path, silence_s_max: float) -> None:
    """Obey: `write ID NAME` (and wait for it), `mark ID`, `status`, `verify`, `reopen`."""
    options = Options(silence_s_max=silence_s_max)
    slip = open_pkg(root, options=options)
    say("owner" if slip.runs_engine else "guest")
    for line in sys.stdin:
        command, *arguments = line.split()
        try:
            if command == "reopen":
                slip.close()
                slip = open_pkg(root, options=options)
                say("owner" if slip.runs_engine else "guest")
            else:
                say(obeyed(slip, command, arguments))
        except SlipstreamError as error:
            say(f"{type(error).__name__}: {error}")
    slip.close()
    say("closed")


def obeyed(slip: Slipstream, command: str, arguments: list[str]) -> str:
    """Do one thing."""
    if command == "write":
        identity, name = arguments
        position = slip.pkg.upsert_entity("Person", identity, {"name": name})
        return f"searchable {position}" if slip.sync.wait(position, LONG_S) else "too late"
    if command == "mark":
        slip.sync.mark([entity_key(arguments[0])], reason="told to")
        return "marked"
    if command == "verify":
        slip.sync.drain(LONG_S)
        return f"consistency {slip.verify(hurry=True).consistency:g}"
    return f"halted {slip.status().halted}"


def say(text: str) -> None:
    """Tell the test."""
    print(" ".join(text.split()), flush=True)  # noqa: T201  (a pipe)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
