"""What begins warm is a process like any other: pipes, exit codes, signals, and the end of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import warm

_SAYS = "import sys; print(sys.argv[1:], __name__); print('aside', file=sys.stderr)"
_THREADS = "import os; print(len(os.listdir('/proc/self/task')))"
_WAITS = "import time; print('there', flush=True); time.sleep(600)"


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def test_it_has_arguments_and_pipes_of_its_own() -> None:
    done = warm.run(python(_SAYS, "one", "two words"), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "['one', 'two words'] __main__\n", "aside\n")


def test_it_reads_what_it_is_given() -> None:
    echo = python("import sys; sys.stdout.write(sys.stdin.read().upper())")
    assert warm.run(echo, input=b"x" * 200_000, capture_output=True).stdout == b"X" * 200_000


def test_it_is_where_it_is_told_and_sees_what_it_is_told(tmp_path: Path) -> None:
    code = "import os; print(os.getcwd(), os.environ.get('TOLD'), os.environ.get('PATH'))"
    done = warm.run(python(code), capture_output=True, text=True, cwd=tmp_path, env={"TOLD": "so", **_interpreter()})
    assert done.stdout == f"{tmp_path} so None\n"


def _interpreter() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(("PYTHON", "LD_", "OPENBLAS"))}


@pytest.mark.parametrize(
    ("code", "ends"),
    [
        ("pass", 0),
        ("raise SystemExit(7)", 7),
        ("1 / 0", 1),
        ("import os; os._exit(3)", 3),
        ("import os; os.abort()", -6),
    ],
)
def test_its_exit_code_is_told(code: str, ends: int) -> None:
    done = warm.run(python(code), capture_output=True, text=True)
    assert done.returncode == ends
    assert ("ZeroDivisionError: division by zero" in done.stderr) == (code == "1 / 0")
    if ends == 1:
        with pytest.raises(subprocess.CalledProcessError):
            warm.run(python(code), capture_output=True, check=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(number: signal.Signals) -> None:
    with warm.Popen(python(_WAITS), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        assert process.poll() is None
        os.kill(process.pid, 0)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == process.poll() == -number
    assert ("KeyboardInterrupt" in errors) == (number == signal.SIGINT)
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_one_that_takes_too_long_is_killed() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        warm.run(python(_WAITS), capture_output=True, timeout=0.05)


def test_two_of_them_have_nothing_of_each_other() -> None:
    with warm.Popen(python(_WAITS), stdout=subprocess.PIPE, text=True) as one:
        try:
            assert warm.run(python(_THREADS), capture_output=True, text=True).stdout == "1\n"
            assert one.poll() is None
        finally:
            one.kill()
        assert one.stdout is not None
        assert one.stdout.read() == "there\n"  # ends, for nobody else holds the pipe


def test_a_module_runs_as_the_program() -> None:
    done = warm.run([sys.executable, "-m", "slipstream", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("slipstream ")


@pytest.mark.parametrize("what", [["/bin/true"], [sys.executable, "-W", "error"], [sys.executable, "script.py", "x"]])
def test_what_is_no_python_program_is_refused(what: list[str]) -> None:
    with pytest.raises(ValueError, match="can begin warm"):
        warm.run([*what, "x", "y"])


def test_an_environment_that_tells_the_interpreter_how_to_run_is_refused() -> None:
    with pytest.raises(ValueError, match="how to run"):
        warm.run(python("pass"), env={**os.environ, "PYTHONHASHSEED": "1"})
