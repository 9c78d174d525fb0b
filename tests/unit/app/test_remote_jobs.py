"""One request while the owner works on it: what two threads write of its progress."""

from __future__ import annotations

import json
import threading
import time
from typing import cast

import pytest

from slipstream.adapters.indexes.memory_requests import MemoryRequests
from slipstream.app.remote import jobs
from slipstream.app.remote.operations import OPERATIONS
from slipstream.app.slipstream import Slipstream
from slipstream.testkit.clock import ManualClock
from tests.unit.app.test_remote_desk import LONG_S, Owner, owner  # noqa: F401  (a fixture)


def test_older_progress_is_never_written_over_newer(
    owner: Owner,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The desk was about to write what the job had told first, while the job's own thread wrote the last of it."""
    monkeypatch.setattr(jobs, "_TELL_EVERY_S", 0.0)
    began, order = threading.Event(), list[str]()

    class Slow(MemoryRequests):
        def tell(self, request_id: int, progress: str) -> None:
            if not began.is_set():
                began.set()
                time.sleep(0.2)
            order.append(progress)
            super().tell(request_id, progress)

    requests = Slow()
    operation = OPERATIONS["verify"]
    text, _ = operation.signature.arguments_as_json((), {"on_progress": print})
    request_id = requests.submit("verify", text, ManualClock().now())
    request = requests.look(request_id)
    assert request is not None
    job = jobs.Job(request, operation, requests)
    gate = owner.closed("verify")
    done = threading.Event()
    job.start(cast("Slipstream", owner), done.set)
    assert owner.began("verify").wait(LONG_S)
    desk_thread = threading.Thread(target=lambda: _published(job, began))
    desk_thread.start()
    assert began.wait(LONG_S)
    gate.set()
    assert done.wait(LONG_S)
    job.deliver()
    desk_thread.join()
    counts = [json.loads(progress)["on_progress"][0] for progress in order]
    assert counts == sorted(counts)
    last = requests.look(request_id)
    assert last is not None
    assert last.answer is not None
    assert json.loads(last.progress or "")["on_progress"][1] == [9]


def _published(job: jobs.Job, began: threading.Event) -> None:
    while not began.is_set():
        job.publish()
