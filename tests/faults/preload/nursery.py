"""
Forks a worker for each job it reads: `LD_PRELOAD=fault.so python -m tests.faults.preload.nursery <module>`.

The module has a table `SCENARIOS`, from names to what a worker does.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.faults.preload import Call, Fault, Kind

Scenario = Callable[[Path, Fault, Callable[[str], None], int], None]


def main() -> None:
    """Do one job after the other, each in a process of its own."""
    scenarios: Mapping[str, Scenario] = importlib.import_module(sys.argv[1]).SCENARIOS
    assert len(os.listdir("/proc/self/task")) == 1, "an import has started a thread, which no worker would have"
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(_done(scenarios[job["scenario"]], job)), flush=True)  # noqa: T201  (the answer)


def _done(scenario: Scenario, job: dict[str, Any]) -> dict[str, Any]:
    reading, writing = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.close(reading)
        _work(scenario, job, writing)
    os.close(writing)
    said = _listen(reading, worker, job)
    _, status = os.waitpid(worker, 0)
    *lines, torn = said.split("\n")
    error = "".join(line.removeprefix("error ") + "\n" for line in lines if line.startswith("error "))
    del torn  # a torn last line is no acknowledgement
    return {
        "said": [line for line in lines if not line.startswith("error ")],
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
        "error": error,
    }


def _listen(reading: int, worker: int, job: dict[str, Any]) -> str:
    kill_behind, said = job["kill_behind"], b""
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while True:
            if 0 <= kill_behind <= said.count(b"\nack") + said.startswith(b"ack"):
                for _ in range(job["spin"]):
                    pass  # no clock decides when the kill comes
                os.kill(worker, signal.SIGKILL)
                kill_behind = -1
            if not select.select([pipe], [], [], job["patience_s"])[0]:
                os.kill(worker, signal.SIGABRT)
            part = pipe.read(65_536)
            if not part:
                return said.decode()
            said += part


def _work(scenario: Scenario, job: dict[str, Any], writing: int) -> None:
    fault = job["fault"]
    armed = Fault(**{**fault, "kind": Kind(fault["kind"]), "calls": Call(fault["calls"])})

    def say(text: str) -> None:
        os.write(writing, f"{text}\n".encode())

    try:
        scenario(Path(job["path"]), armed, say, writing)
        os._exit(0)
    except BaseException:  # noqa: BLE001  (told to whoever asked)
        for line in traceback.format_exc().splitlines():
            say(f"error {line}")
        os._exit(1)


if __name__ == "__main__":
    main()
