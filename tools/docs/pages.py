"""Which pages have parts that are made from the code, and how they are put in."""

from __future__ import annotations

from pathlib import Path

from tools.docs import commands, configuration, http, names
from tools.docs.house import picture

REPOSITORY = Path(__file__).parents[2]
_END = "<!-- end -->"


def replaced(text: str, name: str, block: str) -> str:
    """Return a page with the part between `<!-- made: name -->` and `<!-- end -->` replaced; raises `ValueError`."""
    start = f"<!-- made: {name} -->\n"
    before, found, rest = text.partition(start)
    _, ended, after = rest.partition(_END)
    if not found or not ended:
        raise ValueError(f"the page has no part {start.strip()} … {_END}")
    return f"{before}{start}{block}\n{_END}{after}"


def written_anew() -> dict[Path, str]:
    """Return each page as it is to be."""
    architecture = REPOSITORY / "ARCHITECTURE.md"
    api = REPOSITORY / "docs" / "http.md"
    tables = replaced(api.read_text(encoding="utf-8"), "operations", http.operations())
    pyproject = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    return {
        architecture: replaced(architecture.read_text(encoding="utf-8"), "house", picture(pyproject)),
        REPOSITORY / "docs" / "commands.md": commands.page(),
        REPOSITORY / "docs" / "configuration.md": configuration.page(),
        api: replaced(tables, "problems", http.problems()),
        REPOSITORY / "docs" / "python.md": names.page(),
    }
