"""The page about administering has every such route, with what a bearer must be granted for it."""

from __future__ import annotations

import re
from pathlib import Path

from slipstream.http.app import build_app
from slipstream.http.served import Registry, Served
from tests.integration.http_admin_world import world

ROOT = Path(__file__).parents[2]
TAGS = {
    "audits",
    "backups",
    "dead letters",
    "imports",
    "map",
    "migrations",
    "operations",
    "quality",
    "repairs",
    "requests",
    "settings",
    "status",
}
_ROW = re.compile(r"^\| `([A-Z]+) (/v1/\S+)` \| ([a-z ]+) \|", re.MULTILINE)
_BELOW = {"read": "", "write": "read", "admin": "write"}
REFUSED = {401, 403}


def _rows() -> dict[tuple[str, str], str]:
    text = (ROOT / "docs" / "administering.md").read_text(encoding="utf-8")
    return {(method, path): scope for method, path, scope in _ROW.findall(text)}


def test_it_has_every_route_and_no_other() -> None:
    app = build_app(Registry({"none": Served("none", ROOT)}))
    routes = {
        (method.upper(), path)
        for path, operations in app.openapi()["paths"].items()
        for method, operation in operations.items()
        if TAGS & set(operation["tags"])
    }
    assert set(_rows()) == routes


def test_less_than_it_says_is_refused_and_that_suffices(tmp_path: Path) -> None:
    with world(tmp_path) as here:
        for (method, path), name in _rows().items():
            if name == "by operation":
                continue
            place = re.sub(r"\{\w+\}", "1", path)
            for scope, is_refused in ((_BELOW[name], True), (name, False)):
                status = here.api(method, place, scope=scope).status
                assert (status in REFUSED) == is_refused, (method, path, scope, status)
