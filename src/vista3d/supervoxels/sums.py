"""Sums of rows by label, on any device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def add_rows(index: Tensor, rows: Tensor, count: int, weight: Tensor | None = None) -> Tensor:
    """Add up the rows of each index.

    Args:
        index: int64 [n], 0..count-1.
        rows: float32 or float64 [n, c].
        count: of results.
        weight: float32 [n], what each row counts; None is 1.

    Returns:
        [count, c], of the type of the rows.
    """
    if rows.device.type != "cpu":
        if weight is not None:
            rows = rows * weight[:, None]
        return rows.new_zeros((count, rows.shape[1])).index_add_(0, index, rows)
    # A product with a sparse matrix of ones: 15 times faster than index_add_ on a CPU (262144 rows
    # of 36: 6 and 92 ms), and always in the same order.
    from scipy.sparse import csr_matrix

    ends = np.arange(len(index) + 1)
    values = rows.numpy()
    data = np.ones(len(index), values.dtype) if weight is None else weight.numpy()
    picked = csr_matrix((data, index.numpy(), ends), shape=(len(index), count))
    return torch.from_numpy(picked.T @ values)
