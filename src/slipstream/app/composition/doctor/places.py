"""Where a PKG is: its directory, its configuration, who may read and write it, and what a restore has left."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from slipstream.app.composition.doctor.findings import Examination
from slipstream.app.config import CONFIG_NAME, load_config
from slipstream.domain.errors import SlipstreamError
from slipstream.signing.keys import FOLDER as SIGNING
from slipstream.signing.keys import key_id_in, known_public_keys, told_by_others

_REMOTE = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs", "lustre", "afs"}
)
"""File systems on which SQLite's locks or its shared memory can not be relied on."""
_MOUNTS = Path("/proc/self/mounts")
_NAMED_MAX = 3
_LOST_KEY = "put it back if you have it; give the new public key to those who verify (docs/evidence.md)"
_TOLD_KEY = "chmod 600 {0}/private.pem; if another user may have read it, move it away: a new key is made"


def look_at_places(found: Examination) -> None:
    """Look at the directory and all files in it."""
    found.look("directory", lambda: _look_at_directory(found), "look at who may read it")
    if not found.is_pkg:
        return
    found.look("config", lambda: _look_at_config(found), "look at who may read it")
    found.look("restore", lambda: _look_for_restores(found), "look at who may read it")
    found.look("permissions", lambda: _look_at_permissions(found), "look at who may read it")
    found.look("signing key", lambda: _look_at_signing_key(found), "look at who may read it")
    found.look("file system", lambda: _look_at_file_system(found), "look at the mount")


def _look_at_directory(found: Examination) -> None:
    directory = found.directory
    shown = str(directory.absolute())
    make = f"run `slipstream --dir {directory} init`, or name the right one with --dir"
    if not directory.exists():
        found.fail("directory", f"{shown} is not there", make)
    elif not directory.is_dir():
        found.fail("directory", f"{shown} is no directory", make)
    elif not os.access(directory, os.R_OK | os.X_OK):
        found.fail("directory", f"{shown} may not be read by this user", "change its permissions, or the user")
    elif not ((directory / CONFIG_NAME).exists() or found.data.exists() or _next(found).exists()):
        found.fail("directory", f"{shown} holds no PKG", make)
    else:
        found.is_pkg = True
        if os.access(directory, os.W_OK):
            found.ok("directory", shown)
        else:
            found.fail("directory", f"{shown} may not be written by this user", "change its permissions, or the user")


def _look_at_config(found: Examination) -> None:
    path = found.directory / CONFIG_NAME
    try:
        found.config = load_config(found.directory)
    except SlipstreamError as error:
        fix = "correct it: docs/configuration.md has every setting"
        if not path.exists() and found.data.is_dir():
            fix = "put it back from a backup, or run `init`: it then has the defaults, also for views and models"
        found.fail("config", str(error), fix)
    else:
        found.ok("config", str(path))


def _next(found: Examination) -> Path:
    return found.data.with_name(f"{found.data.name}.next")


def _look_for_restores(found: Examination) -> None:
    """Look for what a restore that was killed has left; the next open completes it."""
    complete = "run any command, `slipstream status` say: it completes the restore"
    if _next(found).exists() and not found.data.exists():
        found.warn("restore", "a restore was killed before its last step", complete)
    elif (found.data / CONFIG_NAME).exists():
        found.warn("restore", "a restore was killed before its configuration was put in place", complete)
    elif left := [path.name for path in found.directory.iterdir() if path.name.endswith(".partial")]:
        found.warn("restore", f"left by a restore that was killed: {_few(left)}", "the next restore removes it")
    else:
        found.ok("restore", "none is unfinished")


def _look_at_permissions(found: Examination) -> None:
    """Look for files that this user can not use, that are another user's, and that others may read."""
    if not found.data.is_dir():
        found.ok("permissions", "no file is there yet")
        return
    paths = [found.data, *(path for path in found.data.iterdir() if not path.is_symlink())]
    closed = [path.name for path in paths if not os.access(path, os.R_OK | os.W_OK)]
    others = [path.name for path in paths if path.stat().st_uid != os.geteuid()]
    is_open = stat.S_IMODE(found.data.stat().st_mode) & 0o077 != 0
    told = [path.name for path in paths[1:] if is_open and path.is_file() and path.stat().st_mode & 0o077]
    if closed:
        found.fail("permissions", f"may not be read and written: {_few(closed)}", "chmod u+rwX, or use its owner")
    elif others:
        found.warn("permissions", f"of another user: {_few(others)}", "let one user run everything, or chown")
    elif told:
        found.warn("permissions", f"others may read: {_few(told)}", f"chmod -R go= {found.data}")
    else:
        found.ok("permissions", "for this user alone")


def _look_at_signing_key(found: Examination) -> None:
    """Look at the key that evidence and receipts are signed with; makes none."""
    folder = found.data / SIGNING
    key_id = key_id_in(folder)
    if key_id is None:
        if known_public_keys(folder):
            found.warn("signing key", "the private key is gone: a new one signs what comes next", _LOST_KEY)
        else:
            found.ok("signing key", "none is there yet: the first audit makes it")
    elif told := told_by_others(folder):
        found.fail("signing key", f"others may read: {_few([path.name for path in told])}", _TOLD_KEY.format(folder))
    else:
        found.ok("signing key", key_id)


def _few(names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:_NAMED_MAX])
    return shown if len(names) <= _NAMED_MAX else f"{shown} and {len(names) - _NAMED_MAX} more"


def _look_at_file_system(found: Examination) -> None:
    kind = _file_system_of(found.directory.resolve())
    if kind in _REMOTE:
        found.fail("file system", f"{kind}: over a network", "move the PKG to a local disk: SQLite locks need one")
    else:
        found.ok("file system", kind or "local, as far as this system tells")


def _file_system_of(path: Path) -> str:
    """Return the kind of the file system of a path; empty where the system does not tell."""
    if not _MOUNTS.exists():
        return ""
    kinds: dict[str, str] = {}
    for line in _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines():
        _, place, kind, *_ = line.split(" ")
        kinds[place.replace("\\040", " ")] = kind
    return next((kinds[str(each)] for each in (path, *path.parents) if str(each) in kinds), "")
