"""Commands beside `slipstream serve`: thin clients of its socket, with the same output as without any server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

import slipstream
from slipstream.app.client.addresses import SOCKET
from tests import warm
from tests.e2e.processes import LONG_S, Process, command, made
from tests.until import until

_HEAVY = {"numpy", "jinja2", "sqlite3", "slipstream.app.composition", "slipstream.app.slipstream"}
_DRAWS = "rich"
_PROGRAM = """
import json, sys
from slipstream.__main__ import main
sys.argv = ["slipstream", *sys.argv[1:]]
try:
    main()
except SystemExit as error:
    print(json.dumps([error.code, sorted(sys.modules)]), file=sys.stderr)
"""

COMMANDS: dict[str, list[str]] = {
    "search": ["search", "engines that weave"],
    "search as JSON": ["search", "engines that weave", "--json"],
    "search with options": [
        "search",
        "Ada",
        "-k",
        "2",
        "--type",
        "Person",
        "--expand",
        "1",
        "--min-schema-version",
        "1",
    ],
    "search of an unknown type": ["search", "Ada", "--type", "Persn"],
    "search of nothing": ["search", ""],
    "search of nothing as JSON": ["search", "", "--json"],
    "search for no hits": ["search", "Ada", "-k", "0"],
    "status": ["status"],
    "status as JSON": ["status", "--json"],
    "status checked": ["status", "--check"],
    "query": ["query", "MATCH (n:Person) RETURN n.id AS id, n ORDER BY id"],
    "query as JSON": ["query", "MATCH (n:Person) RETURN n ORDER BY n.id", "--json"],
    "query with parameters": ["query", "MATCH (n) WHERE n.id = $id RETURN n.born AS born", "--param", "id=ada"],
    "query without rows": ["query", "MATCH (n:Nobody) RETURN n"],
    "query that writes": ["query", "CREATE (n:Person {id: 'x'})"],
    "query that is wrong": ["query", "MATCH", "--json"],
    "query in SQL": ["query", "--sql", "SELECT x'00ff' AS b, 9e999 AS f, NULL AS n, :t AS t", "--param", 't="1"'],
    "query in SQL that is wrong": ["query", "--sql", "DELETE FROM entity"],
    "query as CSV": ["query", "MATCH (n:Person) RETURN n.id, n ORDER BY n.id", "--format", "csv"],
    "search by metadata": ["search", "Ada", "--metadata", "city=London"],
    "search since": ["search", "Ada", "--changed-since", "1h"],
    "search since nothing": ["search", "Ada", "--changed-since", "0s", "--json"],
    "search of a time": ["search", "Ada", "--since", "1800", "--sort", "newest", "--half-life-days", "30"],
    "search in a mode": ["search", "Ada", "--mode", "keyword"],
    "search in no mode": ["search", "Ada", "--mode", "guessing"],
    "search explained": ["search", "engines", "--explain"],
    "search explained as JSON": ["search", "engines", "--explain", "--why-not", "ada", "--json"],
    "search of a bad time": ["search", "Ada", "--until", "soon"],
    "get": ["get", "ada", "grace", "nobody"],
    "get as JSON": ["get", "ada", "--json"],
    "get of nobody as JSON": ["get", "adda", "--json"],
    "list": ["list"],
    "list as JSON": ["list", "--type", "Person", "--limit", "1", "--json"],
    "list of an unknown type": ["list", "--type", "Persn"],
    "neighbours": ["neighbours", "ada"],
    "neighbours as JSON": ["neighbours", "ada", "--direction", "out", "--json"],
    "neighbours of nobody": ["neighbours", "nobody"],
    "history": ["history", "ada"],
    "history as JSON": ["history", "grace", "--json"],
    "history of nobody": ["history", "nobody"],
    "set of nobody": ["set", "nobody", "a=b", "--json"],
    "add of what is there": ["add", "Person", "ada"],
    "delete of nobody": ["delete", "ada", "nobody"],
    "views list": ["views", "list"],
    "views explain": ["views", "explain", "ada"],
    "views explain nobody": ["views", "explain", "nobody", "--json"],
    "schema": ["schema", "show"],
    "audits": ["audits", "list"],
    "dead letters": ["dead-letters", "list"],
}
THIN = (
    *("search", "search as JSON", "search with options", "search since", "status"),
    *("query", "query as JSON", "query in SQL", "query as CSV"),
    *("get as JSON", "list", "list as JSON", "neighbours as JSON", "history", "history as JSON"),
)


@dataclass(frozen=True)
class Place:
    """A PKG and its server."""

    directory: Path
    server: Process

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command; returns its exit code and both outputs."""
        done = warm.run(
            [sys.executable, "-m", "slipstream", "--dir", str(self.directory), *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def run_alone(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command that does not find the server."""
        socket = self.directory / SOCKET
        hidden = socket.with_name("hidden.sock")
        socket.rename(hidden)
        try:
            return self.run(*arguments)
        finally:
            hidden.rename(socket)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = made(tmp_path_factory.mktemp("served"))
    with slipstream.open(directory) as slip:
        born = datetime(1815, 12, 10, tzinfo=UTC)
        slip.pkg.create_entity("Person", "ada", {"name": "Ada \x1b[31m", "motto": "engines weave", "born": born})
        slip.pkg.create_entity("Person", "grace", {"name": "Grace", "list": [1, None, {"a": "b"}]})
        slip.pkg.relate("ada", "KNOWS", "grace")
        assert slip.sync.drain(LONG_S)
        slip.verify()
    server = command(directory, "serve")
    try:
        server.wait_for("running")
        yield Place(directory, server)
    finally:
        server.close()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_output_is_the_same_with_a_server_and_without(place: Place, name: str) -> None:
    assert place.run(*COMMANDS[name]) == place.run_alone(*COMMANDS[name])


@pytest.mark.parametrize("name", THIN)
def test_what_a_server_answers_loads_next_to_nothing(place: Place, name: str) -> None:
    call = [sys.executable, "-c", _PROGRAM, "--dir", str(place.directory), *COMMANDS[name]]
    done = subprocess.run(call, check=True, capture_output=True, text=True)
    code, loaded = json.loads(done.stderr.splitlines()[-1])
    assert code in (0, None)
    assert done.stdout
    assert not _HEAVY.intersection(loaded)
    assert "pydantic" not in loaded
    if "--json" in COMMANDS[name]:
        assert _DRAWS not in loaded


def test_a_write_by_a_server_loads_next_to_nothing(place: Place) -> None:
    words = ["add", "Passenger", "thin", "name=Thin", "--json"]
    try:
        call = [sys.executable, "-c", _PROGRAM, "--dir", str(place.directory), *words]
        done = subprocess.run(call, check=True, capture_output=True, text=True)
        _, loaded = json.loads(done.stderr.splitlines()[-1])
        assert json.loads(done.stdout)["searchable"] is True
        assert not {*_HEAVY, _DRAWS, "pydantic"}.intersection(loaded)
    finally:
        place.run("delete", "thin")


def test_the_wire_needs_the_standard_library_alone() -> None:
    program = "import slipstream.app.client.wire, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    loaded = {module.partition(".")[0] for module in done.stdout.split()} - {"slipstream", "__main__"}
    assert loaded <= sys.stdlib_module_names | {name for name in loaded if name.startswith(("_", "sitecustomize"))}


def test_a_server_that_has_read_another_configuration_is_not_asked(place: Place) -> None:
    config = place.directory / "slipstream.toml"
    text = config.read_text()
    try:
        config.write_text("nonsense = 1\n")
        code, _, said = place.run("search", "Ada")
        assert (code, "nonsense" in said) == (2, True)
    finally:
        config.write_text(text)
        os.utime(config, (0, 0))
    assert place.run("search", "Ada")[0] == 0


def test_a_server_that_was_killed_is_done_without(tmp_path: Path) -> None:
    directory = made(tmp_path / "pkg")
    with slipstream.open(directory) as slip:
        slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
        assert slip.sync.drain(LONG_S)
    server = command(directory, "serve")
    try:
        server.wait_for("running")
    finally:
        server.close()
    assert (directory / SOCKET).is_socket()  # it is left behind
    found = Place(directory, server)
    code, told, _ = found.run("search", "Ada", "--json")
    assert (code, [hit["entity_id"] for hit in json.loads(told)]) == (0, ["ada"])
    assert found.run("query", "MATCH (n:Person) RETURN n.id AS id", "--json")[1] == '[{"id": "ada"}]\n'


def test_a_server_that_hangs_is_done_without(place: Place) -> None:
    place.server.send(signal.SIGSTOP)
    try:
        code, told, _ = place.run("query", "--sql", "SELECT 1 AS one", "--json")
    finally:
        place.server.send(signal.SIGCONT)
    assert (code, told) == (0, '[{"one": 1}]\n')
    until(lambda: place.run("status", "--json")[0] == 0)
