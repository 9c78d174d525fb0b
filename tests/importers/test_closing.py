"""A reader that is broken off closes its file, even while somebody holds the error and with it the frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slipstream.importers.reading import format_of, reader_of
from slipstream.importers.rows import Stage
from tests.importers.test_suite import BrokenOffError, case_named
from tests.integration.test_graph_file_queue import open_files

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="nobody tells which files are open")


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("name", ["csv", "graphml", "neo4j", "node_link"])
def test_a_reading_that_is_broken_off_leaves_no_file_open(name: str, stage: Stage, tmp_path: Path) -> None:
    case = case_named(name)
    paths = case.write(tmp_path)
    rows: Any = reader_of(paths, case.options, format_of(paths)).rows(stage, lambda _: None)
    next(rows)
    assert open_files(tmp_path) == 1
    with pytest.raises(BrokenOffError) as held:
        rows.throw(BrokenOffError())
    assert (open_files(tmp_path), held.tb.tb_next is not None) == (0, True)
