"""docs/serving.md and docs/security.md: limits are those in force, proxies are usable, each line has its test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from slipstream.http.limits import MIB, Limits
from slipstream.http.scopes import Scope
from slipstream.http.sockets import SUN_PATH_MAX
from slipstream.http.tokens import LOOK_S
from tests.docs.test_deploy import check_command

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGE = (DOCS / "serving.md").read_text(encoding="utf-8")
SECURITY = (DOCS / "security.md").read_text(encoding="utf-8")


def test_the_limits_on_the_page_are_the_real_ones() -> None:
    limits = Limits()
    rows = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", PAGE.partition("## Limits")[2], re.MULTILINE))
    told = list(rows.values())[1:]
    assert told == [
        f"{limits.connections}",
        f"{limits.header_bytes // 1024} KiB within {limits.header_s:g} s",
        f"{limits.keep_alive_s:g} s",
        f"{limits.body_bytes // MIB} MiB within {limits.body_s:g} s",
        (
            f"{limits.upload_bytes // MIB} MiB, "
            f"{limits.upload_part_bytes // 1024} KiB of it in {limits.upload_part_s:g} s"
        ),
        f"{limits.bodies_bytes // MIB} MiB",
        f"{limits.working}, and {limits.waiting} that wait up to {limits.waiting_s:g} s for one to end",
        f"{limits.waits}",
        f"{limits.agents}, and as many that wait",
        f"{limits.uploads}",
        f"{limits.streams}",
        f"{limits.work_s:g} s; {limits.waiting_work_s:g} s for one that waits for something",
        f"{limits.answer_bytes // MIB} MiB",
        f"{limits.answers_bytes // MIB} MiB",
        f"{limits.progress_bytes // 1024} KiB of its answer in {limits.progress_s:g} s",
        f"{limits.grace_s} s",
    ]
    assert f"{SUN_PATH_MAX} bytes on Linux" in PAGE
    assert LOOK_S == 1.0  # "every second"
    assert {scope.name.lower() for scope in Scope} == set(
        re.findall(r"^    (read|write|admin) +\w", PAGE, re.MULTILINE)
    )


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile"])
def test_the_proxies_are_told_how_the_server_is_started(name: str) -> None:
    text = (ROOT / "deploy" / "proxies" / name).read_text(encoding="utf-8")
    [started] = re.findall(r"^# +(serve --.*)$", text, re.MULTILINE)
    check_command(["--dir", "pkg", *started.split()])
    address = started.split()[2]
    assert address in text.partition(started)[2], "the proxy hands on to the address that is served"


ROWS = [
    (threat, stands, re.findall(r"`(test_\w+)`", tests))
    for threat, stands, tests in re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", SECURITY, re.MULTILINE)
    if threat not in {"threat", "---"}
]


def test_each_line_of_the_threat_model_has_a_test_that_there_is() -> None:
    there = {
        node.name
        for folder in ("integration", "e2e", "unit", "browser")
        for path in (ROOT / "tests" / folder).rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert len(ROWS) > 20
    for threat, _, tests in ROWS:
        assert tests, f"{threat} has no test"
        assert not set(tests) - there, f"{threat}: not there are {set(tests) - there}"


def test_every_test_of_who_is_let_in_stands_for_a_line() -> None:
    source = ast.parse((ROOT / "tests" / "integration" / "test_serve_access.py").read_text(encoding="utf-8"))
    about = {node.name for node in source.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}
    welcome = {
        name for name in about if re.search(r"_(it_answers|our_own|a_link|the_scheme|what_is_no_address|only_)", name)
    }
    told = {name for _, _, tests in ROWS for name in tests}
    assert about - welcome <= told
