"""The console's files as they are served: their types, a strict policy, nothing else of the disk, vendored parts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

import slipstream
from slipstream.http.console import POLICY, console_assets, console_routes
from slipstream.http.problems import problem_of

FOLDER = Path(slipstream.__file__).parent / "console"
VENDOR = FOLDER / "vendor"
VENDORED_BYTES_MAX = 150_000
OWN = sorted(
    path for path in FOLDER.rglob("*") if path.suffix in {".js", ".html", ".css"} and VENDOR not in path.parents
)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = Starlette(routes=[*console_routes()])
    app.add_exception_handler(Exception, lambda request, error: problem_of(error))
    with TestClient(app, raise_server_exceptions=False, headers={"Accept-Encoding": "identity"}) as found:
        yield found


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/console/app.js", "text/javascript; charset=utf-8"),
        ("/console/vendor/preact.js", "text/javascript; charset=utf-8"),
        ("/console/style.css", "text/css; charset=utf-8"),
        ("/console/icon.svg", "image/svg+xml"),
    ],
)
def test_a_file_comes_with_its_type_and_the_policy(client: TestClient, path: str, media_type: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == media_type
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.content == (FOLDER / (path.removeprefix("/console/") if path != "/" else "index.html")).read_bytes()


def test_the_policy_lets_nothing_inline_and_nothing_foreign_run() -> None:
    assert "unsafe" not in POLICY
    assert "http" not in POLICY
    assert {"default-src 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"} <= set(
        POLICY.split("; ")
    )


def test_what_the_browser_has_already_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/console/app.js")
    again = client.get("/console/app.js", headers={"If-None-Match": f'"other", {first.headers["ETag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/console/app.js", headers={"If-None-Match": '"other"'}).status_code == 200
    packed = client.get("/console/app.js", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.content == first.content


@pytest.mark.parametrize(
    "path",
    [
        "/console/../http/console.py",
        "/console/%2e%2e/http/console.py",
        "/console/..%2fhttp%2fconsole.py",
        "/console//etc/passwd",
        "/console/vendor/SHA256SUMS",
        "/console/vendor/licenses/htm.txt",
        "/console/",
        "/console/lib",
    ],
)
def test_no_path_leads_to_another_file(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_vendored_parts_are_the_ones_of_the_checksums_and_few() -> None:
    lines = [line.split("  ", 1) for line in (VENDOR / "SHA256SUMS").read_text(encoding="utf-8").splitlines()]
    told = {name: digest for digest, name in lines}
    found = {
        path.relative_to(VENDOR).as_posix(): path
        for path in VENDOR.rglob("*")
        if path.suffix in {".js", ".css", ".txt"}
    }
    assert told == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items()}
    assert sum(path.stat().st_size for path in found.values() if path.suffix != ".txt") <= VENDORED_BYTES_MAX


def test_every_vendored_part_has_its_version_and_licence() -> None:
    table = (VENDOR / "README.md").read_text(encoding="utf-8")
    notice = (Path(__file__).parents[3] / "NOTICE").read_text(encoding="utf-8")
    licences = {path.stem for path in (VENDOR / "licenses").iterdir()}
    assert licences == {"htm", "preact", "uplot", "d3-force", "d3-dispatch", "d3-quadtree", "d3-timer"}
    for path in VENDOR.glob("*.*s"):
        assert f" {path.name} " in table.replace(",", " ,"), f"{path.name} is not in the table"
    for name in licences:
        assert name in notice.lower() or name == "preact"


def test_our_own_files_ask_for_no_other_host_and_make_no_markup_of_text() -> None:
    forbidden = re.compile(
        r"https?://(?!www\.w3\.org/)|innerHTML|outerHTML|insertAdjacentHTML|document\.write|dangerouslySetInnerHTML"
        r"|\beval\(|new Function|srcdoc|javascript:|<script(?! (?:defer|type=\"module\") src=)|<style| on[a-z]+=\""
    )
    assert len(OWN) > 15
    for path in OWN:
        assert forbidden.findall(path.read_text(encoding="utf-8")) == [], path.name


def test_every_import_leads_to_a_file_that_is_served() -> None:
    assets = console_assets()
    for path in OWN:
        if path.suffix != ".js":
            continue
        for name in re.findall(
            r'^import .*?from "(.+?)";', path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        ):
            assert (path.parent / name).resolve().relative_to(FOLDER).as_posix() in assets
    for name in re.findall(r'(?:src|href)="console/(.+?)"', (FOLDER / "index.html").read_text(encoding="utf-8")):
        assert name in assets
