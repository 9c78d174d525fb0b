"""Which of the packaged models this processor runs fastest."""

from __future__ import annotations

from pathlib import Path

from slipstream.adapters.embedders.minilm.embedders import MINILM_INT8_SPEC, MINILM_SPEC
from slipstream.domain.models import ModelSpec

CPUINFO = Path("/proc/cpuinfo")
_VNNI = {"avx512_vnni", "avx_vnni"}
"""Products of 8-bit numbers, summed in 32 bits, by one instruction."""


def fastest_minilm(cpuinfo: Path = CPUINFO) -> ModelSpec:
    """Return the packaged model for a new PKG: integers with VNNI, float32 without it and where nothing is told."""
    return MINILM_INT8_SPEC if processor_flags(cpuinfo) & _VNNI else MINILM_SPEC


def processor_flags(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """Return what the first processor can do, by Linux's names; empty where there is no such file."""
    try:
        lines = cpuinfo.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.partition(":")[0].strip() == "flags"), "")
    return frozenset(flags.partition(":")[2].split())
