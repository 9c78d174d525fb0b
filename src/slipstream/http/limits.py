"""What a server bears: one value for each limit, and one place where they stand."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds on connections, requests and answers. Beyond any of them, one client is refused and the others go on."""

    connections: int = 512
    """Open connections by TCP, and as many again by the socket of each PKG."""
    header_bytes: int = 32 * 1024
    header_s: float = 10.0
    """How long the head of a request may take to arrive, however it trickles."""
    keep_alive_s: float = 15.0
    """How long a connection may be idle between two requests."""
    body_bytes: int = MIB
    body_s: float = 20.0
    """How long a body may take to arrive."""
    upload_bytes: int = 1024 * MIB
    """The body of an import."""
    upload_part_s: float = 30.0
    """How long a client may take for `upload_part_bytes` of an import."""
    upload_part_bytes: int = 16 * 1024
    bodies_bytes: int = 64 * MIB
    """What all bodies together may take in memory."""
    working: int = 16
    """Requests that are worked on at a time."""
    waiting: int = 64
    """Requests that wait for one of those to end; what comes then is told 503 at once."""
    waiting_s: float = 5.0
    uploads: int = 2
    waits: int = 64
    """Requests at a time that wait for something to happen (`wait_s`, `/v1/wait`)."""
    agents: int = 16
    """Requests to `/mcp` at a time."""
    streams: int = 64
    """Streams of events that are open at a time."""
    work_s: float = 60.0
    """How long a request may be worked on."""
    waiting_work_s: float = 120.0
    """The same for a request that waits for something to happen, which it may do for a minute."""
    answer_bytes: int = 32 * MIB
    answers_bytes: int = 256 * MIB
    """What all answers that slow clients have not taken yet may take in memory together."""
    progress_s: float = 10.0
    """How long a client may take for `progress_bytes` of its answer."""
    progress_bytes: int = 64 * 1024
    grace_s: int = 2
    """How long answers in flight may take when the server ends."""

    @property
    def threads(self) -> int:
        """How many calls may block at a time, so that no kind of request takes the threads of another."""
        return self.working + self.uploads + self.waits + self.agents + self.streams + 16


RETRY_AFTER_S = 1
"""When a client that was told 503 may try again."""
