"""The tests of audits once more, while another process runs the engine: the same outputs and exit codes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e import test_cli_audits as suite
from tests.e2e.processes import owned
from tests.e2e.test_cli import Cli
from tests.e2e.test_cli_audits import (  # noqa: F401  (collected here, and run with the fixture below)
    test_a_dry_run_tells_the_cost_and_changes_nothing,
    test_a_pkg_that_was_never_scrubbed_is_overdue,
    test_a_repair_that_goes_on_says_with_what,
    test_an_incremental_audit_of_nothing_new_reads_nothing,
    test_drift_is_only_found_by_looking_deep,
    test_every_damage_is_found_by_either_audit_and_mended,
    test_findings_are_kept_and_paged,
    test_status_tells_by_its_exit_code_what_is_past_its_limit,
    test_the_report_is_written_as_json_and_as_a_page,
    test_the_schedule_is_paused_and_resumed,
)

alone = suite.cli


@pytest.fixture
def cli(alone: Cli) -> Iterator[Cli]:
    with owned(alone.directory):
        yield alone
