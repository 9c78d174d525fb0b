"""
Answers what the parent asks, with one mirror. Runs in the child process.

It ends when its inbox ends, even in the middle of a question: a killed parent leaves no orphan.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import kglite

from slipstream.adapters.cypher.kglite.answering import Limits, Question, plan_writes, run_query
from slipstream.adapters.cypher.kglite.following import Follower, Standing
from slipstream.adapters.cypher.kglite.frames import encoded, framed, read_frame
from slipstream.adapters.cypher.kglite.saved import load, save, saved_path
from slipstream.adapters.cypher.kglite.source import GraphFile, Layout
from slipstream.domain.errors import InvalidInputError, QueryLimitError, SlipstreamError

_IDLE_S = 1.0
"""After so long without a question, the mirror is saved."""
_SAVED_FROM = 5000
"""A mirror with so many changes, or newly filled with so many elements, is worth saving."""
_PLAN_A_FRAME = 1000


@dataclass(slots=True)
class _Inbox:
    """Messages of the parent, read by a thread; None is the end."""

    stream: BinaryIO
    messages: queue.SimpleQueue[dict[str, Any] | None] = field(default_factory=queue.SimpleQueue)
    is_busy: bool = False

    def start(self) -> None:
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def _read(self) -> None:
        while (message := read_frame(self.stream)) is not None:
            self.messages.put(message)
        if self.is_busy:
            os._exit(0)
        self.messages.put(None)


class _Server:
    def __init__(self, settings: Mapping[str, Any], inbox: _Inbox, outbox: BinaryIO) -> None:
        path = Path(settings["path"])
        self._saved = saved_path(path)
        self._may_load, self._may_save = bool(settings["may_load"]), bool(settings["may_save"])
        self._inbox, self._outbox = inbox, outbox
        self._follower = Follower(GraphFile(path, Layout(*settings["layout"])), self._report)

    def _report(self) -> None:
        self._send({"progress": True})

    def _send(self, message: dict[str, Any]) -> None:
        if "done" in message or "error" in message:
            self._inbox.is_busy = False  # the parent may close after this answer: leave time to save
        self._write(encoded(message))

    def _write(self, data: bytes) -> None:
        self._outbox.write(data)
        self._outbox.flush()

    def serve(self) -> None:
        while True:
            try:
                message = self._inbox.messages.get(timeout=_IDLE_S if self._is_worth_saving else None)
            except queue.Empty:
                self._save()
                continue
            if message is None:
                self._save()
                return
            self._inbox.is_busy = True
            self._answer(message)

    def _answer(self, message: Mapping[str, Any]) -> None:
        try:
            standing = self._standing()
            self._send({"running": True})
            if message["writes"]:
                self._plan(standing, message)
            else:
                self._query(standing, message)
        except MemoryError:
            os._exit(1)  # as kglite does out of memory: the parent knows the limit
        except SlipstreamError as error:
            self._send(_as_message(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent waits for an answer
            self._follower.standing = None
            self._send({"error": "UnavailableError", "message": f"the mirror failed: {error!r}"})
        except BaseException as error:  # noqa: BLE001 - a panic of kglite's is no Exception
            self._follower.standing = None
            self._send(_as_message(InvalidInputError(f"kglite failed on it: {error}", field="cypher")))

    def _standing(self) -> Standing:
        if self._may_load:
            self._may_load = False
            self._follower.standing = load(self._saved)
        return self._follower.catch_up()

    def _query(self, standing: Standing, message: Mapping[str, Any]) -> None:
        columns, pieces = run_query(standing.mirror, _question(message), _limits(message))
        size = 0
        for rows in pieces:
            data = framed({"rows": rows})
            size += len(data)
            if size > message["answer_bytes"]:
                raise QueryLimitError(
                    f"the answer has more than {message['answer_bytes']} bytes: return less, or add LIMIT"
                )
            self._write(data)
        self._send({"done": True, "columns": columns})

    def _plan(self, standing: Standing, message: Mapping[str, Any]) -> None:
        mutations = plan_writes(standing.mirror, _question(message), _limits(message))
        for start in range(0, len(mutations), _PLAN_A_FRAME):
            self._send({"rows": mutations[start : start + _PLAN_A_FRAME]})
        self._send({"done": True, "position": standing.mark.position})

    @property
    def _is_worth_saving(self) -> bool:
        standing = self._follower.standing
        return (
            self._may_save
            and standing is not None
            and standing.unsaved >= _SAVED_FROM
            and not self._follower.is_before_erasure
        )

    def _save(self) -> None:
        if self._is_worth_saving and self._follower.standing is not None:
            save(self._follower.standing, self._saved)


def _question(message: Mapping[str, Any]) -> Question:
    return Question(
        message["text"],
        message["parameters"],
        frozenset(message["keys"]),
        frozenset(message["labels"]),
        frozenset(message["functions"]),
    )


def _limits(message: Mapping[str, Any]) -> Limits:
    return Limits(rows=message["rows_max"], timeout_ms=message["timeout_ms"])


def _as_message(error: SlipstreamError) -> dict[str, Any]:
    text, name = str(error), type(error).__name__
    if isinstance(error, InvalidInputError):
        return {"error": name, "message": text.removeprefix(f"{error.field}: "), "field": error.field}
    return {"error": name, "message": text}


def serve(settings: Mapping[str, Any], inbox: BinaryIO, outbox: BinaryIO) -> None:
    """Answer until the inbox ends."""
    kglite.set_query_warning_policy("silent")
    box = _Inbox(inbox)
    box.start()
    with suppress(BrokenPipeError):
        _Server(settings, box, outbox).serve()
