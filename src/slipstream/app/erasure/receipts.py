"""Receipts of erasures: signed JSON files in the PKG's directory, which hold no personal text."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from slipstream.app.erasure.state import State
from slipstream.domain.erasure import Erasure, Overwritten, Swept, is_mark
from slipstream.domain.errors import UnavailableError

KIND = "slipstream.erasure"
FORMAT = 1
FOLDER = "receipts"

Sign = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a receipt says beside what was done."""

    graph_id: str
    versions: Mapping[str, str]


def document_of(
    state: State, files: Sequence[Overwritten], unreachable: Sequence[str], done_at: str, around: Circumstances
) -> dict[str, Any]:
    """Return a receipt, not signed yet."""
    return {
        "kind": KIND,
        "format": FORMAT,
        "entity": state.mark,
        "reference": state.reference,
        "graph": around.graph_id,
        "asked_at": state.asked_at,
        "done_at": done_at,
        "was_there": state.was_there,
        "position": state.position,
        "relationships": state.relationships,
        "neighbours_changed": state.neighbours_changed,
        "vectors_removed": state.vectors_removed,
        "places": [dict(place) for place in state.places],
        "files": [asdict(file) for file in files],
        "unreachable": list(unreachable),
        "versions": dict(around.versions),
    }


def erasure_of(document: Mapping[str, Any], receipt: Path | None) -> Erasure:
    """Return what a receipt says."""
    return Erasure(
        mark=document["entity"],
        was_there=document["was_there"],
        reference=document["reference"],
        position=document["position"],
        relationships=document["relationships"],
        neighbours_changed=document["neighbours_changed"],
        vectors_removed=document["vectors_removed"],
        asked_at=document["asked_at"],
        done_at=document["done_at"],
        places=[Swept(**place) for place in document["places"]],
        files=[Overwritten(**file) for file in document["files"]],
        unreachable=document["unreachable"],
        receipt=None if receipt is None else str(receipt),
        document=dict(document),
    )


class Receipts:
    """The folder of receipts."""

    def __init__(self, folder: Path, sign: Sign) -> None:
        self._folder, self._sign = folder, sign

    def write(self, document: Mapping[str, Any]) -> Path:
        """Sign a receipt and write it durably; the same erasure always has the same file."""
        path = self._path(document["entity"])
        beside = path.with_name(f".{path.name}.tmp")
        text = json.dumps(self._sign(document), indent=1, ensure_ascii=False) + "\n"
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            with os.fdopen(
                os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
            ) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except OSError as error:
            raise UnavailableError(
                f"{path} can not be written ({error.strerror}): make room, and erase again"
            ) from error
        return path

    def find(self, mark: str) -> Erasure | None:
        """Return what the receipt of an erasure says; None when there is none."""
        path = self._path(mark)
        if not is_mark(mark) or not path.exists():
            return None
        return erasure_of(json.loads(path.read_text(encoding="utf-8")), path)

    def _path(self, mark: str) -> Path:
        return self._folder / f"{mark}.json"
