"""Checkpoints: ours (safetensors with metadata) and the published ones. Nothing is unpickled."""

from __future__ import annotations

import logging
import os
import pickle
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from vista3d.errors import WeightsError
from vista3d.network.layouts import check_keys, config_of, to_bundle, unwrap
from vista3d.network.metadata import KEY, CheckpointMeta
from vista3d.network.published import settings_of
from vista3d.network.vista3d import Vista3D

log = logging.getLogger(__name__)

StorageType = Literal["float16", "float32"]


def save_checkpoint(
    path: Path,
    state: Mapping[str, Tensor],
    meta: CheckpointMeta,
    dtype: StorageType | None = "float16",
) -> None:
    """Write a safetensors file, atomically.

    Args:
        path: target.
        state: bundle-named tensors.
        meta: stored in the header as JSON.
        dtype: storage of floating tensors; None keeps each as it is.

    Raises:
        WeightsError: a value is not finite in `dtype`.
    """
    from safetensors.torch import save_file

    tensors = {name: _stored(name, value, dtype) for name, value in state.items()}
    _write(path, lambda partial: save_file(tensors, partial, metadata={KEY: meta.to_json()}))


def load_checkpoint(path: Path, name: str | None = None) -> tuple[Vista3D, CheckpointMeta]:
    """A network in eval mode with fp32 weights, and its metadata.

    Takes our safetensors, and the published .pt, .bin and .safetensors of both layouts with their
    wrappers; a published file gets the released settings as metadata.

    Args:
        path: the file.
        name: "official" or "official-ctmr", for a file without metadata whose path does not say
            which of the two it is.

    Raises:
        WeightsError: missing, damaged, needs code execution to load, or not a VISTA3D network.
    """
    state, meta = read_checkpoint(path, name)
    for key in list(state):  # one by one: an fp16 file never stands beside its whole fp32 copy
        if state[key].is_floating_point():
            state[key] = state[key].float()
    with torch.device("meta"):
        network = Vista3D(meta.config)
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False).eval(), meta


def read_checkpoint(
    path: Path, name: str | None = None
) -> tuple[dict[str, Tensor], CheckpointMeta]:
    """Tensors as stored, with bundle names, and the metadata; both checked against the network.

    Args:
        path: the file.
        name: see `load_checkpoint`.

    Raises:
        WeightsError: as `load_checkpoint`.
    """
    path = Path(path)
    if not path.is_file():
        msg = f"no weights at {path}: give a file, or run `vista3d download official`"
        raise WeightsError(msg)
    state, stored = (
        _read_safetensors(path) if path.suffix == ".safetensors" else (_read_torch(path), None)
    )
    if stored is not None:
        meta = CheckpointMeta.from_json(stored, path.name)
    else:
        state = to_bundle(unwrap(state, path.name))
        meta = settings_of(path, config_of(state, path.name), name)
    with torch.device("meta"):
        network = Vista3D(meta.config)
    check_keys(
        {key: tuple(value.shape) for key, value in network.state_dict().items()}, state, path.name
    )
    return state, meta


def convert(
    source: Path, target: Path, dtype: StorageType | None = None, name: str | None = None
) -> CheckpointMeta:
    """Rewrite a checkpoint: to `.safetensors` with metadata, or to a bundle-layout `.pt`.

    The bundle layout keeps the tensors that no forward pass uses, so that official software loads
    it strictly; it has no place for metadata.

    Args:
        source: any checkpoint that loads.
        target: `.safetensors` or `.pt`.
        dtype: storage of floating tensors; None keeps them bit for bit.
        name: see `load_checkpoint`.

    Returns:
        The metadata of the source.

    Raises:
        WeightsError: the source cannot be loaded, the target has another suffix, or the tensors of
            a bundle-layout file would not say what network they are of.
    """
    if target.suffix not in (".safetensors", ".pt"):
        msg = f"{target.name}: convert writes .safetensors (ours) or .pt (bundle layout)"
        raise WeightsError(msg)
    state, meta = read_checkpoint(source, name)
    if target.suffix == ".safetensors":
        save_checkpoint(target, state, meta, dtype)
        return meta
    if meta.config != config_of(state, source.name):
        msg = f"{target.name} has no place for how {meta.name} differs from the released network: "
        msg += "use .safetensors"
        raise WeightsError(msg)
    tensors = {key: _stored(key, value, dtype) for key, value in state.items()}
    _write(target, lambda partial: torch.save(tensors, partial))
    log.warning("%s has no place for metadata: %s is lost there", target.name, meta.name)
    return meta


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not _looks_saved_by_torch(path):
            raise _damaged(path, error) from error
        msg = (
            f"{path.name} holds more than tensors, and loading that could run code: refused. Where "
            "you trust it, save its state_dict alone with torch.save, or as .safetensors"
        )
        raise WeightsError(msg) from error
    except Exception as error:  # a damaged file raises zip, runtime, key, EOF and value errors
        raise _damaged(path, error) from error


def _looks_saved_by_torch(path: Path) -> bool:
    """A zip file, or the pickle (protocol 2) that torch wrote before 1.6."""
    with path.open("rb") as file:
        return file.read(2) in (b"PK", b"\x80\x02")


def _damaged(path: Path, error: Exception) -> WeightsError:
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return WeightsError(
        f"{path.name} is damaged or no checkpoint ({reason:.100}): download or copy it again"
    )


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], str | None]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        msg = f"{path.name} is damaged ({error}): download or copy it again"
        raise WeightsError(msg) from error
    return state, metadata.get(KEY)


def _stored(name: str, value: Tensor, dtype: StorageType | None) -> Tensor:
    """On the CPU, contiguous, in the storage type; refuses what that type cannot hold."""
    value = value.detach()
    if dtype is not None and value.is_floating_point():
        value = value.to(getattr(torch, dtype))
    if value.is_floating_point() and not bool(value.isfinite().all()):
        msg = f"{name} is not finite as {value.dtype}: store float32, or check the training run"
        raise WeightsError(msg)
    return value.contiguous().cpu()


def _write(path: Path, write: Callable[[Path], None]) -> None:
    """Write beside the target, then rename: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        partial.touch()
        mode = partial.stat().st_mode  # what the umask gives; safetensors would leave 0600
        write(partial)
        partial.chmod(mode)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
