"""The tests of views once more, while another process runs the engine: the same outputs and exit codes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slipstream.cli.app import app
from tests.e2e import test_cli_views as suite
from tests.e2e.processes import owned
from tests.e2e.test_cli import Cli
from tests.e2e.test_cli_views import (  # noqa: F401  (collected here, and run with the fixture below)
    test_a_template_that_does_not_compile_is_named,
    test_a_template_that_fails_is_told_by_the_exit_code,
    test_views_are_listed_and_records_explained,
)

alone = suite.cli


@pytest.fixture
def cli(alone: Cli) -> Iterator[Cli]:
    with owned(alone.directory):
        yield alone


def test_an_edit_is_put_in_force_by_the_next_owner_only_and_commands_say_so(alone: Cli) -> None:
    with owned(alone.directory):
        suite._edit(alone, "{{ name }}{% if title %}, {{ title }}{% endif %}")
        result = alone.runner.invoke(app, ["--dir", str(alone.directory), "verify", "--json"])
        assert result.exit_code == 0, result.output
        assert "the process that runs the engine was started with other views" in result.stderr
        assert alone.json("views", "explain", "p1")["text"] == "Person 1"
    with owned(alone.directory):
        result = alone.runner.invoke(app, ["--dir", str(alone.directory), "verify", "--json"])
        assert (result.exit_code, result.stderr) == (0, "")
        assert alone.json("views", "explain", "p1")["text"] == "Person 1, Dr."
