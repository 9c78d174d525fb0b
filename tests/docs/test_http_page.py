"""docs/http.md: its commands run against a server, in their order, and its limits are those in force."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from slipstream.app.browsing import PAGE_MAX
from slipstream.domain.keys import ID_SIZE_MAX
from slipstream.http import searching, writing
from slipstream.http.routes import batch, changes, entities, query
from slipstream.http.waiting import WAIT_S_MAX, WAITERS_MAX
from slipstream.search.options import HOPS_MAX, K_MAX
from tests.integration.http_running import running

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
_TIMED_OUT = 28
"""How curl ends when its time is over."""


def test_the_commands_of_the_page_work(tmp_path: Path) -> None:
    answers: list[Any] = []
    with running(tmp_path, is_empty=True) as slip:
        for command in COMMANDS:
            here = command.replace("localhost:8420", f"127.0.0.1:{slip.api.port}")
            done = subprocess.run(["bash", "-ec", here], capture_output=True, text=True, check=False)
            if "stream" in command:
                assert (done.returncode, done.stdout.count("event: change")) == (_TIMED_OUT, 7), done
                continue
            assert done.returncode == 0, done.stderr
            answers += _read(done.stdout)
    assert [answer for answer in answers if "detail" in answer] == []
    created, found, put, written, near, rows, changed, key, _, explained, why_not = answers
    assert created == json.loads(re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0])
    assert [hit["entity_id"] for hit in found["hits"]] == ["ada"]
    assert (put["created"], put["reached"]) == (True, True)
    assert written["ids"] == ["ada", "KNOWS:ada:charles"]
    assert [row["entity_id"] for row in near["items"]] == ["charles"]
    assert rows["rows"] == [["Ada Lovelace", "Charles Babbage", 1833]]
    assert len(changed["items"]) == 7
    assert key["text"] == "Ada Lovelace"
    assert [hit["entity_id"] for hit in explained["hits"]] == ["charles"]
    assert {"exact", "keyword"} <= {arm["arm"] for arm in explained["hits"][0]["explanation"]["arms"]}
    assert why_not["reason"] == "rank"


def _read(text: str) -> list[Any]:
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        found.append(value)
    return found


def test_the_limits_of_the_page_are_those_in_force() -> None:
    table = PAGE.partition("## Limits")[2].partition("## Operations")[0]
    told = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.MULTILINE))
    assert list(told.values())[1:] == [
        f"{K_MAX:,}, {HOPS_MAX}",
        f"{searching.TEXT_SIZE_MAX:,} characters",
        f"{searching.METADATA_MAX}",
        f"{PAGE_MAX:,}",
        f"{batch.MUTATIONS_MAX:,}",
        f"{query.ROWS_MAX:,}, {query.ROWS_BYTES_MAX // 2**20} MiB",
        f"{query.STATEMENT_SIZE_MAX:,} characters",
        f"{WAIT_S_MAX:g} s",
        f"{WAITERS_MAX}",
        f"{ID_SIZE_MAX:,} characters",
    ]
    assert entities.IDS_MAX == PAGE_MAX


@pytest.mark.parametrize(
    "said",
    [
        f"(up to {writing.KEY_SIZE_MAX} characters)",
        f"{writing.LOOKED_BACK_MAX:,} changes since",
        f"every {changes.KEEP_ALIVE_S:g} s",
    ],
)
def test_other_figures_of_the_page_are_those_in_force(said: str) -> None:
    assert said in " ".join(PAGE.split())
