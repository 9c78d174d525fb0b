"""The tests of the command line once more, while another process runs the engine: the same outputs and exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import KINDS, made, owned
from tests.e2e.test_cli import (  # noqa: F401  (collected here, and run with the fixture below)
    Cli,
    dump,
    test_a_rejected_event_can_be_replayed_once_its_cause_is_gone,
    test_apply_from_a_file_is_idempotent,
    test_apply_from_a_pipe_rejects_bad_lines_and_goes_on,
    test_bad_calls_say_what_is_wrong,
    test_bad_lines_of_a_dump_are_rejected_by_number,
    test_ctrl_c_ends_a_live_pipe_cleanly_and_loses_nothing,
    test_import_brings_everything_into_the_index,
    test_importing_twice_changes_nothing,
    test_query_reads_and_writes_only_when_asked,
    test_search_finds_by_meaning_and_expands,
    test_tampering_is_divergent_and_repaired,
)


@pytest.fixture(params=KINDS)
def cli(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Cli]:
    directory = made(tmp_path / "pkg")
    with owned(directory, request.param):
        yield Cli(directory)
