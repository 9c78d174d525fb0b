"""
Signed documents: JSON objects with a `signature`, which covers everything else in them.

What is signed is `CONTEXT`, a line break, and the document by RFC 8785 (one way to write each JSON value: keys sorted
by UTF-16, no blanks, numbers as ECMAScript writes them), with its `signature` but without that one's `value`. So
neither the key nor the algorithm that a document names can be exchanged, and the file may be laid out as one likes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipstream.domain.errors import CorruptionError, InvalidInputError

ALGORITHM = "Ed25519"
CONTEXT = b"slipstream signed document 1\n"
SIGNATURE = "signature"
_VALUE = "value"
_FIELDS = ("algorithm", "key_id", "public_key", _VALUE)
PUBLIC_KEY_BYTES = 32
_KEY_ID_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class Verified:
    """A signature that fits its document."""

    key_id: str
    public_key: str
    """Base64 of its 32 bytes."""
    digest: str
    """SHA-256 of what was signed, as hexadecimal digits: by this, a later document of a chain names this one."""


def canonical(value: object) -> bytes:
    """
    Return a JSON value by RFC 8785, as UTF-8.

    Raises `InvalidInputError` for what it has no form for: integers beyond 2^53, NaN, lone surrogates, keys that are
    no text, values of other types, and nesting that is too deep.
    """
    import rfc8785

    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]  # it looks at what it is given
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInputError(f"can not be signed: {error}", field="document") from error


def message_of(document: Mapping[str, Any]) -> bytes:
    """Return what is signed of a document that has a `signature`; raises `InvalidInputError` where it has none."""
    header = {name: item for name, item in _signature_of(document).items() if name != _VALUE}
    return CONTEXT + canonical({**document, SIGNATURE: header})


def digest_of(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what is signed of a signed document, as hexadecimal digits."""
    return hashlib.sha256(message_of(document)).hexdigest()


def key_id_of(public_key: bytes) -> str:
    """Return the name of a key: the first 32 hexadecimal digits of the SHA-256 of its 32 bytes."""
    return hashlib.sha256(public_key).hexdigest()[:_KEY_ID_CHARACTERS]


def is_signed(document: object) -> bool:
    """Whether this is an object that names a signature, valid or not."""
    return isinstance(document, Mapping) and document.get(SIGNATURE) is not None


def verify(document: Mapping[str, Any], public_key: bytes | None = None) -> Verified:
    """
    Return by which key a document is signed; without `public_key` (32 bytes), any key that it names itself will do.

    Raises `InvalidInputError` when there is nothing to verify: no signature, or one that can not be read. Raises
    `CorruptionError` when the signature does not fit: the document was altered, or another key signed it.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    signature = _signature_of(document)
    named = _decoded(signature["public_key"], "public_key", PUBLIC_KEY_BYTES)
    value = _decoded(signature[_VALUE], _VALUE, 64)
    if signature["key_id"] != key_id_of(named):
        raise CorruptionError(f"the key {signature['key_id']!r} is not the one whose public half the signature has")
    if public_key is not None and public_key != named:
        raise CorruptionError(
            f"it is signed by the key {key_id_of(named)}, not by {key_id_of(public_key)}: "
            "take the public key of the PKG that it is said to come from"
        )
    message = message_of(document)
    try:
        Ed25519PublicKey.from_public_bytes(named).verify(value, message)
    except InvalidSignature as error:
        raise CorruptionError(
            "the signature does not fit: the document was altered after it was signed, or its signature was"
        ) from error
    except ValueError as error:
        raise InvalidInputError(f"is no key of {ALGORITHM} ({error})", field="signature.public_key") from error
    return Verified(key_id_of(named), signature["public_key"], hashlib.sha256(message).hexdigest())


def read_public_key(text: str) -> bytes:
    """
    Return the 32 bytes of a public key, given as PEM or as base64.

    Raises `InvalidInputError` for anything else, a private key among it.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if "PRIVATE KEY" in text:
        raise InvalidInputError("is a private key: give the public one, show this one to nobody", field="public_key")
    if "-----BEGIN" not in text:
        return _decoded(text.strip(), "public_key", PUBLIC_KEY_BYTES)
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInputError("is no public key in PEM", field="public_key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidInputError(f"is no key of {ALGORITHM}", field="public_key")
    return key.public_bytes_raw()


def _signature_of(document: Mapping[str, Any]) -> Mapping[str, str]:
    signature = document.get(SIGNATURE) if isinstance(document, Mapping) else None
    if not isinstance(signature, Mapping):
        raise InvalidInputError("is missing: this document is not signed", field=SIGNATURE)
    for name in _FIELDS:
        if not isinstance(signature.get(name), str):
            raise InvalidInputError("is missing, or no text", field=f"{SIGNATURE}.{name}")
    if signature["algorithm"] != ALGORITHM:
        raise InvalidInputError(
            f"is {signature['algorithm']!r}, only {ALGORITHM} is known here", field=f"{SIGNATURE}.algorithm"
        )
    return signature


def _decoded(text: str, name: str, size: int) -> bytes:
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInputError("is not base64", field=name) from error
    if len(found) != size:
        raise InvalidInputError(f"has {len(found)} bytes, must have {size}", field=name)
    return found
