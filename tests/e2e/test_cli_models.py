"""Servers of models that refuse or fail, from the command line, and beside a process that runs the engine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from tests.conformance.embedder.server import Answer, EmbeddingServer, serving
from tests.e2e.processes import owned
from tests.e2e.test_cli import Cli


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with serving() as running:
        yield running


@pytest.fixture
def cli(tmp_path: Path, server: EmbeddingServer) -> Cli:
    """Towns are embedded by the server, all else by a packaged model."""
    cli = Cli(tmp_path / "pkg")
    cli.directory.mkdir()
    (cli.directory / "slipstream.toml").write_text(
        '[models]\ndefault = "wordllama-l2"\n[models.routes]\nTown = "served"\n[models.openai.served]\n'
        f'base_url = "{server.url}/v1"\ndimension = 64\n'
    )
    return cli


def dump(tmp_path: Path, *types: str) -> str:
    names = [(kind, f"{kind}{n}", f"{kind} {n}") for kind in types for n in range(10)]
    rows = [
        {"type": "node", "id": key, "labels": [kind], "properties": {"id": key, "name": name}}
        for kind, key, name in names
    ]
    path = tmp_path / "-".join(["graph", *types])
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def run(cli: Cli, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "slipstream", "--dir", str(cli.directory), *arguments]
    return warm.run(command, capture_output=True, text=True, timeout=600, check=False)


def refusing(word: str) -> Callable[[dict[str, Any]], Answer | None]:
    return lambda body: (500, {}, "NaN") if any(word in text for text in body["input"]) else None


def test_an_import_of_texts_that_are_all_refused_ends_with_2_and_nothing_has_to_be_replayed(
    cli: Cli, server: EmbeddingServer, tmp_path: Path
) -> None:
    server.fault = lambda _: (400, {}, "this server does no embeddings")
    told = cli.json("import", dump(tmp_path, "Town", "Person"), code=2)
    assert "this server does no embeddings" in told["message"]
    assert cli.json("dead-letters", "list") == []
    assert {hit["entity_type"] for hit in cli.json("search", "number 3", "-k", "30", "--mode", "vector")} == {
        "Person"
    }
    server.fault = None
    cli.run("verify")
    assert {hit["entity_type"] for hit in cli.json("search", "number 3", "-k", "30", "--mode", "vector")} == {
        "Person",
        "Town",
    }


def test_one_text_that_is_refused_is_told_and_the_others_are_found(
    cli: Cli, server: EmbeddingServer, tmp_path: Path
) -> None:
    server.fault = refusing("Town 7")
    assert cli.json("import", dump(tmp_path, "Town"))["dead_letters"] == 1
    (letter,) = cli.json("dead-letters", "list")
    assert (letter["key"], "answered 500: NaN" in letter["error"]) == ("e:Town7", True)
    assert len(cli.json("search", "Town", "-k", "30", "--mode", "vector")) == 9


def test_a_search_says_what_it_could_not_ask_here_and_beside_another_process(
    cli: Cli, server: EmbeddingServer, tmp_path: Path
) -> None:
    cli.run("import", dump(tmp_path, "Town", "Person"))
    server.fault = lambda _: (503, {}, "Loading model")
    cli.run("import", "--no-sync", dump(tmp_path, "Town", "Concept"))

    def check() -> None:
        done = run(cli, "search", "never asked before", "-k", "50", "--json")
        assert done.returncode == 0, done.stderr
        assert {hit["entity_type"] for hit in json.loads(done.stdout)} == {"Person", "Concept"}
        assert "not searched: Town (model served)" in " ".join(done.stderr.split())

    check()
    with owned(cli.directory):
        check()
