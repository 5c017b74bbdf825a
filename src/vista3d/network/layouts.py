"""The published key layouts, brought to one (facts 1.5 and 1.6)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from vista3d.errors import WeightsError
from vista3d.network.config import NetworkConfig

_WRAPPERS = ("module.", "network.", "_orig_mod.")
"""DDP, the Hugging Face class, torch.compile."""

_CONTENTS = ("model", "state_dict")
"""Keys that training programs store the tensors under."""

_RESEARCH_NAMES = ((".mlp.lin1.", ".mlp.linear1."), (".mlp.lin2.", ".mlp.linear2."))
_RESEARCH_EXTRA = ("weight_mapper.", "point_head.output_add_hypernetworks_mlps.")
"""16 tensors of the research class that no forward pass uses."""

_LISTED = 6
"""Tensor names that an error message spells out."""


def unwrap(content: object, source: str) -> dict[str, Tensor]:
    """The bare state dict inside a loaded checkpoint, whatever wraps it.

    Raises:
        WeightsError: no tensors in it.
    """
    while isinstance(content, Mapping):
        inner = [content[key] for key in _CONTENTS if isinstance(content.get(key), Mapping)]
        if not inner:
            break
        content = inner[0]
    if (
        not isinstance(content, Mapping)
        or not content
        or not all(isinstance(value, Tensor) for value in content.values())
    ):
        msg = (
            f"{source} holds no state dict: pass a checkpoint of VISTA3D (tensors by name, bare or "
            f"under {' or '.join(map(repr, _CONTENTS))})"
        )
        raise WeightsError(msg)
    state = {str(key): value for key, value in content.items()}
    while prefix := next((p for p in _WRAPPERS if all(k.startswith(p) for k in state)), ""):
        state = {key[len(prefix) :]: value for key, value in state.items()}
    return state


def to_bundle(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Research names (MONAI 1.3) -> bundle names (MONAI 1.4 and later), which stay as they are."""
    renamed = {}
    for key, value in state.items():
        if key.startswith(_RESEARCH_EXTRA):
            continue
        for old, new in _RESEARCH_NAMES:
            key = key.replace(old, new)
        renamed[key] = value
    return renamed


def config_of(state: Mapping[str, Tensor], source: str) -> NetworkConfig:
    """Sizes of the network from the shapes of its tensors.

    Heads and `last_supported` leave no trace in a shape: they are the published ones.

    Raises:
        WeightsError: not a VISTA3D state dict.
    """
    encoder = "image_encoder.encoder.layers."
    widths: list[int] = []
    blocks: list[int] = []
    while (key := f"{encoder}{len(widths)}.blocks.0.conv1.weight") in state:
        level = f"{encoder}{len(widths)}.blocks."
        blocks.append(len({k[len(level) :].split(".")[0] for k in state if k.startswith(level)}))
        widths.append(len(state[key]))
    try:
        if not widths:
            raise KeyError(key)
        embeddings, features = state["class_head.class_embeddings.weight"].shape
        hidden = len(state["point_head.transformer.layers.0.mlp.linear1.weight"])
        return NetworkConfig(
            widths=tuple(widths),
            blocks=tuple(blocks),
            features=features,
            embeddings=embeddings,
            mlp_dim=hidden,
        )
    except KeyError as error:
        msg = f"{source} is not a VISTA3D checkpoint: {error.args[0]} is missing"
        raise WeightsError(msg) from error
    except (TypeError, ValueError) as error:
        msg = f"{source} is not a VISTA3D checkpoint: {error}"
        raise WeightsError(msg) from error


def check_keys(
    expected: Mapping[str, tuple[int, ...]], state: Mapping[str, Tensor], source: str
) -> None:
    """Compare names and shapes, all of them.

    Args:
        expected: shape of every tensor of the network.
        state: what a file has.
        source: its name.

    Raises:
        WeightsError: naming the missing, the unexpected and the misshapen tensors.
    """
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    problems = {
        "missing": sorted(expected.keys() - shapes.keys()),
        "unexpected": sorted(shapes.keys() - expected.keys()),
        "of another shape": [
            f"{name} {shapes[name]} instead of {shape}"
            for name, shape in sorted(expected.items())
            if shapes.get(name, shape) != shape
        ],
    }
    found = [
        f"{len(names)} tensors {what} ({_some(names)})" for what, names in problems.items() if names
    ]
    if found:
        msg = f"{source} does not fit the network: {'; '.join(found)}. Pass a whole checkpoint"
        raise WeightsError(msg)


def _some(names: list[str]) -> str:
    more = [f"and {len(names) - _LISTED} more"] if len(names) > _LISTED else []
    return ", ".join(names[:_LISTED] + more)
