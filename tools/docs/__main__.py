"""Write what is made from the code into ARCHITECTURE.md and docs/; with `--check` only tell what differs."""

from __future__ import annotations

import sys

from tools.docs.pages import written_anew


def main() -> int:
    """Write what differs, or tell it; the exit code is 1 when it was only told."""
    pages = written_anew()
    differing = [
        path for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in differing:
        if "--check" not in sys.argv[1:]:
            path.write_text(pages[path], encoding="utf-8")
        print(path)
    return int(bool(differing) and "--check" in sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
