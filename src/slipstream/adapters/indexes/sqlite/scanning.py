"""Inner products of one int8 vector with many, on one thread."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int8]
Scores = npt.NDArray[np.float32]

_ROWS_AT_ONCE = 1024
"""How many rows the fallback widens at a time, so that they stay in a core's cache."""


def kernel() -> Callable[..., object] | None:
    """Return numkong's product of matrices, None where it is not installed."""
    try:
        from numkong import cdist
    except ImportError:
        return None
    return cdist


def products(query: Codes, codes: Codes) -> Scores:
    """Return the inner product with every row, computed on this thread: other work could hold up a thread pool."""
    product = kernel()
    if product is None or not len(codes):
        return plain_products(query, codes)
    found: Scores = np.empty(len(codes), np.float32)
    product(query[np.newaxis], codes, "dot", out=found[np.newaxis])
    return found


def plain_products(query: Codes, codes: Codes) -> Scores:
    """Return the same by numpy alone, with `einsum`: `@` would hand the work to the threads of a BLAS."""
    wide, found = query.astype(np.float32), np.empty(len(codes), np.float32)
    for start in range(0, len(codes), _ROWS_AT_ONCE):
        rows = codes[start : start + _ROWS_AT_ONCE].astype(np.float32)
        np.einsum("ij,j->i", rows, wide, out=found[start : start + _ROWS_AT_ONCE])
    return found
