"""Files to import: what they are called, and what is refused before it is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slipstream.domain.errors import ConfigError
from slipstream.importers.opening import SourceFile, source_files


@pytest.mark.parametrize("name", ["PEOPLE.CSV.GZ", "PEOPLE.CSV", "PEOPLE.csv.Zst"])
def test_an_ending_counts_in_any_case(name: str) -> None:
    assert SourceFile(Path(name)).suffix == ".csv"
    assert SourceFile(Path(name)).inner_name.lower() == "people.csv"


def test_a_pipe_is_refused_for_it_can_be_read_once_only(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "people.csv")
    with pytest.raises(ConfigError, match=r"with -$"):
        source_files([tmp_path / "people.csv"])


def test_utf_16_is_told_with_what_converts_it(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("id\tname\n", encoding="utf-16")  # as Excel saves `Unicode text`
    with pytest.raises(ConfigError, match="iconv -f UTF-16"):
        list(SourceFile(path).lines(lambda _: None))
