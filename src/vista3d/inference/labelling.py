"""Labels straight on the scan's own grid: logits are interpolated, not labels.

A tile of the scan takes the logits of its classes on the model grid, interpolates them to its
voxels and keeps the strongest. Because logits are linear in the features, that equals
interpolating features or blending logit volumes. Classes are taken a chunk at a time: peak memory
is a tile's and a chunk's, whatever the number of classes. (Those of a model whose classes exclude
each other are all needed twice and held: 15 MB for 115 of them.)

Where a model's classes exclude each other, being background is decided by all of them together:
ten vertebrae with a tenth each are a vertebra. What remains is which one.

Leaving out is exact. At an interpolated point a logit lies between the smallest and the largest of
the model voxels around it, so a tile only needs the classes that are positive somewhere in its
box, and none whose largest value is below the smallest of another. Tiles of a torso need 0 to 20
of 115 classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from vista3d.inference.tiles import Tile, plan_tiles
from vista3d.inference.windows import Triple

Output = Literal["labels", "probabilities", "masks", "evidence"]

_CHUNK = 64
"""Classes whose logits on the model grid are held at once."""

_GROUP = 16
"""Classes interpolated at once: 2 MB of fp32 for a tile of 32^3."""


_UNSEEN = -30.0
"""Logit of voxels in windows without body (features of 0): a probability of 1e-13, not of 0.5."""


class ClassTable(NamedTuple):
    """What makes logits of features: <vectors[k], feature> - margins[k].

    Attributes:
        vectors: [K, F] float32.
        margins: [K] float32, see `CheckpointMeta`.
    """

    vectors: Tensor
    margins: Tensor

    @classmethod
    def plain(cls, vectors: Tensor) -> ClassTable:
        """Without margins."""
        return cls(vectors, vectors.new_zeros(len(vectors)))

    def rows(self, rows: slice) -> ClassTable:
        """Some of the classes."""
        return ClassTable(self.vectors[rows], self.margins[rows])

    def logits(self, features: Tensor) -> Tensor:
        """Features [F, a, b, c] float32 -> [K, a, b, c]."""
        flat = torch.addmm(-self.margins[:, None], self.vectors, features.flatten(1))
        return flat.reshape(-1, *features.shape[1:])


Chunk = tuple[slice, Tensor]
"""Rows of the class table and their logits [k, a, b, c] on the model grid."""


class Sink(Protocol):
    """Something that is made tile by tile from the features."""

    def take(self, tile: Tile, features: Tensor) -> None:
        """Use one tile; features [F, *tile.source] float32."""


class LabelMap:
    """The strongest class of each voxel, or background.

    Background is where no logit is above 0; for exclusive classes where the sum of their exp(logit)
    is not above 1, the weight that training gives background among them (`losses.class_losses`).

    Args:
        table: on the device of the features.
        ids: K global ids; 0 for a class that only competes.
        shape: of the scan.
        exclusive: see `CheckpointMeta`.
        evidence: whether to keep what speaks against background in each voxel, 2 bytes each.
    """

    def __init__(
        self,
        table: ClassTable,
        ids: tuple[int, ...],
        shape: Triple,
        *,
        exclusive: bool = False,
        evidence: bool = False,
    ) -> None:
        self._table = table
        self._exclusive = exclusive
        # A class that nowhere reaches this wins nothing: K classes at -log K weigh 1 together.
        self._least = -math.log(len(ids)) if exclusive else 0.0
        small = max(ids) <= 255
        self._ids = torch.tensor(ids, dtype=torch.uint8 if small else torch.int32)
        # Fortran order: NIfTI is written so, and planes of the scan are filled one after another.
        self.labels = np.zeros(shape, np.uint8 if small else np.uint16, order="F")
        self.evidence = np.zeros(shape if evidence else (0, 0, 0), np.float16, order="F")

    def take(self, tile: Tile, features: Tensor) -> None:
        """Label one tile."""
        chunks: Iterable[Chunk] = _chunks(self._table, features)
        evidence = None
        if self._exclusive:
            chunks = list(chunks)
            evidence = _together(chunks, features)
            if float(evidence.max()) <= 0:
                return
        best: Tensor | None = None
        label = torch.empty(0)
        # What another class surely reaches everywhere in the tile.
        floor = self._least
        for rows, logits in chunks:
            flat = logits.flatten(1)
            top = flat.amax(1)
            floor = max(floor, float(flat.amin(1).max()))
            keep = torch.nonzero((top > self._least) & (top >= floor))[:, 0]
            for part in _groups(keep):
                values = tile.interpolate(logits[part])
                names = self._ids[rows][part.cpu()].to(values.device)
                strongest, named = _strongest(values, names)
                if best is None:
                    best, label = strongest, named
                else:
                    label = torch.where(strongest > best, named, label)
                    best = torch.maximum(best, strongest)
        if best is not None:
            ground = best if evidence is None else tile.interpolate(evidence[None])[0]
            self.labels[tile.target] = label.masked_fill_(ground <= 0, 0).cpu().numpy()
            if self.evidence.size:
                self.evidence[tile.target] = ground.half().cpu().numpy()


def _strongest(values: Tensor, names: Tensor) -> tuple[Tensor, Tensor]:
    """Largest of [K, ...] values and its name, the first of equal ones.

    `Tensor.max(0)` gives indices too, but is not vectorised over a leading axis: ten times slower.
    """
    best = values.amax(0)
    rank = torch.arange(len(values), 0, -1, dtype=torch.uint8, device=values.device)
    hits = (values == best).view(torch.uint8).mul_(rank.reshape(-1, *[1] * best.ndim))
    return best, names[len(values) - hits.amax(0).long()]


class PerClass:
    """Probabilities (float16), or masks (logit > 0, bool, overlapping) of every class.

    Memory grows with the number of classes: it is the result itself.

    Args:
        table: on the device of the features.
        ids: K global ids.
        shape: of the scan.
        output: "probabilities" or "masks".
        rivals: all classes that exclude each other, and whose shares the probabilities then are;
            None: each is the sigmoid of its own logit.
    """

    def __init__(
        self,
        table: ClassTable,
        ids: tuple[int, ...],
        shape: Triple,
        output: Output,
        rivals: ClassTable | None = None,
    ) -> None:
        self._table, self._ids, self._rivals = table, ids, rivals
        self._masks = output == "masks"
        kind = np.dtype(np.bool_ if self._masks else np.float16)
        self.volumes: dict[int, np.ndarray] = {
            number: np.zeros(shape, kind, order="F") for number in ids
        }

    def take(self, tile: Tile, features: Tensor) -> None:
        """Fill one tile of every class."""
        unseen = (features == 0).all(0)
        # log(1 + sum of exp): the 1 is background.
        total = None
        if self._rivals is not None:
            together = _together(_chunks(self._rivals, features), features)
            total = softplus(tile.interpolate(together[None]))
        for rows, logits in _chunks(self._table, features):
            if not self._masks:
                logits.masked_fill_(unseen, _UNSEEN)
            wanted = torch.arange(len(logits), device=logits.device)
            if self._masks:
                wanted = wanted[logits.flatten(1).amax(1) > 0]
            for part in _groups(wanted):
                values = tile.interpolate(logits[part])
                if self._masks:
                    found = values > 0
                elif total is None:
                    found = values.sigmoid().half()
                else:
                    found = (values - total).clamp_max_(0).exp_().half()
                for row, volume in zip(part.tolist(), found.cpu().numpy(), strict=True):
                    self.volumes[self._ids[rows.start + row]][tile.target] = volume


def _together(chunks: Iterable[Chunk], features: Tensor) -> Tensor:
    """[a, b, c]: log of the sum of exp(logit) over all classes."""
    total = torch.full(features.shape[1:], -torch.inf, device=features.device)
    for _, logits in chunks:
        total = torch.logaddexp(total, logits.logsumexp(0))
    return total.masked_fill_((features == 0).all(0), _UNSEEN)


def _groups(rows: Tensor) -> tuple[Tensor, ...]:
    return torch.split(rows, _GROUP) if len(rows) else ()


def _chunks(table: ClassTable, features: Tensor) -> Iterator[Chunk]:
    for low in range(0, len(table.vectors), _CHUNK):
        rows = slice(low, min(low + _CHUNK, len(table.vectors)))
        yield rows, table.rows(rows).logits(features)


def label_volume(
    features: np.ndarray,
    table: np.ndarray,
    ids: tuple[int, ...],
    to_model: np.ndarray,
    shape: Triple,
    step: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """Argmax over classes on the original grid; background where no logit is above 0.

    Args:
        features: [F, h, w, d] float32 on the model grid, all of it.
        table: [K, F] float32 class vectors.
        ids: K global ids.
        to_model: [4, 4], voxel of the original grid -> voxel of the model grid.
        shape: of the original grid.
        step: told (done, total) per tile; may raise to stop.

    Returns:
        Global ids [i, j, k], uint8 where all fit, else uint16; 0 outside the model grid.
    """
    h, w, d = features.shape[1:]
    vectors = torch.from_numpy(np.ascontiguousarray(table, np.float32))
    sink = LabelMap(ClassTable.plain(vectors), ids, shape)
    tiles = plan_tiles((h, w, d), to_model, shape)
    for done, tile in enumerate(tiles):
        step(done, len(tiles))
        box = np.ascontiguousarray(features[(slice(None), *tile.source)])
        sink.take(tile, torch.from_numpy(box))
    step(len(tiles), len(tiles))
    return sink.labels
