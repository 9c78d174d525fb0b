"""The one place through which text reaches a terminal, so that no control character in data takes effect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from slipstream.domain.texts import printable


class SafeConsole(Console):
    """A console that prints control characters of texts as escapes, and still sends its own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of a renderable, with safe texts."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)

    def print(self, *objects: Any, **how: Any) -> None:
        """Print as any console does; an `OSError` names the stream."""
        try:
            super().print(*objects, **how)
        except OSError as error:
            error.filename = error.filename or ("standard error" if self.stderr else "standard output")
            raise

    def on_broken_pipe(self) -> None:
        """End with exit code 2 when nobody reads the answer; when nobody reads stderr, go on without messages."""
        if not self.stderr:
            raise  # noqa: PLE0704  (called while the error is handled)
        self.quiet = True
