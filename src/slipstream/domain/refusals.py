"""What is kept of input that is refused: the beginning of a line, and what tells it from every other line."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace

from slipstream.domain.errors import InvalidInputError

CUT_SCHEMA = "slipstream.cut/1"
LINE_BYTES = 4_096
_IS_CUT = f'{{"schema": "{CUT_SCHEMA}"'
_QUOTED, _NUMBER = re.compile(r"'[^']*'|\"[^\"]*\""), re.compile(r"\d+")
_REASON_CHARACTERS_MAX = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalLimits:
    """How much is kept of refused lines, over all sources; what is past it is counted by source and reason."""

    line_bytes: int = LINE_BYTES
    """What is kept of one line; a longer one is cut, and can not be replayed from what is left."""
    count_max: int = 1_000
    bytes_max: int = 16 * 1024 * 1024

    def __post_init__(self) -> None:
        for name in ("line_bytes", "count_max", "bytes_max"):
            if getattr(self, name) < 0:
                raise InvalidInputError("must not be negative", field=f"dead_letters.{name}")


@dataclass(frozen=True, slots=True)
class CutLine:
    """A line that is too long to be kept, or even to be read at once; or one that is no text."""

    head: str
    """The beginning of the line; bytes that are no text as `\\xff`."""
    size_bytes: int
    sha256: str
    fault: str = ""
    """Why it can not be read; empty when only its length is to blame."""

    @classmethod
    def of(cls, line: str, kept_bytes: int) -> CutLine:
        """Cut a line that is in memory."""
        data = line.encode("utf-8", "surrogatepass")
        head = data[:kept_bytes].decode("utf-8", "ignore")
        return cls(head, len(data), hashlib.sha256(data).hexdigest())

    def shortened(self, kept_bytes: int) -> CutLine:
        """Return the line with at most `kept_bytes` of its head."""
        head = self.head.encode("utf-8", "surrogatepass")[:kept_bytes].decode("utf-8", "ignore")
        return replace(self, head=head)

    def told(self, fault: str) -> CutLine:
        """Return the line with the reason why it can not be read."""
        return replace(self, fault=fault)

    def as_json(self, source: str) -> str:
        """Return what stands in a dead letter in place of the line."""
        facts = {"source": source, "size_bytes": self.size_bytes, "sha256": self.sha256, "head": self.head}
        return json.dumps({"schema": CUT_SCHEMA, **facts})

    def __str__(self) -> str:
        kept = len(self.head.encode("utf-8", "replace"))
        return f"kept are {kept:,} of {self.size_bytes:,} bytes, sha256 {self.sha256}"


def kept_payload(text: str, source: str, kept_bytes: int = LINE_BYTES) -> str:
    """Return what is kept of a text that nobody can read: all of it, or its beginning."""
    data = text.encode("utf-8", "surrogatepass")
    return text if len(data) <= kept_bytes else CutLine.of(text, kept_bytes).as_json(source)


def is_cut(payload: str | None) -> bool:
    """Whether a dead letter's payload is only the beginning of what was refused."""
    return payload is not None and payload.startswith(_IS_CUT)


def reason_of(error: Exception) -> str:
    """Return what an error has in common with others of its kind: without numbers and quoted values, and short."""
    text = " ".join(str(error).split())
    return _NUMBER.sub("#", _QUOTED.sub("'…'", text))[:_REASON_CHARACTERS_MAX]
