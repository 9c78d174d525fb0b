"""The page about tools for agents lists them as they are, and its configurations can be read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from slipstream.mcp.resources import RESOURCES
from slipstream.mcp.shortening import ANSWER_MAX
from slipstream.mcp.tools import TOOLS

PAGE = (Path(__file__).parents[2] / "docs" / "mcp.md").read_text(encoding="utf-8")
CONFIGURATIONS = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


def test_the_table_is_the_closed_list() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w*) ?\| (.*?) \|$", PAGE, re.MULTILINE)
    marks = {(False, False): "", (True, False): "yes", (True, True): "destructive"}
    assert rows == [(tool.name, marks[tool.writes, tool.destroys], tool.title) for tool in TOOLS.values()]


def test_resources_and_bounds_are_the_codes() -> None:
    assert set(re.findall(r"`(slipstream://\w+)`", PAGE)) == set(RESOURCES)
    assert f"{ANSWER_MAX:,} characters" in PAGE


@pytest.mark.parametrize("text", CONFIGURATIONS, ids=["mcpServers", "servers"])
def test_a_configuration_starts_the_command(text: str) -> None:
    found: dict[str, Any] = json.loads(text)
    servers: dict[str, Any] = found.get("mcpServers") or found["servers"]
    started = servers["my-pkg"]
    assert started["command"] == "slipstream"
    assert (started["args"][0], started["args"][2:]) == ("--dir", ["mcp"])
    asked = [server for server in servers.values() if "url" in server]
    assert all(server["url"].endswith("/mcp") for server in asked)
    assert all(server["headers"]["Authorization"].startswith("Bearer ") for server in asked)
