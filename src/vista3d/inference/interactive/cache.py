"""What the next click can use again: the least recently used goes first, by bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from vista3d.inference.runtimes.points import WindowView
from vista3d.inference.windows import Triple

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True)
class CacheInfo:
    """State of a cache: windows and bytes held, how often a window was there or not."""

    windows: int
    bytes: int
    hits: int
    misses: int


class RecentCache(Generic[Key, Value]):
    """Least recently used values are dropped first; at most `limit` bytes are held.

    Args:
        limit: bytes; the newest value stays even where it alone exceeds them.
        size: bytes of a value.
    """

    def __init__(self, limit: int, size: Callable[[Value], int]) -> None:
        self._limit, self._size = limit, size
        self._held: OrderedDict[Key, Value] = OrderedDict()
        self._bytes = self._hits = self._misses = 0

    def get(self, key: Key) -> Value | None:
        """A value, if it is held."""
        found = self._held.get(key)
        if found is None:
            self._misses += 1
            return None
        self._hits += 1
        self._held.move_to_end(key)
        return found

    def put(self, key: Key, value: Value) -> None:
        """Hold a value."""
        old = self._held.pop(key, None)
        self._bytes += self._size(value) - (0 if old is None else self._size(old))
        self._held[key] = value
        while self._bytes > self._limit and len(self._held) > 1:
            _, dropped = self._held.popitem(last=False)
            self._bytes -= self._size(dropped)

    def __contains__(self, key: Key) -> bool:
        return key in self._held

    @property
    def info(self) -> CacheInfo:
        """What is held now."""
        return CacheInfo(len(self._held), self._bytes, self._hits, self._misses)


class WindowCache(RecentCache[Triple, WindowView]):
    """Views of windows by the start of their window.

    Args:
        limit: bytes. The released network needs 25 MB per 128^3 window in half precision.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(limit, lambda view: view.nbytes)
