"""Spans through OpenTelemetry's API (extra `otel`); which SDK collects them is the application's choice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from slipstream._version import __version__
from slipstream.domain.errors import ConfigError
from slipstream.ports.telemetry import AttributeValue, Span

if TYPE_CHECKING:
    from opentelemetry.trace import Span as VendorSpan
    from opentelemetry.trace import TracerProvider


class OpenTelemetrySpan:
    """A span of the SDK in use."""

    __slots__ = ("vendor",)

    def __init__(self, vendor: VendorSpan) -> None:
        self.vendor = vendor

    def set(self, name: str, value: AttributeValue) -> None:
        """Set an attribute."""
        self.vendor.set_attribute(name, value)


class OpenTelemetryTracer:
    """
    Makes spans with a provider; None means the process's global one, as the application has set it.

    Errors are recorded by class only: their messages may quote an entity's content.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        try:
            from opentelemetry import trace
        except ImportError as error:
            raise ConfigError(
                "tracing needs the OpenTelemetry API, which is not installed: "
                "install slipstream-pkg[otel] (and an SDK with an exporter)"
            ) from error
        self._api = trace
        self._tracer = trace.get_tracer("slipstream", __version__, provider)

    @contextmanager
    def span(
        self, name: str, attributes: Mapping[str, AttributeValue] | None = None, parent: Span | None = None
    ) -> Iterator[Span]:
        """Yield a span for the block."""
        context = self._api.set_span_in_context(parent.vendor) if isinstance(parent, OpenTelemetrySpan) else None
        with self._tracer.start_as_current_span(
            name, context=context, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as vendor:
            try:
                yield OpenTelemetrySpan(vendor)
            except BaseException as error:
                vendor.set_attribute("error.type", type(error).__qualname__)
                vendor.set_status(self._api.StatusCode.ERROR)
                raise
