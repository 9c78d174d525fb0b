"""Exchanges two names of the file system in one step, which the standard library can not."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

_Exchange = Callable[[bytes, bytes], int]
_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}
"""Errors that mean that the system, or this file system, has no such call."""
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_RENAME_SWAP = 2


def exchange(one: Path, other: Path) -> bool:
    """
    Exchange two existing names in one step; False where the system can not do that.

    Raises `OSError` when one does not exist, or may not be renamed.
    """
    call = _call()
    if call is None:
        return False
    if call(os.fsencode(one), os.fsencode(other)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))


def _call() -> _Exchange | None:
    if sys.platform == "win32":
        return None
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "linux" and hasattr(library, "renameat2"):
        at2 = library.renameat2
        return lambda one, other: int(at2(_AT_FDCWD, one, _AT_FDCWD, other, _RENAME_EXCHANGE))
    if sys.platform == "darwin" and hasattr(library, "renamex_np"):
        np = library.renamex_np
        return lambda one, other: int(np(one, other, _RENAME_SWAP))
    return None
