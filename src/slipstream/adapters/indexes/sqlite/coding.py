"""Vectors as int8 codes, with a proved bound of the error."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

LEVELS = 127
"""Codes go from -LEVELS to LEVELS: -128 has no positive counterpart."""
_NORM_TOLERANCE = 1e-3
_ROUNDED_UP = 1.001
"""Factor on the error, which is computed in float32, so that rounding never makes the bound too small."""

Block = npt.NDArray[np.float32]


class VectorCodes(NamedTuple):
    """Rows as `scale * code`, each no further from its vector than `error` (Euclidean)."""

    codes: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    errors: npt.NDArray[np.float32]


class CodedRows(NamedTuple):
    """Some rows of one space, in the order of their ids; `types` are indexes into `names`."""

    ids: npt.NDArray[np.int64]
    names: list[str]
    types: npt.NDArray[np.int32]
    versions: npt.NDArray[np.int64]
    rows: VectorCodes


def coded(block: Block) -> VectorCodes:
    """Return the codes of rows of about unit length."""
    scales = np.maximum(np.abs(block).max(axis=1), np.float32(1e-30)) / np.float32(LEVELS)
    scaled = block / scales[:, np.newaxis]
    rounded = np.rint(scaled)
    lost = scaled - rounded
    errors = scales * np.sqrt(np.einsum("ij,ij->i", lost, lost)) * np.float32(_ROUNDED_UP) + np.float32(1e-7)
    return VectorCodes(rounded.astype(np.int8), scales, errors)


def sound_rows(block: Block) -> npt.NDArray[np.bool_]:
    """Return which rows are of unit length; NaN and infinity are not."""
    with np.errstate(over="ignore", invalid="ignore"):
        sound: npt.NDArray[np.bool_] = np.abs(np.einsum("ij,ij->i", block, block) - 1.0) < _NORM_TOLERANCE
    return sound
