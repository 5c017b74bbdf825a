"""The two residual blocks of the network: one for the backbone, one for the class head."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv3x3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv3d:
    """3x3x3 convolution without bias that keeps (stride 1) or halves (stride 2) the size."""
    return nn.Conv3d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False)


def instance_norm(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """Zero mean and unit variance of each channel of each volume (eps 1e-5), then affine.

    PyTorch's instance norm copies a volume whose channels lie side by side (`layout`) to another
    order and gives that to the next convolution, which copies it back. Of a single volume, batch
    norm is the same, and keeps the order.

    A gradient in that order for a volume that is not computes nonsense without a word (torch 2.13,
    CPU, batch of one: an error of twice the gradient): hence the hook.
    """
    if len(x) == 1 and not x.is_contiguous():
        return _ordered(F.batch_norm(x, None, None, weight, bias, True))
    y = F.instance_norm(x, weight=weight, bias=bias)
    if y.requires_grad:
        y.register_hook(Tensor.contiguous)  # type: ignore[no-untyped-call]
    return y


def _ordered(y: Tensor) -> Tensor:
    """The same [1, F, H, W, D], whose gradient has its strides.

    The batch axis has one entry, and any stride of it is right; but where it is another one (as
    behind `Tensor.squeeze`), batch norm's gradient takes 15 ms instead of 0.9 (32 channels, 32^3).
    """
    stride = y.stride()

    def restored(gradient: Tensor) -> Tensor | None:
        if gradient.stride()[1:] != stride[1:]:
            return None
        return gradient.as_strided(gradient.shape, stride)

    if y.requires_grad:
        y.register_hook(restored)  # type: ignore[no-untyped-call]
    return y


class InstanceNorm(nn.InstanceNorm3d):
    """`instance_norm` with its parameters, if any."""

    def __init__(self, width: int, affine: bool = True) -> None:
        super().__init__(width, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """[b, width, H, W, D] -> the same shape."""
        return instance_norm(x, self.weight, self.bias)


class ResidualBlock(nn.Module):
    """Pre-activation block: x + conv(relu(norm(conv(relu(norm(x)))))); instance norms, affine."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = InstanceNorm(width)
        self.conv1 = conv3x3x3(width, width)
        self.norm2 = InstanceNorm(width)
        self.conv2 = conv3x3x3(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[b, width, H, W, D] -> the same shape."""
        y: Tensor = self.conv1(F.relu(self.norm1(x), inplace=True))
        y = self.conv2(F.relu(self.norm2(y), inplace=True))
        return y + x


class _Convolution(nn.Module):
    """Holds a convolution one name deeper, as the published keys have it (`conv1.conv.weight`)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = conv3x3x3(width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return out


class _PlainLayer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = _Convolution(width)
        self.conv2 = _Convolution(width)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(instance_norm(self.conv1(x)), 0.01, inplace=True)
        y = instance_norm(self.conv2(y))
        return F.leaky_relu(y + x, 0.01, inplace=not torch.is_grad_enabled())


class PlainResidualBlock(nn.Module):
    """Post-activation block of the class head: norms without affine, leaky ReLU 0.01."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = _PlainLayer(width)

    def forward(self, x: Tensor) -> Tensor:
        """[b, width, H, W, D] -> the same shape."""
        out: Tensor = self.layer(x)
        return out
