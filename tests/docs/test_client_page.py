"""The Python of client.md runs against a server: `slipstream serve`, with a token."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.faces.worlds import TOKEN, by_http

PAGE = Path(__file__).parents[2] / "docs" / "client.md"
SAID = """\
Ada Lovelace
['Analytical Engine']
Rear Admiral True
schema_evolved schema
entity_updated grace
"""


def test_the_examples_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    with by_http(tmp_path / "pkg") as face:
        assert face.server is not None
        for block in blocks:
            exec(compile(block, PAGE.name, "exec"), {"url": face.server.url, "token": TOKEN})  # noqa: S102  (our own page)
    assert capsys.readouterr().out == SAID
