"""The tests of the schema once more, while another process runs the engine: the same outputs and exit codes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e import test_cli_schema as suite
from tests.e2e.processes import owned
from tests.e2e.test_cli import Cli
from tests.e2e.test_cli_schema import (  # noqa: F401  (collected here, and run with the fixture below)
    test_embedding_anew_is_planned_done_and_refused,
    test_versions_and_what_differs_between_them,
)

alone = suite.cli


@pytest.fixture
def cli(alone: Cli) -> Iterator[Cli]:
    with owned(alone.directory):
        yield alone
