"""Window tokens that the next click can use again."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from vista3d.inference.windows import Triple
from vista3d.network.point_head import ImageTokens


@dataclass(frozen=True)
class CacheInfo:
    """State of a cache: windows and bytes held, how often a window was there or not."""

    windows: int
    bytes: int
    hits: int
    misses: int


class TokenCache:
    """Least recently used windows are dropped first; at most `limit` bytes are held.

    Args:
        limit: bytes. The released network needs 25 MB per 128^3 window in half precision.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: OrderedDict[Triple, ImageTokens] = OrderedDict()
        self._bytes = self._hits = self._misses = 0

    def get(self, start: Triple) -> ImageTokens | None:
        """The tokens of the window at `start`, if they are held."""
        found = self._held.get(start)
        if found is None:
            self._misses += 1
            return None
        self._hits += 1
        self._held.move_to_end(start)
        return found

    def put(self, start: Triple, image: ImageTokens) -> None:
        """Hold tokens; the newest window stays even where it alone exceeds the limit."""
        old = self._held.pop(start, None)
        self._bytes += window_bytes(image) - (0 if old is None else window_bytes(old))
        self._held[start] = image
        while self._bytes > self._limit and len(self._held) > 1:
            _, dropped = self._held.popitem(last=False)
            self._bytes -= window_bytes(dropped)

    def __contains__(self, start: Triple) -> bool:
        return start in self._held

    @property
    def info(self) -> CacheInfo:
        """What is held now."""
        return CacheInfo(len(self._held), self._bytes, self._hits, self._misses)


def window_bytes(image: ImageTokens) -> int:
    """Memory of one window's own tokens; the position code is shared by all."""
    return image.tokens.numel() * image.tokens.element_size()
