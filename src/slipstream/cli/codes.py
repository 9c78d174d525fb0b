"""Exit codes; 0 is success."""

from __future__ import annotations

EXIT_DIVERGENT = 1
EXIT_ERROR = 2
