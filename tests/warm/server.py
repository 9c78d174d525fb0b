"""
Forks a process for each job that it reads, with everything imported: `python -m tests.warm.server DESCRIPTOR`.

It has one thread, so that a fork of it is a whole process.
"""

from __future__ import annotations

import gc
import logging
import os
import runpy
import select
import signal
import socket
import sys
from typing import Any

# Imported once for all, but for onnxruntime, which starts a thread. Chroma's begin with its first client.
import pytest  # noqa: F401
import wordllama  # noqa: F401
from typer.main import get_command

import slipstream.adapters.cypher.kglite
import slipstream.adapters.embedders.minilm.embedders
import slipstream.adapters.embedders.wordllama
import slipstream.adapters.indexes.chroma
import slipstream.app.composition
import slipstream.http.program
import slipstream.mcp.routes
import slipstream.testkit.embedders  # noqa: F401
from slipstream.cli.app import app
from tests.warm.wire import received, sent

_ENDS_MAX = 64


def main() -> dict[str, Any] | None:
    """Fork until nobody asks any more; returns the job in a forked process, None in this one."""
    get_command(app)
    assert len(os.listdir("/proc/self/task")) == 1, "an import has started a thread, which no fork would have"
    logging.getLogger().handlers.clear()  # wordllama's import adds one: then `basicConfig` does nothing
    gc.freeze()  # what is there now stays shared with every fork
    asking = socket.socket(fileno=int(sys.argv[1]))
    waking, woken = os.pipe2(os.O_NONBLOCK)
    before = signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken)
    ends: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([asking.fileno(), waking], [], [])
        if waking in ready:
            os.read(waking, _ENDS_MAX)
            _tell_ends(ends)
        if asking.fileno() in ready:
            job, descriptors = received(asking)
            if job is None:
                return None
            end, *standard = descriptors
            told = socket.socket(fileno=end)
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, before)
                for kept in (asking, told, *ends.values()):
                    kept.close()
                for pipe in (waking, woken):
                    os.close(pipe)
                return {**job, "standard": standard}
            for given in standard:
                os.close(given)
            sent(told, {"pid": pid})
            ends[pid] = told


def _tell_ends(ends: dict[int, socket.socket]) -> None:
    while ends:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with ends.pop(pid) as end:
            try:
                sent(end, {"status": status})
            except (BrokenPipeError, ConnectionResetError):
                continue  # nobody waits for it


def become(job: dict[str, Any]) -> None:
    """Be the program that was asked for, from here to the end of the process."""
    for own, given in enumerate(job["standard"]):
        os.dup2(given, own)
    for given in job["standard"]:
        os.close(given)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  (open to the end, as in every program)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    sys.path[0] = job["cwd"] if job["how"] == "-m" else ""
    if job["how"] == "-m":
        sys.argv = [job["program"], *job["arguments"]]
        runpy.run_module(job["program"], run_name="__main__", alter_sys=True)
    else:
        sys.argv = ["-c", *job["arguments"]]
        scope = {"__name__": "__main__", "__builtins__": __builtins__}
        exec(compile(job["program"], "<string>", "exec"), scope)  # noqa: S102  (what `python -c` does)


if __name__ == "__main__":
    asked = main()
    if asked is not None:
        become(asked)
