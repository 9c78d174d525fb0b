"""`evidence`: files of audits verified where the PKG is not, by people who have nothing but them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

import slipstream
from slipstream.signing.documents import verify
from tests.e2e.everyday import Cli, made

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    made_here = made(tmp_path_factory.mktemp("evidence") / "pkg")
    for _ in range(3):
        made_here.run("verify")
    return made_here


@pytest.fixture
def away(cli: Cli, tmp_path: Path) -> Iterator[Path]:
    """Stand in a folder that holds the evidence and the key, and no PKG."""
    cli.run("verify", "--report", str(tmp_path / "audit.json"))
    (tmp_path / "key.pem").write_text(cli.run("evidence", "key")[0])
    with chdir(tmp_path):
        yield tmp_path


def _changed(path: Path, change: Change) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def _verified(*words: str, code: int) -> str:
    return Cli(Path("nowhere")).run("evidence", "verify", *words, code=code)[0]


def test_evidence_is_verified_without_the_pkg(away: Path, cli: Cli) -> None:
    said = _verified("audit.json", "--public-key", "key.pem", code=0)
    key_id = cli.json("evidence", "key")["key_id"]
    assert f"valid: signed by the key {key_id}, and not altered since" in said
    assert "note:" not in said
    assert " BROKEN" not in said
    alone = _verified("audit.json", code=0)
    assert "whose key that is, is not proved" in alone
    assert sorted(path.name for path in away.iterdir()) == ["audit.html", "audit.json", "key.pem"]


def test_it_is_verified_by_another_process_with_nothing_else(away: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "slipstream", "evidence", "verify", "audit.json", "--public-key", "key.pem", "--json"],
        cwd=away, capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "HOME": str(away)},
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert (found["verdict"], found["known_key"], len(found["chains"])) == ("valid", True, 1)


def test_verifying_loads_no_store_and_no_model() -> None:
    code = (
        "import sys, slipstream.cli.evidence_commands; print({'numpy', 'sqlite3', 'pydantic'} & sys.modules.keys())"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
    )


CHANGES: dict[str, Change] = {
    "the verdict": lambda document: document.update(verdict="divergent"),
    "a key that it names": lambda document: document["divergences"]["missing"].append("e:ada"),
    "an older audit": lambda document: document["history"][0].update(position=1),
    "one audit less": lambda document: document["history"].pop(1),
    "another order": lambda document: document["history"].reverse(),
    "a later time": lambda document: document.update(finished_at="2030-01-01T00:00:00+00:00"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_is_altered_is_found(away: Path, change: Change) -> None:
    _changed(away / "audit.json", change)
    assert "NOT valid" in _verified("audit.json", code=1)
    assert json.loads(_verified("audit.json", "--json", code=1))["verdict"] == "altered"


def test_another_key_is_found(away: Path, tmp_path: Path) -> None:
    with slipstream.open(tmp_path / "other", create=True, run=False) as other:
        (away / "other.pem").write_text(other.evidence.public_key().pem)
    assert "it is signed by the key" in _verified("audit.json", "--public-key", "other.pem", code=1)
    _verified("audit.json", "--public-key", "other.pem", "--public-key", "key.pem", code=0)


def test_audits_in_files_of_their_own_are_one_chain(away: Path, cli: Cli) -> None:
    with slipstream.open(cli.directory, run=False) as slip:
        for kept in slip.audits.audits(None, 10):
            (away / f"{kept.id:03}.json").write_text(json.dumps(slip.evidence.audit(kept.id)))
    files = sorted(path.name for path in away.glob("[0-9]*.json"))
    assert len(files) >= 4
    assert "BROKEN" not in _verified(*files[::-1], code=0)
    missing = json.loads((away / files.pop(1)).read_text())["evidence"]["number"]
    assert f"BROKEN: number {missing} is missing" in _verified(*files, code=1)


def test_the_chain_is_exported(away: Path, cli: Cli) -> None:
    assert "written: " in cli.run("evidence", "export", str(away / "chain.json"), "--limit", "2")[0]
    document = json.loads((away / "chain.json").read_text())
    assert len(document["audits"]) == 2
    said = _verified("chain.json", "audit.json", code=0)
    assert "2 of them here" not in said  # both files together
    assert "is not here" in _verified("chain.json", code=0)
    assert cli.refused("evidence", "export", str(away / "no" / "chain.json")).startswith("ConfigError: ")


UNTOLD = {
    "not there": None,
    "empty": "",
    "not JSON": "{",
    "a list": "[]",
    "not signed": '{"schema": "slipstream.audit/1"}',
    "a field twice": '{"signature": null, "signature": null}',
    "too deep": "[" * 100_000,
    "not text": "\udcff",
}


@pytest.mark.parametrize("content", UNTOLD.values(), ids=UNTOLD)
def test_what_can_not_be_verified_is_told_apart(away: Path, content: str | None) -> None:
    if content is not None:
        (away / "other.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    said = _verified("audit.json", "other.json", code=2)
    assert "other.json: unknown: " in said
    assert "could not tell" in said
    _changed(away / "audit.json", CHANGES["the verdict"])
    assert "NOT valid" in _verified("audit.json", "other.json", code=1)  # the worse one is told


def test_a_wrong_key_is_a_wrong_call(away: Path, cli: Cli) -> None:
    private = cli.directory / ".slipstream" / "signing" / "private.pem"
    for given, said in [
        ("nothing.pem", "neither a file"),
        ("audit.json", "public_key"),
        (str(private), "private key"),
    ]:
        refused = Cli(away).refused("evidence", "verify", "audit.json", "--public-key", given)
        assert refused.startswith("InvalidInputError: ")
        assert said in refused
        assert private.read_text().splitlines()[1] not in refused


def test_the_page_shows_by_which_key_and_digest(away: Path, cli: Cli) -> None:
    page = (away / "audit.html").read_text()
    found = verify(json.loads((away / "audit.json").read_text()))
    assert found.key_id in page
    assert found.digest in page
    assert "Whoever has the key can sign anything" in page


def test_no_log_and_no_answer_holds_the_private_key(away: Path, cli: Cli, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    secret = (cli.directory / ".slipstream" / "signing" / "private.pem").read_text().splitlines()[1]
    said = [*cli.run("verify", "--json"), *cli.run("evidence", "key", "--json"), *cli.run("doctor", "--json")]
    assert not any(secret in text for text in [*said, caplog.text, (away / "audit.json").read_text()])
