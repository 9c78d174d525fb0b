"""Telemetry: spans around the stages of the work, and a page of metrics."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

AttributeValue = str | bool | int | float


@runtime_checkable
class Span(Protocol):
    """One timed piece of work."""

    def set(self, name: str, value: AttributeValue) -> None:
        """Set an attribute; never an entity's text, a query or a secret."""
        ...


@runtime_checkable
class Tracer(Protocol):
    """Makes spans. Safe for several threads; a tracer never makes the work fail."""

    def span(
        self, name: str, attributes: Mapping[str, AttributeValue] | None = None, parent: Span | None = None
    ) -> AbstractContextManager[Span]:
        """
        Return a span for the body of a `with`; an error that leaves it is noted by its class and goes on.

        Spans that are opened inside become its children. `parent` is for work that goes on in another thread: a
        span of this tracer, which may have ended.
        """
        ...


@runtime_checkable
class Exposition(Protocol):
    """A page of metrics for a collecting server."""

    @property
    def content_type(self) -> str:
        """The media type of the page."""
        ...

    def render(self) -> bytes:
        """Return the metrics as they are now."""
        ...


class _NoSpan:
    """Notes nothing."""

    __slots__ = ()

    def set(self, name: str, value: AttributeValue) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class _NoTracer:
    """Makes no spans, at the cost of a call."""

    __slots__ = ()

    def span(
        self, name: str, attributes: Mapping[str, AttributeValue] | None = None, parent: Span | None = None
    ) -> _NoSpan:
        """Return the span that notes nothing."""
        del name, attributes, parent
        return NO_SPAN


NO_SPAN = _NoSpan()
NO_TRACER = _NoTracer()
"""The default: nothing is traced."""
