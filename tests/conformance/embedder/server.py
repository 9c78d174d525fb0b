"""A real HTTP server that answers `/v1/embeddings` from an embedder of this package, or with a chosen fault."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from slipstream.ports.embedder import Embedder
from slipstream.testkit.embedders import HashEmbedder

Answer = tuple[int, Mapping[str, str], str]
"""Status, headers, body."""
BATCH_MAX = 16


@dataclass(slots=True)
class EmbeddingServer:
    """What the server embeds with, what it was asked, and how it answers instead while `fault` is set."""

    url: str = ""
    embedder: Embedder = field(default_factory=HashEmbedder)
    fault: Callable[[dict[str, Any]], Answer | None] | None = None
    """Answers instead; None leaves it to the embedder."""
    dies: Callable[[dict[str, Any]], bool] | None = None
    """Whether a request ends the connection, without an answer."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)

    def answer(self, path: str, body: dict[str, Any]) -> Answer:
        """Answer one request as a server of the OpenAI kind does: batches bounded, empty texts refused."""
        instead = None if self.fault is None else self.fault(body)
        if instead is not None:
            return instead
        wrong = _wire_fault(path, body)
        if wrong:
            return wrong
        rows = self.embedder.embed(body["input"])
        data = [{"object": "embedding", "index": n, "embedding": row.tolist()} for n, row in enumerate(rows)]
        # Out of order on purpose: only `index` tells which text a vector belongs to.
        return 200, {}, json.dumps({"object": "list", "data": data[::-1], "model": body["model"]})


def _wire_fault(path: str, body: dict[str, Any]) -> Answer | None:
    if path != "/v1/embeddings":
        return 404, {}, "no such path"
    if body.get("model") != "served" or body.keys() - {"model", "input", "dimensions"}:
        return 404, {}, "no such model, or a field that not every server takes"
    texts = body.get("input")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return 400, {}, "input must be a list of strings"
    if not texts or len(texts) > BATCH_MAX or not all(texts):
        return 400, {}, f"input must hold 1 to {BATCH_MAX} texts, none of them empty"
    return None


@contextmanager
def serving() -> Iterator[EmbeddingServer]:
    """Run a server on a loopback port of its own."""
    state = EmbeddingServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet for head and body, or the client's acknowledgement is waited for

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            state.bodies.append(body)
            state.authorizations.append(self.headers.get("authorization"))
            if state.dies is not None and state.dies(body):
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            status, headers, text = state.answer(self.path, body)
            payload = text.encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: object) -> None:
            """Keep the test's output quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True  # a kept-alive connection must not hold up the end
    server.block_on_close = False
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
