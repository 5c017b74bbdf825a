import torch

from vista3d.inference.interactive.cache import WindowCache
from vista3d.inference.runtimes.classes import ClassView
from vista3d.inference.runtimes.points import WindowView
from vista3d.network.point_head import ImageTokens


def _view(voxels: int = 10) -> WindowView:
    tokens = torch.zeros(1, voxels, 4)
    return WindowView(ImageTokens(tokens, torch.zeros(1, voxels, 4), (1, 1, voxels)))


def test_the_least_recently_used_window_is_dropped():
    one = _view().nbytes
    cache = WindowCache(2 * one)
    cache.put((0, 0, 0), _view())
    cache.put((1, 0, 0), _view())
    assert cache.get((0, 0, 0)) is not None
    cache.put((2, 0, 0), _view())
    assert cache.get((1, 0, 0)) is None
    assert (0, 0, 0) in cache
    info = cache.info
    assert (info.windows, info.bytes, info.hits, info.misses) == (2, 2 * one, 1, 1)


def test_a_window_larger_than_the_limit_is_still_kept_alone():
    cache = WindowCache(1)
    cache.put((0, 0, 0), _view())
    cache.put((1, 0, 0), _view(20))
    assert cache.info.windows == 1
    assert cache.get((1, 0, 0)) is not None


def test_replacing_a_window_does_not_count_it_twice():
    cache = WindowCache(10**6)
    cache.put((0, 0, 0), _view())
    cache.put((0, 0, 0), _view(20))
    assert cache.info.bytes == _view(20).nbytes


def test_features_of_class_prompts_count():
    classes = ClassView(torch.zeros(4, 1, 1, 10, dtype=torch.bfloat16), torch.zeros(1, 1, 10))
    assert WindowView(_view().image, classes).nbytes == _view().nbytes + 4 * 10 * 2 + 10 * 4
