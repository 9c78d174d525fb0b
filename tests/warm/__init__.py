"""
Real processes that begin warm: forked from one that has imported everything, instead of started from nothing.

`Popen` and `run` take the command of a Python program, and behave as those of `subprocess`: pipes, signals, `kill -9`
and exit codes are real. What is saved is the second that each program would spend on importing. Where starting is
itself what is tested (`tests/e2e/test_cli_light.py`), or the interpreter is told how to run by its environment, use
`subprocess`.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, AnyStr

from tests.warm.wire import received, sent

ROOT = Path(__file__).parents[2]
_LONG_S = 600.0


class Server:
    """The process that is forked from; one for each process that runs tests, and it ends with it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.warm.server", str(theirs.fileno())],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )
        self._socket = ours

    def start(self, job: Mapping[str, Any], descriptors: Sequence[int]) -> tuple[int, socket.socket]:
        """Have a process forked; returns its id, and where its end is told."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            sent(self._socket, job, [theirs.fileno(), *descriptors])
        told = received(ours)[0]
        assert told is not None, "the warm server has ended, see above"
        return int(told["pid"]), ours

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self._process.wait(_LONG_S)


@cache
def _server() -> Server:
    server = Server()
    atexit.register(server.close)
    return server


class Popen(subprocess.Popen[AnyStr]):
    """`subprocess.Popen`, but for where the process comes from, and for who reaps it."""

    _ends: socket.socket

    def _execute_child(
        self,
        args: Sequence[str],
        executable: object,
        preexec_fn: object,
        close_fds: bool,
        pass_fds: Sequence[int],
        cwd: Path | str | None,
        env: Mapping[str, str] | None,
        startupinfo: object,
        creationflags: int,
        shell: bool,
        *pipes_and_more: Any,
    ) -> None:
        python, how, program, *arguments = map(str, args)
        environment = dict(os.environ if env is None else env)
        if python != sys.executable or how not in {"-m", "-c"} or preexec_fn or shell or pass_fds:
            raise ValueError(f"only a Python program can begin warm: {args}")
        if _of_interpreter(environment) != _of_interpreter(os.environ):
            raise ValueError("an interpreter that has been started is not told by its environment how to run")
        p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite = pipes_and_more[:6]
        job = {"how": how, "program": program, "arguments": arguments, "env": environment}
        job["cwd"] = str(cwd or Path.cwd())
        standard = [theirs if theirs != -1 else own for own, theirs in enumerate((p2cread, c2pwrite, errwrite))]
        self.pid, self._ends = _server().start(job, standard)
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]

    def _internal_poll(self, *_deadstate: object, **_functions: object) -> int | None:
        if self.returncode is None:
            self._ended(0.0)
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        if self.returncode is None and not self._ended(timeout):
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def _ended(self, timeout_s: float | None) -> bool:
        with self._waitpid_lock:  # type: ignore[attr-defined]
            if self.returncode is None:
                self._ends.settimeout(timeout_s)
                try:
                    told = received(self._ends)[0]
                except (BlockingIOError, TimeoutError):
                    return False
                assert told is not None, "the warm server has ended, see above"
                self.returncode = os.waitstatus_to_exitcode(told["status"])
                self._ends.close()
        return True


def run(
    args: Sequence[str],
    *,
    input: str | bytes | None = None,  # noqa: A002  (as in subprocess)
    capture_output: bool = False,
    timeout: float | None = None,
    check: bool = False,
    **how: Any,
) -> subprocess.CompletedProcess[Any]:
    """Run a Python program as `subprocess.run` does."""
    if input is not None:
        how["stdin"] = subprocess.PIPE
    if capture_output:
        how |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Popen[Any](args, **how) as process:
        try:
            output, errors = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
        if check and process.returncode:
            raise subprocess.CalledProcessError(process.returncode, args, output, errors)
    return subprocess.CompletedProcess(args, process.returncode, output, errors)


def _of_interpreter(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(("PYTHON", "LD_", "OPENBLAS"))}
