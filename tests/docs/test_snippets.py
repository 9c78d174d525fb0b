"""Every Python block of every page runs, in the order of its page; every TOML block is a configuration."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import slipstream
from slipstream.app.config import parse_config

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
ELSEWHERE = {
    "alerts.md": "tests/docs/test_alerts_evidence.py",
    "client.md": "tests/docs/test_client_page.py",
    "evidence.md": "tests/docs/test_alerts_evidence.py",
    "evolution.md": "tests/docs/test_evolution_page.py",
    "migrations.md": "tests/docs/test_migrations_page.py",
    "monitoring.md": "tests/unit/adapters/test_telemetry_documented.py",
    "importing.md": "tests/docs/test_importing_page.py",
    "python.md": "tests/docs/test_made_pages.py",
    "views.md": "tests/unit/views/test_views_documented.py",
    "walkthrough.md": "tests/docs/test_walkthrough.py",
    "writing-an-adapter.md": "tests/docs/test_adapter_guide.py",
}
"""Pages whose blocks have a test of their own, which says what comes of them; those of `python.md` are signatures."""
SAID = {
    "chroma.md": "",
    "consistency.md": "RepairPlan(",
    "cypher.md": "",
    "erasure.md": "True True True\n",
    "graph.md": "[{'id': 'ada', 'type': 'Person'}]\n",
    "incidents.md": "",
    "langchain.md": "ada 1815 Analytical Engine\nEs regnet.\nTrue\n",
    "llamaindex.md": "one 1 two\n",
    "models.md": "minilm-l6-v2 (384,)",
    "moving.md": "",
    "networkx-and-pandas.md": (
        "2 2\nAda Lovelace\n[('ada', 'babbage', 0), ('ada', 'babbage', 1)] 1815\nbabbage\n"
        "['id', 'name', 'age'] Int64 36\n['acme', 'acme', 'home']\n['ada@example.org']\n"
    ),
    "notes.md": "Notes/Ada\n",
    "search.md": (
        "ada ()\n['ada']\n['grace']\ngrace ('wrote', 'compilers') who wrote compilers\n"
        "[('vector', 1), ('keyword', 2), ('corrected', 2)]\nrank unknown\n"
    ),
    "serving.md": "http://127.0.0.1:",
}
"""What is printed, at its beginning."""


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_every_page_with_python_is_run_somewhere() -> None:
    assert {page.name for page in PAGES if _blocks(page, "python")} == SAID.keys() | ELSEWHERE.keys()
    for name, test in ELSEWHERE.items():
        assert name in (ROOT / test).read_text(encoding="utf-8") or name == "python.md"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name in SAID], ids=lambda page: page.name)
def test_the_python_of_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("my-pkg", "old-pkg", "new-pkg"):
        slipstream.open(name, create=True, run=False).close()
    with slipstream.open("old-pkg") as old:
        old.pkg.create_entity("Person", "bob", {"name": "Bob"})
    capsys.readouterr()
    code = "\n".join(_blocks(page, "python"))
    if page.name == "cypher.md":  # its two lines are about a PKG that is open
        code = "import slipstream\nwith slipstream.open('my-pkg') as slip:\n    " + "\n    ".join(code.splitlines())
    if page.name == "graph.md":  # its relationship needs somebody to know
        with slipstream.open("my-pkg") as slip:
            slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
            slip.sync.drain()
        code = code.replace('slip.pkg.create_entity("Person"', 'slip.pkg.upsert_entity("Person"')
    names: dict[str, object] = {}
    exec(compile(code, page.name, "exec"), names)  # noqa: S102  (our own page)
    assert capsys.readouterr().out.startswith(SAID[page.name])
    if page.name == "moving.md":
        with slipstream.open("new-pkg", run=False) as moved:
            assert moved.pkg.counts() == {"Person": 1}
    if "index" in names:
        names["index"].close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", [page for page in PAGES if _blocks(page, "toml")], ids=lambda page: page.name)
def test_the_toml_of_a_page_is_a_configuration(page: Path) -> None:
    for block in _blocks(page, "toml"):
        if "views.Event.causes" in block:  # a part of a view, which has its text elsewhere
            block = f"[views.Event]\ntemplate = '{{{{ name }}}}'\n{block}"  # noqa: PLW2901
        assert parse_config(block)
