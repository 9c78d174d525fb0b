"""
The signing key of a PKG: a pair of files in a folder of its own.

    private.pem     PKCS #8, mode 0600: whoever can read it can sign in the PKG's name
    public.pem      its public half, to be given away
    KEY_ID.pem      the public half of every key that was ever made here: what they signed stays verifiable

The private file appears whole or not at all, and never in the place of another one: it is written beside, synced, and
linked to its name, which fails when another process was faster. A key that is lost is followed by a new one.
"""

from __future__ import annotations

import base64
import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipstream.domain.errors import ConfigError, UnavailableError
from slipstream.signing.documents import ALGORITHM, SIGNATURE, key_id_of, message_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FOLDER = "signing"
"""In the data folder of a PKG. No backup holds it; a restore leaves the one that is there."""
PRIVATE, PUBLIC = "private.pem", "public.pem"
_BEGUN, _BEGUN_PATTERN = ".private.{}.tmp", ".private.*.tmp"
_ATTEMPTS_MAX = 100


class SigningKey:
    """
    The key of one PKG, made when something is signed for the first time. Safe for threads and processes.

    Raises `ConfigError` when the private file is damaged, `UnavailableError` when it can not be read or made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: Ed25519PrivateKey | None = None

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of the public half."""
        return self._key().public_key().public_bytes_raw()

    @property
    def public_pem(self) -> str:
        """The public half, as the file `public.pem` has it."""
        return _public_pem(self._key()).decode()

    @property
    def key_id(self) -> str:
        """The name of the key, made from its public half."""
        return key_id_of(self.public_key)

    def sign(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """
        Return the document with its `signature`; one that it has already is replaced.

        Raises `InvalidInputError` for values that JSON has no one form for, beside what the class says.
        """
        key, public = self._key(), self.public_key
        header = {
            "algorithm": ALGORITHM,
            "key_id": key_id_of(public),
            "public_key": base64.b64encode(public).decode(),
            "value": "",
        }
        value = key.sign(message_of({**document, SIGNATURE: header}))
        return {**document, SIGNATURE: {**header, "value": base64.b64encode(value).decode()}}

    def _key(self) -> Ed25519PrivateKey:
        # Two threads may both load it: they load the same one.
        if self._loaded is None:
            try:
                self._loaded = _loaded_or_made(self._folder)
            except OSError as error:
                raise UnavailableError(
                    f"the signing key in {self._folder} can not be read or made ({error.strerror}): "
                    "look at its permissions, and at the disk"
                ) from error
        return self._loaded


def key_id_in(folder: Path) -> str | None:
    """Return the name of the key in a folder, None where there is none; changes nothing, and raises `ConfigError`."""
    path = folder / PRIVATE
    try:
        key = _parsed(path.read_bytes(), path)
    except FileNotFoundError:
        return None
    return key_id_of(key.public_key().public_bytes_raw())


def known_public_keys(folder: Path) -> dict[str, str]:
    """Return the public keys that were kept in a folder, as PEM by key id; none where there is no folder."""
    found = {}
    for path in sorted(folder.glob("*.pem")):
        if path.name not in (PRIVATE, PUBLIC):
            found[path.stem] = path.read_text(encoding="ascii", errors="replace")
    return found


def told_by_others(folder: Path) -> list[Path]:
    """Return the private files (unfinished ones too) that others than their owner may read or write."""
    if os.name == "nt":
        return []  # its modes say nothing of who may read
    paths = [folder / PRIVATE, *folder.glob(_BEGUN_PATTERN)]
    return [path for path in paths if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077]


def _loaded_or_made(folder: Path) -> Ed25519PrivateKey:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for _ in range(_ATTEMPTS_MAX):
        try:
            data = (folder / PRIVATE).read_bytes()
        except FileNotFoundError:
            _make(folder)
            continue
        key = _parsed(data, folder / PRIVATE)
        _keep_public(folder, key)
        for left in folder.glob(_BEGUN_PATTERN):  # of processes that died, or that will find the key that is here
            left.unlink(missing_ok=True)
        return key
    raise UnavailableError(f"something keeps removing the signing key in {folder}: see what does, then try again")


def _parsed(data: bytes, path: Path) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    remedy = "move it away, and a new key is made; what the old one signed stays verifiable"
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Not chained: nothing of a private file must end up in a log.
        raise ConfigError(f"{path} holds no private key that can be read: {remedy}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path} holds a key that is not of {ALGORITHM}: {remedy}")
    return key


def _make(folder: Path) -> None:
    """Put a new key into the folder, unless another process has put one there."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    made = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    begun = folder / _BEGUN.format(secrets.token_hex(6))
    try:
        _write_new(begun, made)
        # A link never replaces: of two processes one has its key there, and the other one finds it.
        with suppress(FileExistsError, FileNotFoundError):
            os.link(begun, folder / PRIVATE)
    finally:
        begun.unlink(missing_ok=True)
    _sync_folder(folder)


def _keep_public(folder: Path, key: Ed25519PrivateKey) -> None:
    pem = _public_pem(key)
    for path in (folder / f"{key_id_of(key.public_key().public_bytes_raw())}.pem", folder / PUBLIC):
        try:
            is_there = path.read_bytes() == pem
        except FileNotFoundError:
            is_there = False
        if not is_there:
            begun = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
            _write_new(begun, pem)
            begun.replace(path)
            _sync_folder(folder)


def _public_pem(key: Ed25519PrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _write_new(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows can not open a folder
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
