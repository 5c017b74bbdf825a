import torch

from vista3d.inference.interactive.cache import TokenCache, window_bytes
from vista3d.network.point_head import ImageTokens


def _image(voxels: int = 10) -> ImageTokens:
    tokens = torch.zeros(1, voxels, 4)
    return ImageTokens(tokens, torch.zeros(1, voxels, 4), (1, 1, voxels))


def test_the_least_recently_used_window_is_dropped():
    one = window_bytes(_image())
    cache = TokenCache(2 * one)
    cache.put((0, 0, 0), _image())
    cache.put((1, 0, 0), _image())
    assert cache.get((0, 0, 0)) is not None
    cache.put((2, 0, 0), _image())
    assert cache.get((1, 0, 0)) is None
    assert (0, 0, 0) in cache
    info = cache.info
    assert (info.windows, info.bytes, info.hits, info.misses) == (2, 2 * one, 1, 1)


def test_a_window_larger_than_the_limit_is_still_kept_alone():
    cache = TokenCache(1)
    cache.put((0, 0, 0), _image())
    cache.put((1, 0, 0), _image(20))
    assert cache.info.windows == 1
    assert cache.get((1, 0, 0)) is not None


def test_replacing_a_window_does_not_count_it_twice():
    cache = TokenCache(10**6)
    cache.put((0, 0, 0), _image())
    cache.put((0, 0, 0), _image(20))
    assert cache.info.bytes == window_bytes(_image(20))
