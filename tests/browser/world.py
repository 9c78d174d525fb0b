"""What the browser looks at: PKGs with all that the console shows, and the server that holds them."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slipstream.app.composition import Options, open_pkg
from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import Properties
from slipstream.domain.errors import UnavailableError
from slipstream.domain.keys import entity_key
from slipstream.domain.stamps import Deletion
from slipstream.engine.settings import SyncSettings
from slipstream.http.app import Faces
from slipstream.http.console import console_routes
from slipstream.http.limits import Limits
from slipstream.http.listeners import Terms, tcp_listener
from slipstream.http.served import Registry, Served
from slipstream.http.serving import WebServer
from slipstream.http.sockets import parsed_address
from slipstream.http.tokens import Tokens
from slipstream.quality.tracking import QualitySettings
from slipstream.testkit.embedders import HashEmbedder

LONG_S = 120.0
HOSTILE = {
    "markup": "<img src=x onerror=\"document.title='owned'\">",
    "script": "</script><script>document.title='owned'</script>",
    "quotes": "\" onfocus=\"document.title='owned'\" autofocus x='",
    "template": "${document.title='owned'}{{constructor.constructor('return 1')()}}",
    "rtl": "\u202e\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645",
    "long": "unbroken" * 120,
    "control": "a\u0000b\u001b[31mc\u2028d".replace("\u0000", ""),
    "../..": "an id that a path can not carry",
    "a/b?c=d#e f%2F": "an id with marks of an address",
}
"""Names by id: none of them may be anything but text."""


WORDS = "river stream current water bank flow eddy delta rapids brook spring tide lake harbour mill"


class Choking(HashEmbedder):
    """Can not embed one text, and is down for another one."""

    def embed(self, texts):  # type: ignore[no-untyped-def]
        """Embed, or fail."""
        if any("unembeddable" in text for text in texts):
            raise ValueError("the model <b>refused</b> this text")
        if any("unplugged" in text for text in texts):
            raise UnavailableError("the model is unplugged")
        return super().embed(texts)


def opened(directory: Path) -> Slipstream:
    """Open a PKG whose models need no file, and whose engine answers at once."""
    options = Options(
        embedders=(Choking(dimension=32, id="words"), HashEmbedder(dimension=48, id="other-words")),
        settings=SyncSettings(idle_wait_s=0.02, backoff_base_s=0.01, backoff_max_s=0.02, attempts_max=2),
    )
    return open_pkg(directory, create=True, options=options)


def fill(slip: Slipstream) -> None:
    """Write a graph in which there is something of everything."""
    words = WORDS.split()
    chance = np.random.default_rng(16)

    def phrase(n: int) -> str:
        return " ".join(str(word) for word in chance.choice(words, n))

    with slip.pkg.transaction() as tx:
        for number in range(48):
            kind = ("River", "Place", "Person")[number % 3]
            properties: Properties = {"name": f"{phrase(2)} {number}", "description": phrase(9), "length": number}
            tx.create_entity(kind, f"{kind.lower()}-{number}", properties)
        for identity, name in HOSTILE.items():
            tx.create_entity("Hostile", identity, {"name": name, "note": f"{name} {phrase(3)}"})
    with slip.pkg.transaction() as tx:
        for number in range(3, 45, 3):
            tx.relate(f"river-{number}", "FLOWS_PAST", f"place-{number + 1}", {"since": 1900 + number})
            tx.relate(f"person-{number + 2}", "LIVES_AT", f"place-{number + 1}")
            tx.relate("river-0", "FED_BY", f"river-{number}")
        for identity in HOSTILE:
            if identity != "markup":
                tx.relate("markup", "BESIDE", identity)
    assert slip.sync.drain(timeout_s=LONG_S)


def damage(slip: Slipstream, *ids: str) -> None:
    """Take records out of the index behind everybody's back."""
    held = slip.store.index.stamps([entity_key(identity) for identity in ids])
    slip.store.index.delete(
        [Deletion(key, stamp.position, stamp.space) for key, found in held.items() for stamp in found.records]
    )


def enrich(slip: Slipstream) -> None:
    """Have audits, a dead letter, a quality run and a next generation."""
    slip.verify(hurry=True)
    slip.pkg.create_entity("Person", "hopeless", {"name": "unembeddable"})
    assert slip.sync.drain(timeout_s=LONG_S)
    assert slip.sync.status().dead_letters == 1
    damage(slip, "river-3", "place-4")
    slip.verify(hurry=True)
    slip.quality.run(QualitySettings(sample=20, self_sample=5))
    slip.migrations.start(slip.migrations.candidate(default="other-words"))
    assert slip.migrations.wait(LONG_S)


@dataclass
class Site:
    """A server that can go away and come back at the same address."""

    slips: Mapping[str, Slipstream]
    tokens: Tokens | None = None
    port: int = 0
    _server: WebServer | None = None

    @property
    def url(self) -> str:
        """Where the console is."""
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Serve."""
        served = {name: Served(name, Path()) for name in self.slips}
        for name, slip in self.slips.items():
            served[name].put(slip)
        terms = Terms(has_tokens=self.tokens is not None)
        listener = tcp_listener(parsed_address(f"127.0.0.1:{self.port}", "http"), terms)
        self._server = WebServer(
            Registry(served), faces=Faces(routes=tuple(console_routes())), tokens=self.tokens, limits=Limits()
        )
        self._server.add(listener)
        self.port = int(listener.sock.getsockname()[1])

    def stop(self) -> None:
        """Go away."""
        server, self._server = self._server, None
        if server is not None:
            server.close()


@contextmanager
def serving(slips: Mapping[str, Slipstream], tokens: Tokens | None = None) -> Iterator[Site]:
    """Serve some PKGs while the block runs."""
    with socket.socket() as probe:  # an address that stays ours while the server is away
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    site = Site(slips, tokens, port)
    site.start()
    try:
        yield site
    finally:
        site.stop()
