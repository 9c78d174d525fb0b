"""What a signature covers, and what is said of one that does not fit."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from slipstream.domain.errors import CorruptionError, InvalidInputError
from slipstream.signing.documents import (
    CONTEXT,
    canonical,
    digest_of,
    is_signed,
    key_id_of,
    message_of,
    read_public_key,
    verify,
)
from slipstream.signing.keys import SigningKey

Document = dict[str, Any]
PLAIN: Document = {
    "schema": "test/1",
    "text": 'Zoë 日本 🌊 \u202e\n"\\/',
    "number": -0.1,
    "big": 2**53 - 1,
    "none": None,
    "list": [True, [], {"z": 1, "é": 2, "𐀀": 3, "\uffff": 4}],
}


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return SigningKey(tmp_path / "signing")


@pytest.fixture
def signed(key: SigningKey) -> Document:
    return key.sign(PLAIN)


def test_a_signed_document_is_the_document_with_a_signature(key: SigningKey, signed: Document) -> None:
    assert {name: value for name, value in signed.items() if name != "signature"} == PLAIN
    assert signed["signature"].keys() == {"algorithm", "key_id", "public_key", "value"}
    found = verify(signed)
    assert (found.key_id, base64.b64decode(found.public_key)) == (key.key_id, key.public_key)
    assert found == verify(signed, key.public_key)
    assert found.digest == digest_of(signed)
    assert (is_signed(signed), is_signed(PLAIN), is_signed([])) == (True, False, False)


def test_it_may_be_laid_out_as_one_likes(signed: Document) -> None:
    turned = dict(reversed(json.loads(json.dumps(signed, indent=7, ensure_ascii=False)).items()))
    assert list(turned) != list(signed)
    assert verify(turned) == verify(signed)


def test_what_is_signed_is_written_as_rfc_8785_says(signed: Document) -> None:
    header = {name: item for name, item in signed["signature"].items() if name != "value"}
    assert message_of({"b": 1e21, "a": [1.0, "\u20ac"], "signature": signed["signature"]}) == CONTEXT + (
        '{"a":[1,"€"],"b":1e+21,"signature":{"algorithm":"Ed25519","key_id":"' + header["key_id"]
        + '","public_key":"' + header["public_key"] + '"}}'
    ).encode()  # fmt: skip
    # By UTF-16, in which a surrogate pair stands before U+FFFF.
    assert canonical(PLAIN["list"][2]).decode() == '{"z":1,"é":2,"𐀀":3,"\uffff":4}'


def test_signing_again_replaces_the_signature(key: SigningKey, signed: Document) -> None:
    assert key.sign(signed) == signed


Change = Callable[[Document], object]
CHANGES: dict[str, Change] = {
    "a value": lambda document: document.update(text="other"),
    "a new field": lambda document: document.update(more=1),
    "a field taken out": lambda document: document.pop("none"),
    "deep inside": lambda document: document["list"][2].update(z=2),
    "the order of a list": lambda document: document["list"].reverse(),
    "another name for the key": lambda document: document["signature"].update(key_id="0" * 32),
    "a field of the signature": lambda document: document["signature"].update(more="x"),
    "the signature": lambda document: document["signature"].update(value=base64.b64encode(bytes(64)).decode()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_is_changed_the_signature_does_not_fit(signed: Document, change: Change) -> None:
    copied: Document = json.loads(json.dumps(signed))
    change(copied)
    with pytest.raises(CorruptionError):
        verify(copied)


def test_another_key_is_told(key: SigningKey, signed: Document, tmp_path: Path) -> None:
    other = SigningKey(tmp_path / "other")
    with pytest.raises(CorruptionError, match=f"by the key {key.key_id}, not by {other.key_id}"):
        verify(signed, other.public_key)


def test_a_key_can_not_be_put_in_the_place_of_another(signed: Document, tmp_path: Path) -> None:
    other = SigningKey(tmp_path / "other").sign(PLAIN)["signature"]
    signature = signed["signature"]
    with pytest.raises(CorruptionError, match="does not fit"):
        verify({**signed, "signature": {**other, "value": signature["value"]}})
    with pytest.raises(CorruptionError, match="public half"):
        verify({**signed, "signature": {**signature, "public_key": other["public_key"]}})


UNREADABLE: dict[str, tuple[Change, str]] = {
    "none": (lambda document: document.pop("signature"), "signature"),
    "null": (lambda document: document.update(signature=None), "signature"),
    "a text": (lambda document: document.update(signature="x"), "signature"),
    "no value": (lambda document: document["signature"].pop("value"), "value"),
    "a number": (lambda document: document["signature"].update(key_id=1), "key_id"),
    "not base64": (lambda document: document["signature"].update(value="?"), "value"),
    "too short": (lambda document: document["signature"].update(public_key="AAAA"), "public_key"),
    "another algorithm": (lambda document: document["signature"].update(algorithm="none"), "algorithm"),
}


@pytest.mark.parametrize(("change", "field"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_can_not_be_judged_is_no_forgery(signed: Document, change: Change, field: str) -> None:
    change(signed)
    with pytest.raises(InvalidInputError, match=field):
        verify(signed)


def _deep() -> list[Any]:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    return nested


@pytest.mark.parametrize("value", [2**53, float("nan"), float("inf"), "\ud800", {1: 2}, object(), b"x", _deep()])
def test_what_has_no_one_form_is_refused(key: SigningKey, value: object) -> None:
    with pytest.raises(InvalidInputError, match="can not be signed"):
        key.sign({"value": value})


def test_public_keys_are_read_in_both_forms(key: SigningKey) -> None:
    assert read_public_key(key.public_pem) == key.public_key
    assert read_public_key(f" {base64.b64encode(key.public_key).decode()}\n") == key.public_key
    assert key_id_of(key.public_key) == key.key_id


def test_other_keys_are_refused(tmp_path: Path, key: SigningKey) -> None:
    assert key.key_id
    other = generate_private_key(SECP256R1()).public_key()
    pem = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    private = (tmp_path / "signing" / "private.pem").read_text()
    short = base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()[:31]).decode()
    for text, said in [
        (pem, "no key of Ed25519"),
        (private, "show this one to nobody"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key in PEM"),
        (short, "31 bytes"),
        ("ä", "not base64"),
    ]:
        with pytest.raises(InvalidInputError, match=said) as caught:
            read_public_key(text)
        assert private.splitlines()[1] not in str(caught.value)
