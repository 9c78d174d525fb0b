"""
The process that holds the mirror: `main` is started by `worker.py`, asked through stdin, and answers on stdout.

Its memory is limited before kglite is loaded; otherwise kglite reserves more than a low limit leaves.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from slipstream.adapters.cypher.kglite.frames import encoded, read_frame


def main() -> None:
    """Serve until stdin ends; the first message says what to serve."""
    inbox, outbox = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # keeps other output from mixing with the answers
    settings = read_frame(inbox)
    if settings is None:
        return
    _limit_memory(settings["memory_bytes"])
    try:
        from slipstream.adapters.cypher.kglite.serving import serve
    except ImportError as error:
        outbox.write(encoded({"error": "ConfigError", "message": f"kglite can not be loaded: {error}"}))
        outbox.flush()
    else:
        serve(settings, inbox, outbox)
    os._exit(0)  # the reading thread may still wait on stdin


def _limit_memory(limit_bytes: int) -> None:
    with suppress(ImportError, ValueError, OSError):  # the system may have no such limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
