"""Where training of the point branch starts from."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vista3d.network.point_head import PointHead
from vista3d.network.two_way_transformer import Attention

_AUTO, _POINTS = "image_encoder.up_layers_auto.", "image_encoder.up_layers."

SHARPNESS = 2.7
"""Weight of the position in the attention, together with the gain of the code. Learning to mark a
ball around the click, 150 steps of `mini`: Dice 0.05 with the usual initial weights, 0.27 with
these, 0.32 with a gain of 3 as well."""


def adopt_decoder(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights whose point decoder is a copy of the automatic one: same shape, and no noise."""
    out = dict(weights)
    for key, value in weights.items():
        if key.startswith(_AUTO):
            out[_POINTS + key.removeprefix(_AUTO)] = value.clone()
    return out


def look_at_the_click(head: PointHead, seed: int) -> None:
    """Let tokens and voxels that are close to one another attend to one another.

    Queries and keys of the cross attentions pick the sine and cosine of the same frequencies of
    the position code, so that their product is a bump around the click. With random projections
    the attention is flat over thousands of voxels, and nothing tells training to sharpen it. The
    frequencies are spread over a decade: the released draw, all of one scale, repeats itself a few
    times across a window. Marking a ball after 100 steps: Dice 0.26 with that, 0.35 with this.
    """
    generator = torch.Generator().manual_seed(seed)
    cross = [
        module
        for module in head.transformer.modules()
        if isinstance(module, Attention) and module.q_proj.out_features < module.q_proj.in_features
    ]
    frequencies = head.config.features // 2
    code = head.pe_layer.positional_encoding_gaussian_matrix
    with torch.no_grad():
        matrix = torch.randn(code.shape, generator=generator) * torch.logspace(-1, 0, frequencies)
        code.copy_(matrix)
    sharpness = SHARPNESS / head.config.position_gain
    with torch.no_grad():
        for attention in cross:
            inner = attention.q_proj.out_features
            chosen = torch.randperm(frequencies, generator=generator)[: inner // 2]
            pick = torch.zeros_like(attention.q_proj.weight)
            rows = torch.arange(len(chosen))
            pick[2 * rows, chosen] = sharpness
            pick[2 * rows + 1, chosen + frequencies] = sharpness
            for projection in (attention.q_proj, attention.k_proj):
                noise = torch.randn(pick.shape, generator=generator).to(pick.device)
                projection.weight.copy_(pick + 0.02 * noise)
                projection.bias.zero_()
