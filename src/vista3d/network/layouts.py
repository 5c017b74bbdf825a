"""The published key layouts, brought to one (facts 1.5 and 1.6)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from vista3d.errors import WeightsError
from vista3d.network.config import NetworkConfig

_WRAPPERS = ("module.", "network.", "_orig_mod.")
"""DDP, the Hugging Face class, torch.compile."""

_RESEARCH_NAMES = ((".mlp.lin1.", ".mlp.linear1."), (".mlp.lin2.", ".mlp.linear2."))
_RESEARCH_EXTRA = ("weight_mapper.", "point_head.output_add_hypernetworks_mlps.")
"""16 tensors of the research class that no forward pass uses."""


def unwrap(content: object, source: str) -> dict[str, Tensor]:
    """The bare state dict inside a loaded checkpoint, whatever wraps it.

    Raises:
        WeightsError: no tensors in it.
    """
    for key in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(
        isinstance(value, Tensor) for value in content.values()
    ):
        msg = f"{source} holds no state dict: pass a checkpoint of VISTA3D"
        raise WeightsError(msg)
    state = {str(key): value for key, value in content.items()}
    for prefix in _WRAPPERS:
        if state and all(key.startswith(prefix) for key in state):
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

    Raises:
        WeightsError: not a VISTA3D state dict.
    """
    encoder = "image_encoder.encoder.layers."
    widths: list[int] = []
    blocks: list[int] = []
    while (key := f"{encoder}{len(widths)}.blocks.0.conv1.weight") in state:
        level = f"{encoder}{len(widths)}.blocks."
        blocks.append(len({k[len(level) :].split(".")[0] for k in state if k.startswith(level)}))
        widths.append(int(state[key].shape[0]))
    try:
        embeddings, features = state["class_head.class_embeddings.weight"].shape
        hidden = state["point_head.transformer.layers.0.mlp.linear1.weight"].shape[0]
    except KeyError as error:
        msg = f"{source} is not a VISTA3D checkpoint: {error.args[0]} is missing"
        raise WeightsError(msg) from error
    return NetworkConfig(
        widths=tuple(widths),
        blocks=tuple(blocks),
        features=int(features),
        embeddings=int(embeddings),
        mlp_dim=int(hidden),
    )
