"""How logs reach a terminal or a file: no control character in data takes effect."""

from __future__ import annotations

import logging
from typing import Any

from slipstream.domain.texts import on_one_line, printable


class SafeFormatter(logging.Formatter):
    """Formats each record on one line, with control characters as escapes; only tracebacks take several lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's own name)
        """Return the line of a record."""
        record.message = on_one_line(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802  (logging's own name)
        """Return a traceback with control characters as escapes."""
        return printable(super().formatException(ei))
