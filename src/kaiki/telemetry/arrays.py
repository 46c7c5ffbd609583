"""Names for the array types, and the one special float.

Times are int64 milliseconds since 1970, values float64. A series that ended gets the *stale marker* as its last
sample: a NaN with a bit pattern of its own (Prometheus' `value.StaleNaN`), so it must be told apart by its bits,
never by `==`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
TimeArray = npt.NDArray[np.int64]
IdArray = npt.NDArray[np.int32]
IndexArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

STALE_BITS = 0x7FF0000000000002
STALE: FloatArray = np.array([STALE_BITS], dtype=np.uint64).view(np.float64)


def is_stale(values: FloatArray) -> BoolArray:
    """True where a value is the stale marker; same shape as `values`."""
    bits: BoolArray = np.ascontiguousarray(values).view(np.uint64) == STALE_BITS
    return bits
