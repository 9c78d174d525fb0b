"""The tests of migrations once more, while another process runs the engine: the same outputs and exit codes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e import test_cli_migrate as suite
from tests.e2e.processes import owned
from tests.e2e.test_cli import Cli
from tests.e2e.test_cli_migrate import (  # noqa: F401  (collected here, and run with the fixture below)
    test_a_model_is_replaced_and_search_never_stops,
    test_an_edited_template_is_built_beside_the_old_one,
    test_commands_go_on_with_the_models_in_force_and_warn,
    test_what_does_not_fit_the_phase_is_refused_by_name,
)

alone = suite.cli


@pytest.fixture
def cli(alone: Cli) -> Iterator[Cli]:
    with owned(alone.directory):
        yield alone


def test_a_build_is_paused_watched_and_dropped(alone: Cli) -> None:
    with owned(alone.directory, "python"):
        suite.edit(alone, f'default = "{suite.MINILM}"', f'default = "{suite.STATIC}"')
        assert alone.json("migrate", "start", "--no-wait")["phase"] in ("building", "built")
        assert alone.json("migrate", "pause")["paused"] is True
        assert alone.json("migrate", "wait", code=2)["error"] == "ConfigError"
        assert alone.json("migrate", "resume", "--no-wait")["paused"] is False
        assert alone.json("migrate", "wait")["phase"] == "built"
        assert alone.json("migrate", "status")["spaces"].keys() == {"Person"}
        assert alone.json("migrate", "drop")["phase"] == "alone"
        assert suite.answering(alone) == {suite.MINILM}
