"""The Python of docs/importing.md runs, on a file as the page has it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "importing.md"


def test_the_python_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("people.csv").write_text("id,name,employer\nada,Ada Lovelace,aes\nbab,Charles Babbage,aes\n")
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    exec(compile(code, "importing.md", "exec"), {})  # noqa: S102  (the page's own text)
    assert capsys.readouterr().out == "{'Person': 2, 'Company': 1, 'WORKS_AT': 2} {} []\n3 0 []\n"
