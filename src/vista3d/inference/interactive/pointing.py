"""What the network says about an object that was clicked (paper section 3.2, "Interactive branch").

Window tokens are kept, so a click in a known window runs the prompt path alone. Where an object is
cut by the face of its window, neighbouring windows follow it. Every click of the object counts in
every window that contains it. Anchors tell the network what no click says: a window without a
positive click, where the object is; an object that had a mask before its clicks, that this mask is
meant and not only what was clicked. Models trained here answer by the name of the object as well
(`naming`), and with the belief that their answers add up to (`belief`, `hearing`); the published
ones with the last answer, as released.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from vista3d import anatomy
from vista3d.inference.automatic import intensity, pad_patch
from vista3d.inference.interactive.belief import MASK_VOICES, Belief, Memory
from vista3d.inference.interactive.cache import CacheInfo, WindowCache
from vista3d.inference.interactive.canvas import Canvas
from vista3d.inference.interactive.hearing import Place, Position, heard
from vista3d.inference.interactive.masks import Mask, union
from vista3d.inference.interactive.naming import with_name
from vista3d.inference.interactive.placing import (
    REUSE,
    centred,
    holds,
    lattice,
    place,
    surrounding,
    touched_faces,
)
from vista3d.inference.interactive.pointer import PointMask, Prompt
from vista3d.inference.runtimes.points import PointRuntime, WindowPrompt, WindowView
from vista3d.inference.tiles import plan_tiles
from vista3d.inference.windows import Slices, Triple, clip
from vista3d.network.metadata import CheckpointMeta
from vista3d.volume import Volume, components, normalise, prepare
from vista3d.volume.resample import nearest

CACHE_BYTES = 2**30
"""Default limit of a session's window tokens: 40 windows of the released network."""

MOST_EXTRA = 10
"""Windows that may follow an object beyond those of its clicks: 10 of 192 mm reach the whole
length of an aorta."""

ANCHORS = 2
"""Positive points inside a mask that clicks correct, beside the clicks. Without them, a click on an
error is all the network hears, and Alg. 1 replaces half of an organ by what it makes of that: Dice
of automatic results of `mini` after 0, 1, 2, 3 and 5 clicks (13 organs of 3 held-out patients)
0.64 0.58 0.47 0.54 0.66 without and 0.64 0.66 0.65 0.60 0.67 with two."""


class PointEngine:
    """Clicks on one scan -> masks on the scan's own grid.

    Args:
        meta: settings of the network.
        runtime: its point branch.
        volume: the scan.
        cache_bytes: limit of the window tokens kept.
        margin: see `placing.REUSE`; 0.5 gives every click a window of its own, as released.
        step: lattice of window starts, see `placing.LATTICE`; 1 centres windows exactly.
        most_extra: how many windows may follow an object that is cut.
    """

    def __init__(
        self,
        meta: CheckpointMeta,
        runtime: PointRuntime,
        volume: Volume,
        *,
        cache_bytes: int = CACHE_BYTES,
        margin: float = REUSE,
        step: int | None = None,
        most_extra: int = MOST_EXTRA,
    ) -> None:
        self._runtime = runtime
        self._margin, self._most_extra = margin, most_extra
        self._window, self._context = meta.click_window, meta.click_context
        self._step = lattice(self._window) if step is None else step
        # The whole scan: a click outside the body must have a window, too.
        self._hu, self._grid = prepare(volume, meta.spacing, crop="none")
        self._scale = intensity(meta, self._hu)
        self._cache = WindowCache(cache_bytes)
        self._memory = Memory() if meta.click_memory else None
        self._lock = threading.Lock()

    @property
    def cache(self) -> CacheInfo:
        """What is kept for the next click."""
        return self._cache.info

    def prefetch(self, position: Position, class_id: int | None = None) -> None:
        """Prepare the window that a first click at this voxel of the scan would use.

        Args:
            position: voxel of the scan.
            class_id: to be asked as well.
        """
        (point,) = self._to_model([position])
        start = centred(point, self._window, self._shape, self._step)
        self._view(start, named=class_id in self._runtime.classes)

    def mask(
        self, prompt: Prompt, listen: Callable[[int, int], None] = lambda done, total: None
    ) -> PointMask:
        """Segment one object; a pure function of the prompt.

        Args:
            prompt: clicks in voxels of the scan, class, and what is known of the object before.
            listen: told (done, total) before each window; may raise to stop.
        """
        if self._memory is None:
            return self._on_scan(self.canvas(prompt, listen))
        return self._on_scan(self._believed(prompt, self._memory, listen))

    def _believed(
        self, prompt: Prompt, memory: Memory, listen: Callable[[int, int], None]
    ) -> Belief:
        """What the answers to one click after the other add up to, from the last one remembered."""
        first = min(prompt.settled + 1, len(prompt.clicks))
        belief, unheard = Belief.nothing(), list[Prompt]()
        for count in range(len(prompt.clicks), first - 1, -1):
            part = replace(prompt, clicks=prompt.clicks[:count])
            held = memory.get(part.key)
            if held is not None:
                belief = held
                break
            unheard.append(part)
        for part in reversed(unheard):
            belief = self._with(belief, self.canvas(part, listen), part)
            if not part.base:
                belief = self._looked_again(belief, part, listen)
            memory.put(part.key, belief)
        return belief

    def _looked_again(
        self, belief: Belief, prompt: Prompt, listen: Callable[[int, int], None]
    ) -> Belief:
        """With a second answer, told where the object is believed to be by then."""
        found = self._on_scan(belief)
        shape = self._grid.original.shape
        shown = replace(prompt, base=Mask.within(shape, found.box, found.mask))
        return self._with(belief, self.canvas(shown, listen), prompt) if shown.base else belief

    def _with(self, belief: Belief, answer: Canvas, prompt: Prompt) -> Belief:
        """The belief after one more answer, right at the clicks."""
        if not answer.known.size:
            return belief
        box = union(belief.box, answer.box)
        if box != belief.box:
            mask = self._base(box, prompt.base) if prompt.base else None
            voices = prompt.settled + (MASK_VOICES if self._named(prompt) is None else 0)
            belief = belief.grown(box, mask, voices)
        belief = belief.after(answer)
        low = [part.start for part in box]
        clicks = [
            Place(tuple(np.subtract(point, low).tolist()), positive)
            for point, positive in self._places(prompt)
        ]
        scan, spacing = normalise(self._hu[box], *self._scale), self._grid.geometry.spacing
        return replace(belief, logits=heard(belief.logits, scan, clicks, spacing))

    def _places(self, prompt: Prompt) -> list[Place]:
        """Clicks as voxels of the model grid."""
        points = self._to_model([click.position for click in prompt.clicks])
        return [Place(p, click.positive) for p, click in zip(points, prompt.clicks, strict=True)]

    def canvas(
        self, prompt: Prompt, listen: Callable[[int, int], None] = lambda done, total: None
    ) -> Canvas:
        """The network's answer to all clicks at once, on the model grid."""
        clicks = self._places(prompt)
        canvas = Canvas(self._window, self._shape)
        queue = place(
            [point for point, _ in clicks],
            self._window,
            self._shape,
            margin=self._margin,
            step=self._step,
        )
        done: list[Triple] = []
        budget = len(queue) + self._most_extra
        while queue:
            start = queue.pop(0)
            listen(len(done), len(done) + len(queue) + 1)
            answer = self._answer(start, clicks, prompt, canvas)
            done.append(start)
            if answer is not None:
                canvas.add(start, answer)
            if not queue and len(done) < budget:
                queue = self._beyond(done, clicks, canvas)
        listen(len(done), len(done))
        return canvas

    @property
    def _shape(self) -> Triple:
        i, j, k = self._hu.shape
        return i, j, k

    def _to_model(self, positions: Sequence[Position]) -> list[Position]:
        matrix = self._grid.to_model
        points = np.reshape(np.asarray(positions, np.float64), (-1, 3))
        moved = points @ matrix[:3, :3].T + matrix[:3, 3]
        # A border voxel of the scan may lie up to half a voxel beyond the model grid.
        moved = np.clip(moved, 0, np.array(self._shape) - 1)
        return [(float(a), float(b), float(c)) for a, b, c in moved]

    def _view(self, start: Triple, *, named: bool) -> WindowView:
        with self._lock:
            held = self._cache.get(start)
            if held is None or (named and held.classes is None):
                outer, inner = surrounding(start, self._window, self._context, self._shape)
                inside, local = clip(outer, self._context, self._shape)
                patch = pad_patch(self._hu[inside], local, self._context, "air")
                seen = normalise(patch, *self._scale)
                held = self._runtime.view(seen, inner, classes=named)
                self._cache.put(start, held)
            return held

    def _answer(
        self, start: Triple, clicks: list[Place], prompt: Prompt, canvas: Canvas
    ) -> np.ndarray | None:
        """Logits [window], or None where nothing says what the object is."""
        here = [click for click in clicks if holds(start, self._window, click[0])]
        points = [np.subtract(point, start) for point, _ in here]
        positive = [side for _, side in here]
        wanted = ANCHORS if prompt.base else int(not any(positive))
        negative = [point for point, side in zip(points, positive, strict=True) if not side]
        anchors = self._anchors(start, wanted, negative, prompt.base, canvas)
        points, positive = [*anchors, *points], [True] * len(anchors) + positive
        if not any(positive):
            return None
        special = prompt.class_id in anatomy.SPECIAL
        labels = np.array(positive, np.int64) + 2 * special
        request = WindowPrompt(np.array(points, np.float32), labels, prompt.novel)
        class_id = self._named(prompt)
        view = self._view(start, named=class_id is not None)
        said = np.asarray(self._runtime.logits(view.image, request).cpu().numpy())
        if class_id is None:
            return said
        named = self._runtime.class_logits(view, class_id)
        return with_name(said, named.cpu().numpy(), request, len(prompt.clicks))

    def _named(self, prompt: Prompt) -> int | None:
        """The class that is asked as well, if there is one."""
        asked = prompt.by_name and prompt.class_id in self._runtime.classes
        return prompt.class_id if asked else None

    def _anchors(
        self,
        start: Triple,
        wanted: int,
        negative: list[np.ndarray],
        base: Mask | None,
        canvas: Canvas,
    ) -> list[np.ndarray]:
        """Up to `wanted` voxels of what is known of the object, away from each other."""
        found: list[np.ndarray] = []
        for _ in range(wanted):
            anchor = self._anchor(start, [*negative, *found], base, canvas)
            if anchor is None:
                break
            found.append(anchor)
        return found

    def _anchor(
        self, start: Triple, avoid: list[np.ndarray], base: Mask | None, canvas: Canvas
    ) -> np.ndarray | None:
        """The deepest voxel of what is known of the object in a window, 3 voxels from others."""
        region = canvas.window(canvas.logits > 0, start)
        if base is not None:
            i, j, k = (slice(s, s + w) for s, w in zip(start, self._window, strict=True))
            region |= self._base((i, j, k), base)
        for point in avoid:
            low = np.clip(np.round(point).astype(int) - 3, 0, None)
            region[tuple(slice(int(a), int(a) + 7) for a in low)] = False
        found = np.argwhere(region)
        if not len(found):
            return None
        from scipy import ndimage

        low, high = found.min(0), found.max(0) + 1
        part = region[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))]
        levels = ndimage.distance_transform_cdt(np.pad(part, 1), "chessboard")[1:-1, 1:-1, 1:-1]
        best = np.argwhere(levels == levels.max())
        # Several are equally deep: the one nearest to their middle.
        middle = best[np.square(best - best.mean(0)).sum(1).argmin()]
        return np.asarray(middle + low, np.float32)

    def _base(self, box: Slices, base: Mask) -> np.ndarray:
        """A mask of the scan's grid on a box of the model grid: bool [box], nearest voxel."""
        matrix = self._grid.to_original.copy()
        matrix[:3, 3] += matrix[:3, :3] @ [part.start for part in box]
        matrix[:3, 3] -= base.low
        i, j, k = (part.stop - part.start for part in box)
        return nearest(base.crop(), matrix, (i, j, k))

    def _beyond(self, done: list[Triple], clicks: list[Place], canvas: Canvas) -> list[Triple]:
        """The window across the largest open cut of the clicked object, if there is one."""
        found = clicked_parts(canvas, [point for point, positive in clicks if positive])
        for start in reversed(done):
            mask = canvas.window(found, start)
            for position in touched_faces(mask, start, self._window, self._shape):
                if not any(self._covers(other, position) for other in done):
                    return [centred(position, self._window, self._shape, self._step)]
        return []

    def _covers(self, start: Triple, position: Position) -> bool:
        """Whether a window sees on both sides of a cut: it lies a sixteenth from every face."""
        return all(
            (s <= 0 or p >= s + w / 16) and (s + w >= n or p <= s + w - 1 - w / 16)
            for s, w, n, p in zip(start, self._window, self._shape, position, strict=True)
        )

    def _on_scan(self, canvas: Canvas | Belief) -> PointMask:
        """Logits upsampled linearly to the scan's grid, then thresholded at 0."""
        box, shape = canvas.box, self._grid.original.shape
        nothing = (slice(0, 0), slice(0, 0), slice(0, 0))
        if not canvas.known.size:
            empty = np.zeros((0, 0, 0), bool)
            return PointMask(nothing, empty, empty)
        known = canvas.known
        values = np.stack([np.where(known, canvas.logits, 0), known.astype(np.float32)])
        shift = np.eye(4)
        shift[:3, 3] = [-part.start for part in box]
        i, j, k = values.shape[1:]
        tiles = plan_tiles((i, j, k), shift @ self._grid.to_model, shape)
        whole = union(*(tile.target for tile in tiles))
        mask = np.zeros([part.stop - part.start for part in whole], bool)
        covered = np.zeros_like(mask)
        source = torch.from_numpy(values)
        for tile in tiles:
            found = tile.interpolate(source[(slice(None), *tile.source)]).numpy()
            place = tuple(
                slice(t.start - w.start, t.stop - w.start)
                for t, w in zip(tile.target, whole, strict=True)
            )
            covered[place] = found[1] > 0.5
            mask[place] = (found[0] > 0) & covered[place]
        return PointMask(whole, mask, covered)


def clicked_parts(canvas: Canvas, points: Sequence[Position]) -> np.ndarray:
    """Bool [box]: the 26-connected components above 0 that contain one of the points."""
    parts = components(canvas.logits > 0)
    low = [part.start for part in canvas.box]
    index = np.round(np.subtract(np.reshape(points, (-1, 3)), low)).astype(np.int64)
    index = index[((index >= 0) & (index < parts.shape)).all(1)]
    mine = set(parts[tuple(index.T)].tolist()) - {0}
    return np.isin(parts, list(mine))
