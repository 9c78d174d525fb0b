#!/usr/bin/env bash
# Expected: an argument `note: str | None` is the text that the client sent, as an argument `text: str` is.
# Happens:  the text `null` arrives as None, and the texts `[1]` and `{"a": 1}` are refused: they are read as JSON first,
#           because the annotation is not `str` itself.
# Matters:  a tool that takes an optional id, cursor or filter can not be asked for the one that is called `null`: it
#           answers another question, without a word.
# Version:  mcp 2.3.0 (PyPI). Found by asking for entities whose ids look like JSON.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env || exit 2
env/bin/pip install -q --disable-pip-version-check 'mcp==2.3.0' || exit 2
env/bin/python - <<'PY'
import asyncio
import sys
from importlib.metadata import version

from mcp import Client
from mcp.server import MCPServer

server = MCPServer("server", log_level="ERROR")


@server.tool()
def seen(text: str, note: str | None = None) -> str:
    return f"{text!r} {note!r}"


async def answers():
    async with Client(server) as client:
        for sent in ("plain", "12", "null", "[1]", '{"a": 1}'):
            answer = await client.call_tool("seen", {"text": sent, "note": sent})
            yield "refused" if answer.is_error else answer.content[0].text


async def main():
    return [answer async for answer in answers()]


print("mcp", version("mcp"))
print('The texts plain, 12, null, [1] and {"a": 1}, each as a text and as an optional text.')
found = asyncio.run(main())
stated = ["'plain' 'plain'", "'12' '12'", "'null' None", "refused", "refused"]
print("seen:", found)
sys.exit(None if found == stated else f"changed: seen {found}, stated {stated}")
PY
