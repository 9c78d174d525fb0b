"""What holds for every test."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import depth

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and so would each process that a test starts to interrupt it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

for _name in ("COLUMNS", "LINES"):
    # The workers of pytest-xdist have them from readline, and the first console to be made would keep them for good.
    os.environ.pop(_name, None)

# How long an example takes tells how busy the machine is, and nothing of the code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("long", settings.get_profile("unhurried"), max_examples=1_000)
settings.load_profile("unhurried")

_MEMORY = Path("/dev/shm")  # noqa: S108  (a file system, not a file)
_ROOM_BYTES = 4 << 30
_LONG_TIMEOUT_S = 7_200


def _keep_files_in_memory() -> None:
    """
    Have temporary files on a file system in memory, if there is one with room.

    A sync costs 5 ms on a disk, and no test needs one: what a test kills is a process, and the kernel keeps all that
    it wrote, wherever that is. Disks that are full, fail, or lose the end of a file are made by
    `tests/faults/preload`, which stands before every file system alike.
    """
    if "TMPDIR" in os.environ or not _MEMORY.is_dir() or not os.access(_MEMORY, os.W_OK):
        return
    if shutil.disk_usage(_MEMORY).free < _ROOM_BYTES or os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC:
        return
    os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)


_keep_files_in_memory()


def pytest_configure(config: pytest.Config) -> None:
    """Tell the tests which suite they are collected for."""
    is_long = config.option.markexpr == "long"
    depth.choose("long" if is_long else "usual")
    if is_long:
        settings.load_profile("long")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each worker a half of the tests, in their order; who has none left takes from the other one."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.option.dist == "load" else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Have the long suite select what goes deeper in it, every property among it."""
    if config.option.markexpr != "long":
        return
    for item in items:
        if item.get_closest_marker("deeper") or getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(depth.long)
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_LONG_TIMEOUT_S))


def pytest_collection_finish() -> None:
    """Spare each collection of garbage the look at tests and modules, which stay to the end."""
    gc.collect()
    gc.freeze()
