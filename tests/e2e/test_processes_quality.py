"""The tests of quality once more, while another process runs the engine: the same outputs and exit codes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e import test_cli_quality as suite
from tests.e2e.processes import owned
from tests.e2e.test_cli import Cli
from tests.e2e.test_cli_quality import (  # noqa: F401  (collected here, and run with the fixture below)
    test_a_cut_over_shows_what_it_compared_without_any_threshold,
    test_a_gate_vetoes_the_cut_over,
    test_a_record_shows_its_figures_and_how_its_confidence_went,
    test_a_run_is_listed_embedded_anew_and_kept,
    test_an_expected_id_that_nothing_has_stops_the_cut_over,
    test_the_comparison_can_be_skipped_by_name_only,
)

alone = suite.cli


@pytest.fixture
def cli(alone: Cli) -> Iterator[Cli]:
    with owned(alone.directory):
        yield alone
