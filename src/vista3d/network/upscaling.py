"""The transposed convolution of the point head as matrix products over voxels-first tokens.

Image tokens come as [voxels, features]. PyTorch's transposed convolution wants them the other way
round, and runs at a fraction of a matrix product's speed: 0.66 s beside 0.37 s at 128^3, bf16, 2
cores, and what follows (norm, GELU, product with 27 taps) likes voxels first as well.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor
from torch.nn import functional as F

_TAPS = {0: ((1, 0),), 1: ((2, 0), (0, 1))}
"""Stride 2, kernel 3, padding 1: an even output voxel 2i sees input i through tap 1; an odd one,
2i + 1, sees i through tap 2 and i + 1 through tap 0. Pairs (tap, shift) per parity."""

SLAB = 32_768
"""Input voxels at a time: their taps side by side are 25 MB in bf16 instead of 200 MB at 64^3, and
the whole takes 0.19 instead of 0.30 s (fp32: 0.38 instead of 0.70; 2 cores)."""


def transposed_convolution(
    tokens: Tensor, size: tuple[int, int, int], weight: Tensor, bias: Tensor
) -> Tensor:
    """ConvTranspose3d(kernel 3, stride 2, padding 1, output padding 1), without gradients.

    Args:
        tokens: [h w d, F], C order.
        size: (h, w, d).
        weight: [F, G, 3, 3, 3].
        bias: [G].

    Returns:
        [2h 2w 2d, G], C order of the doubled size.
    """
    h, w, d = size
    grid = F.pad(tokens.reshape(h, w, d, -1), (0, 0, 0, 1, 0, 1, 0, 1))
    out = tokens.new_empty(h, 2, w, 2, d, 2, weight.shape[1])
    kernels = {parity: _kernel(parity, weight) for parity in itertools.product((0, 1), repeat=3)}
    rows = max(1, SLAB // (w * d))
    for start in range(0, h, rows):
        slab = grid[start : start + rows + 1]
        n = min(rows, h - start)
        for (p, q, r), (shifts, kernel) in kernels.items():
            # All taps of a parity in one product: the input's features side by side.
            inputs = [slab[i : i + n, j : j + w, k : k + d] for i, j, k in shifts]
            part = F.linear(torch.cat(inputs, -1), kernel, bias)
            out[start : start + n, p, :, q, :, r] = part
    return out.view(8 * h * w * d, -1)


def _kernel(parity: tuple[int, ...], weight: Tensor) -> tuple[list[tuple[int, int, int]], Tensor]:
    """Which neighbours an output voxel of a parity sees, and their taps as one matrix."""
    pairs = list(itertools.product(*(_TAPS[p] for p in parity)))
    shifts = [(i, j, k) for (_, i), (_, j), (_, k) in pairs]
    taps = [weight[:, :, a, b, c] for (a, _), (b, _), (c, _) in pairs]
    return shifts, torch.cat(taps).t().contiguous()
