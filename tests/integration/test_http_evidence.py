"""Evidence over HTTP and by a connected client: the public key, and audits as they were signed."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import slipstream
from slipstream.domain.errors import UnsupportedError
from slipstream.signing.documents import read_public_key, verify
from slipstream.signing.examining import VALID, Examining
from tests.integration.http_admin_world import World, world
from tests.integration.http_running import running


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("evidence")) as made:
        for _ in range(3):
            made.slipstream.verify(hurry=True)
        yield made


def test_the_public_key_is_told_in_both_forms(here: World) -> None:
    told = here.api.get("/v1/evidence/key", scope="read").ok()
    assert told["algorithm"] == "Ed25519"
    assert base64.b64decode(told["public_key"]) == read_public_key(told["pem"])
    assert told["key_id"] == here.slipstream.evidence.public_key().key_id


def test_an_audit_is_given_as_it_was_signed(here: World) -> None:
    key = read_public_key(here.api.get("/v1/evidence/key").ok()["pem"])
    newest = here.api.get("/v1/audits?limit=1").ok()["items"][0]
    document = here.api.get(f"/v1/audits/{newest['id']}/evidence", scope="read").ok()
    assert verify(document, key).digest == here.slipstream.evidence.kept(newest["id"])["digest"]  # type: ignore[index]
    assert newest["evidence"] == document["evidence"]
    assert "signature" not in newest  # its times are written in another way: no signature would fit it
    missing = here.api.get("/v1/audits/999/evidence")
    assert missing.status == 404


def test_the_chain_verifies_where_the_pkg_is_not(here: World, tmp_path: Path) -> None:
    key = here.api.get("/v1/evidence/key").ok()["pem"]
    document = here.api.get("/v1/evidence/audits?limit=2").ok()
    assert len(document["audits"]) == 2
    (tmp_path / "key.pem").write_text(key)
    (tmp_path / "chain.json").write_text(json.dumps(document))
    program = [sys.executable, "-m", "slipstream", "evidence", "verify", "chain.json", "--public-key", "key.pem"]
    told = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (told.returncode, told.stderr) == (0, "")
    assert here.api.get("/v1/evidence/audits?limit=0").status == 422


def test_a_client_reads_evidence_and_signs_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as there, slipstream.connect(f"http://127.0.0.1:{there.api.port}") as client:
        there.slipstream.verify(hurry=True)
        key = client.evidence.public_key()
        assert key == there.slipstream.evidence.public_key()
        examining = Examining([read_public_key(key.pem)])
        examining.add("chain", client.evidence.chain(5))
        examining.add("audit", client.evidence.audit(there.slipstream.audits.audits(None, 1)[0].id))
        assert examining.examined().verdict == VALID
        with pytest.raises(UnsupportedError, match="the server signs"):
            client.evidence.sign({})
