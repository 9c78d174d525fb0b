"""The brake while another process runs the engine: it audits at once, tells everybody, applies what is confirmed."""

from __future__ import annotations

import time
from typing import Any

import pytest

import slipstream
from slipstream.cli.app import app
from slipstream.domain.errors import RepairNeedsConfirmationError, StalePlanError
from tests.e2e.processes import LONG_S, owned
from tests.e2e.test_cli import Cli
from tests.e2e.test_cli_brake import GONE, PEOPLE, cli, forge, records, tamper, wipe  # noqa: F401  (`cli` is a fixture)


def braked(cli: Cli) -> dict[str, Any]:  # noqa: F811
    """Wait until the owner's scrubber has made a plan."""
    deadline = time.monotonic() + LONG_S
    while not ((told := cli.json("status")["brake"]) or {}).get("plan"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return dict(told)


def test_the_owner_brakes_and_another_process_confirms(cli: Cli) -> None:  # noqa: F811
    wipe(cli, GONE)
    with owned(cli.directory):
        told = braked(cli)
        assert told["plan"]["keys"] == {"orphaned": GONE, "word_orphaned": GONE}
        for shown in (("status",), ("audits", "list"), ("scrub", "status")):
            result = cli.runner.invoke(app, ["--dir", str(cli.directory), *shown])
            assert f"braked: {told['why']}: {told['command']}" in result.output
        assert cli.json("scrub", "status")["brake"] == told
        assert cli.json("repair", code=2)["plan"]["id"] == told["plan"]["id"]
        assert len(records(cli)) == PEOPLE
        assert cli.json("repair", "--confirm", told["plan"]["id"])["marked"] == 2 * GONE  # vectors and word rows
        assert len(records(cli)) == PEOPLE - GONE
        assert cli.json("verify")["consistency"] == 1.0
        assert cli.json("status")["brake"] is None


def test_python_beside_the_owner_is_refused_and_confirms_too(cli: Cli) -> None:  # noqa: F811
    with owned(cli.directory), slipstream.open(cli.directory) as guest:
        assert not guest.runs_engine
        forge(cli, GONE)
        with pytest.raises(RepairNeedsConfirmationError) as caught:
            guest.repair()
        assert caught.value.plan["keys"] == {"stale": GONE}
        tamper(cli, "DELETE FROM records WHERE key = 'e:p03'")
        with pytest.raises(StalePlanError, match="1 keys differ"):
            guest.repair(confirm=caught.value.plan["id"])
        with pytest.raises(RepairNeedsConfirmationError) as caught:
            guest.repair()
        assert caught.value.plan["keys"] == {"missing": 1, "stale": GONE - 1}
        assert guest.repair(confirm=caught.value.plan["id"]) == GONE
        assert guest.sync.drain(timeout_s=LONG_S)
        assert guest.verify().is_consistent
