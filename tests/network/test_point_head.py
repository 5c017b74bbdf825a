"""The point head beside a plain transcription, its cache, and its export."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vista3d.network import point_head
from vista3d.network.config import MINI, NetworkConfig
from vista3d.network.folded_product import folded_product
from vista3d.network.point_head import PointHead
from vista3d.network.two_way_transformer import fourier_position
from vista3d.network.upscaling import transposed_convolution
from vista3d.network.vista3d import Vista3D

SMALL = NetworkConfig(
    widths=(4, 4, 4, 4, 4), blocks=(1, 1, 1, 1, 1), features=16, heads=2, mlp_dim=8
)
POINTS = torch.tensor(
    [[[1.0, 2, 3], [4, 5, 6]], [[7, 7, 7], [0, 0, 0]], [[3.5, 1.25, 9], [8, 2, 1]]]
)
LABELS = torch.tensor([[1, 0], [3, -1], [2, 1]])
CLASSES = torch.tensor([1, 132, 133])


@pytest.fixture
def head() -> PointHead:
    torch.manual_seed(0)
    return PointHead(SMALL).eval().requires_grad_(False)


@pytest.fixture
def feature() -> Tensor:
    return torch.randn(1, 16, 16, 12, 10, generator=torch.Generator().manual_seed(1))


def test_the_folded_product_is_the_plain_one():
    torch.manual_seed(0)
    vector, x = torch.randn(6), torch.randn(6, 5, 4, 7)
    weight, bias = torch.randn(6, 6, 3, 3, 3), torch.randn(6)
    plain = torch.einsum("f,fxyz->xyz", vector, F.conv3d(x, weight, bias, padding=1))
    voxels_first = x.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2)
    for order in (x, voxels_first):
        found = folded_product(vector, order, weight, bias)
        torch.testing.assert_close(found, plain, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("slab", [1, 16, 1000])
def test_the_transposed_convolution_is_the_plain_one(monkeypatch, slab):
    monkeypatch.setattr("vista3d.network.upscaling.SLAB", slab)
    torch.manual_seed(0)
    plain = nn.ConvTranspose3d(5, 6, 3, stride=2, padding=1, output_padding=1)
    x = torch.randn(1, 5, 3, 4, 2)
    with torch.no_grad():
        found = transposed_convolution(x[0].flatten(1).t(), (3, 4, 2), plain.weight, plain.bias)
    expected = plain(x)[0].flatten(1).t()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_each_label_has_its_own_embedding(head: PointHead):
    labels = torch.tensor([[-1, 0, 1, 2, 3]])
    points = torch.full((1, 5, 3), 4.0)
    tokens = head.prompt_tokens(points, labels, None, (16, 12, 10))[0]
    assert tokens.shape == (7, 16)
    place = head.pe_layer((points[0, 0] + 0.5) / torch.tensor([16.0, 12, 10]))
    negative, positive = (e.weight[0] for e in head.point_embeddings)
    special = head.special_class_embed.weight[0]
    expected = [
        head.mask_tokens.weight[0],
        head.not_a_point_embed.weight[0],  # without a position
        place + negative,
        place + positive,
        place + negative + special,
        place + positive + special,
        head.supported_embed.weight[0],
    ]
    torch.testing.assert_close(tokens, torch.stack(expected))


def test_ids_above_the_last_supported_are_novel(head: PointHead):
    domain = head.prompt_tokens(POINTS, LABELS, CLASSES, (16, 12, 10))[:, -1]
    supported, novel = head.supported_embed.weight[0], head.zeroshot_embed.weight[0]
    torch.testing.assert_close(domain, torch.stack([supported, supported, novel]))


def test_a_second_click_needs_only_the_prompt_path(head: PointHead, feature: Tensor):
    image = head.image_tokens(feature)
    tokens = head.prompt_tokens(POINTS, LABELS, CLASSES, (16, 12, 10))
    assert torch.equal(head.decode(image, tokens), head(feature, POINTS, LABELS, CLASSES))
    assert image.tokens.shape == image.position.shape == (1, 8 * 6 * 5, 16)


def test_objects_do_not_depend_on_their_neighbours(
    head: PointHead, feature: Tensor, monkeypatch: pytest.MonkeyPatch
):
    together = head(feature, POINTS, LABELS, CLASSES)
    calls = []
    run = head._decode
    monkeypatch.setattr(head, "_decode", lambda *a: calls.append(len(a[1])) or run(*a))
    monkeypatch.setattr(point_head, "CHUNK_BYTES", 1)
    alone = head(feature, POINTS, LABELS, CLASSES)
    assert calls == [1, 1, 1]
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-5)


def test_positions_keep_their_precision_under_autocast(head: PointHead):
    x = torch.rand(50, 3, generator=torch.Generator().manual_seed(2))
    matrix = head.pe_layer.positional_encoding_gaussian_matrix
    z = 2 * torch.pi * ((2 * x.double() - 1) @ matrix.double())
    exact = torch.cat([z.sin(), z.cos()], dim=-1).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(fourier_position(x, matrix), exact, atol=1e-4, rtol=0)


def test_two_windows_at_once_are_refused(head: PointHead):
    with pytest.raises(ValueError, match="one window at a time, not 2"):
        head.image_tokens(torch.zeros(2, 16, 8, 8, 8))


def test_gradients_reach_every_part_that_is_used():
    torch.manual_seed(0)
    network = Vista3D(SMALL)
    feature = network.point_features(torch.rand(1, 1, 32, 16, 16))
    network.point_logits(feature, POINTS, LABELS, CLASSES).square().mean().backward()
    silent = {name for name, p in network.named_parameters() if p.grad is None}
    unused = {"point_head.mask_downsample.weight", "point_head.mask_downsample.bias"}
    unused |= {"point_head.class_embeddings.weight"}
    other_branch = {
        n for n in silent if n.startswith(("class_head", "image_encoder.up_layers_auto"))
    }
    assert silent - other_branch == unused


def test_mini_runs_both_branches():
    torch.manual_seed(0)
    network = Vista3D(MINI).eval().requires_grad_(False)
    x = torch.rand(2, 1, 32, 48, 16)
    assert network.forward_classes(x, torch.tensor([1, 3, 511])).shape == (3, 2, 32, 48, 16)
    assert network.auto_features(x).shape == (2, MINI.features, 32, 48, 16)
    assert network.class_table(torch.arange(4)).shape == (4, MINI.features)
    skips = network.encode(x[:1])
    feature = network.decode_point(skips)
    assert network.point_logits(feature, POINTS, LABELS).shape == (3, 1, 32, 48, 16)
    with pytest.raises(ValueError, match="one voxel at the lowest level"):
        network.encode(torch.zeros(1, 1, 16, 16, 16))


def test_training_and_inference_are_the_same_network(head: PointHead, feature: Tensor):
    trained = head(feature, POINTS, LABELS, CLASSES)
    with torch.no_grad():
        torch.testing.assert_close(
            head(feature, POINTS, LABELS, CLASSES), trained, atol=1e-5, rtol=1e-5
        )
