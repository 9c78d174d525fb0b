"""The PKGs that a server holds, by name; each request is about one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import NotFoundError, UnavailableError

PKG_NAME = "slipstream.pkg"
"""Where a request's scope holds the name of its PKG; absent for the first one."""


class Served:
    """One PKG of a server. It may be opened anew while the server runs: after an incident, say."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name, self.directory = name, directory
        self._open: Slipstream | None = None
        self.failure: BaseException | None = None
        """Why it is not opened any more; None while it is, or will be."""

    @property
    def slipstream(self) -> Slipstream:
        """The open PKG; raises `UnavailableError` while there is none."""
        found = self._open
        if found is None:
            if self.failure is not None:
                raise UnavailableError(f"the engine of the PKG {self.name} has stopped: see the log of the server")
            raise UnavailableError(f"the PKG {self.name} is being opened or closed: try again in a moment")
        return found

    @property
    def is_open(self) -> bool:
        """Whether it can be asked now."""
        return self._open is not None

    def put(self, slipstream: Slipstream | None, failure: BaseException | None = None) -> None:
        """Let this PKG answer from now on; None: nobody answers, for good if there is a `failure`."""
        self._open, self.failure = slipstream, failure


class Registry(Mapping[str, Served]):
    """The PKGs of a server; the first one is meant when a request names none."""

    def __init__(self, served: Mapping[str, Served]) -> None:
        if not served:
            raise ValueError("a server holds at least one PKG")
        self._served = dict(served)

    def __getitem__(self, name: str) -> Served:
        return self._served[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._served)

    def __len__(self) -> int:
        return len(self._served)

    @property
    def first(self) -> Served:
        """The PKG that is meant when none is named."""
        return next(iter(self._served.values()))

    def named(self, name: str | None) -> Served:
        """Return a PKG by name, None for the first; raises `NotFoundError`."""
        if name is None:
            return self.first
        if name not in self._served:
            raise NotFoundError(f"this server has no PKG {name!r}: it has {', '.join(self._served)}")
        return self._served[name]


async def served_of(request: Request) -> Served:  # async, though it awaits nothing: else it takes a thread
    """Return the PKG that a request is about; raises `NotFoundError`."""
    registry: Registry = request.app.state.registry
    return registry.named(request.scope.get(PKG_NAME))


async def pkg_of(served: Annotated[Served, Depends(served_of)]) -> Slipstream:
    """Return the open PKG that a request is about; raises `UnavailableError` while there is none."""
    return served.slipstream


ServedPkg = Annotated[Served, Depends(served_of)]
"""In a handler: the PKG that it is about, open or not."""
Pkg = Annotated[Slipstream, Depends(pkg_of)]
"""In a handler: the open PKG that it is about."""
