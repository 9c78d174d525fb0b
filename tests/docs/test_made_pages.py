"""What is made from the code stands in the documentation as it would be made now."""

from __future__ import annotations

from pathlib import Path

import pytest
from tools.docs.pages import replaced, written_anew


@pytest.mark.parametrize(("path", "text"), written_anew().items(), ids=lambda value: getattr(value, "name", ""))
def test_a_page_is_as_it_would_be_made_now(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "run `python -m tools.docs`"


def test_a_page_without_its_place_is_refused() -> None:
    with pytest.raises(ValueError, match="made: house"):
        replaced("# Architecture\n", "house", "a picture")
