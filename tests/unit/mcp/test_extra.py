"""The SDK is an extra: it is said by name when it is not there, and loaded only by what serves."""

from __future__ import annotations

import subprocess
import sys

import pytest

from slipstream.domain.errors import ConfigError
from slipstream.mcp.extra import is_installed, need_sdk


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_installed()
    need_sdk()
    monkeypatch.setitem(sys.modules, "mcp", None)
    assert not is_installed()
    with pytest.raises(ConfigError, match=r"install slipstream-pkg\[mcp\]"):
        need_sdk()


def test_the_tools_themselves_load_no_sdk() -> None:
    program = "import sys, slipstream, slipstream.cli.mcp_command, slipstream.mcp.tools, slipstream.mcp.resources\n"
    program += "print([name for name in ('mcp', 'mcp_types', 'starlette', 'anyio') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
