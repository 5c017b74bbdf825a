"""The five published branches on drawn patches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.training.sampler.drawing import (
    LIVER,
    PANCREAS,
    SPLEEN,
    TRACHEA,
    labels,
    mask,
    supervoxels,
)
from vista3d.training.sampler import Scene, Target
from vista3d.training.sampler.branches import (
    SMALLEST_NOVEL,
    organ_and_neighbour,
    part_of_organ,
    random_supervoxel,
    regular,
    unseen_supervoxel,
)

SPACING = 15.0
"""mm: the smallest novel object, 27 mL, is 8 voxels."""


def _scene(organs: torch.Tensor, pieces: torch.Tensor | None = None) -> Scene:
    return Scene.of(organs, pieces, SPACING)


def _outcomes(make, count: int = 40) -> list[Target]:
    found = [make(np.random.default_rng(seed)) for seed in range(count)]
    assert all(target is not None for target in found)
    return found


LIVER_ALONE = """
    ............
    .LLLLLLLLLL.
    .LLLLLLLLLL.
    .LLLLLLLLLL.
    .LLLLLLLLLL.
    ............
"""


def test_a_regular_object_is_the_whole_structure_under_its_name():
    target = regular(_scene(labels(LIVER_ALONE)), LIVER)
    assert torch.equal(target.mask, labels(LIVER_ALONE) == LIVER)
    assert not target.novel
    assert not target.special
    assert target.positive == target.negative == ()


def test_a_special_class_is_marked():
    assert regular(_scene(labels("TTTT TTTT")), TRACHEA).special


def test_a_tumour_belongs_to_the_liver_around_it():
    scene = _scene(labels("LLLL LttL LLLL"))
    assert regular(scene, LIVER).mask.all()


class TestPartOfOrgan:
    """organ_sub."""

    # One solid block inside the liver, with a thread and a crumb that opening removes.
    PIECES = """
        aaaaa.......
        aaaaa.......
        aaaaaaaaa...
        aaaaa.......
        aaaaa......a
        aaaaa.......
    """
    PIECE = """
        ............
        .####.......
        .####.......
        .####.......
        .####.......
        ............
    """
    REST = """
        ............
        .....######.
        .....######.
        .....######.
        .....######.
        ............
    """

    def test_the_piece_or_the_rest_against_the_other(self):
        scene = _scene(labels(LIVER_ALONE), supervoxels(self.PIECES))
        found = _outcomes(lambda rng: part_of_organ(scene, LIVER, rng))
        pieces = [t for t in found if torch.equal(t.mask, mask(self.PIECE))]
        rests = [t for t in found if torch.equal(t.mask, mask(self.REST))]
        assert len(pieces) + len(rests) == len(found)
        assert all(torch.equal(t.negative[0], mask(self.REST)) for t in pieces)
        assert all(torch.equal(t.negative[0], mask(self.PIECE)) for t in rests)
        # The zero-shot shift: always for a piece, half of the time for an organ without one.
        assert all(t.novel for t in pieces)
        assert {t.novel for t in rests} == {True, False}

    @pytest.mark.parametrize(
        "pieces",
        [
            pytest.param("aaa......... " * 2 + "............ " * 4, id="too small"),
            pytest.param("aaaaaaaaaaaa " * 6, id="the whole organ"),
            pytest.param("............ " * 6, id="no supervoxels"),
            pytest.param(("a." * 6 + " ") * 6, id="too thin"),
        ],
    )
    def test_no_piece(self, pieces: str):
        scene = _scene(labels(LIVER_ALONE), supervoxels(pieces))
        assert part_of_organ(scene, LIVER, np.random.default_rng(0)) is None


class TestOrganAndNeighbour:
    """organ_add."""

    ORGANS = """
        ............
        .LLLL.......
        .LLLL..SSS..
        .LLLL..SSS..
        .LLLL.......
        ............
    """

    def test_the_attached_component_is_added_though_it_is_the_last(self):
        # Supervoxel a has three components: a detached one, the spleen's, and one at the liver,
        # last in every order. The released loop over 1..n-1 never reaches it.
        pieces = """
            ......aaaaa.
            ............
            .......aaa..
            .......aaa..
            ............
            .aaaa.......
        """
        added = "............ " * 5 + ".####......."
        scene = _scene(labels(self.ORGANS), supervoxels(pieces))
        found = _outcomes(lambda rng: organ_and_neighbour(scene, LIVER, rng))
        whole = scene.labels == LIVER
        for target in found:
            assert torch.equal(target.mask, whole | mask(added))
            assert torch.equal(target.positive[0], mask(added))
            assert torch.equal(target.positive[1], whole)
        assert {target.novel for target in found} == {True, False}

    def test_a_single_component_is_found(self):
        pieces = ".....aa..... " * 6
        scene = _scene(labels(self.ORGANS), supervoxels(pieces))
        target = organ_and_neighbour(scene, LIVER, np.random.default_rng(0))
        assert target is not None
        assert torch.equal(target.positive[0], supervoxels(pieces) == 1)

    def test_only_the_unlabelled_part_is_added(self):
        pieces = """
            ............
            .....aaaa...
            .....aaaa...
            .....aaaa...
            .....aaaa...
            ............
        """
        expected = """
            ............
            .########...
            .######.....
            .######.....
            .########...
            ............
        """
        scene = _scene(labels(self.ORGANS), supervoxels(pieces))
        target = organ_and_neighbour(scene, LIVER, np.random.default_rng(0))
        assert target is not None
        assert torch.equal(target.mask, mask(expected))

    def test_clicks_of_the_added_part_keep_to_the_slices_of_the_organ(self):
        organ = labels(self.ORGANS)
        organ[:, :, 2:] = 0
        scene = _scene(organ, supervoxels(".....aa..... " * 6))
        target = organ_and_neighbour(scene, LIVER, np.random.default_rng(0))
        assert target is not None
        assert target.mask[0, 5, 3]
        assert target.positive[0][0, 5].tolist() == [True, True, False, False]

    @pytest.mark.parametrize(
        "pieces",
        [
            pytest.param("......aaaaaa " * 6, id="not touching"),
            pytest.param("............ " * 5 + ".a..........", id="less than a tenth"),
        ],
    )
    def test_no_neighbour(self, pieces: str):
        scene = _scene(labels(self.ORGANS), supervoxels(pieces))
        assert organ_and_neighbour(scene, LIVER, np.random.default_rng(0)) is None


class TestUnseenSupervoxel:
    """zeroshot_unseen."""

    # a reaches into the spleen; b touches the liver; c is too thin to survive an erosion.
    ORGANS = """
        LL..........
        LL..........
        LL..........
        LL......SS..
        LL......SS..
        LL..........
    """
    PIECES = """
        ..bb.aaaaa.c
        ..bb.aaaaa.c
        ..bb.aaaaa.c
        ..bb.aaaaa.c
        ..bb.......c
        ..bb.......c
    """

    def test_the_free_part_that_touches_nothing_asked_for(self):
        expected = """
            .....#####..
            .....#####..
            .....#####..
            .....###....
            ............
            ............
        """
        scene = _scene(labels(self.ORGANS), supervoxels(self.PIECES))
        for target in _outcomes(lambda rng: unseen_supervoxel(scene, [LIVER], rng)):
            assert torch.equal(target.mask, mask(expected))
            assert target.novel
            assert target.positive == target.negative == ()

    def test_nothing_is_left_when_all_is_asked_for(self):
        scene = _scene(labels(self.ORGANS), supervoxels(self.PIECES))
        rng = np.random.default_rng(0)
        assert unseen_supervoxel(scene, [LIVER, SPLEEN], rng) is None

    def test_the_smallest_object_is_a_volume(self):
        # 18 x 4 voxels: 27 mL at 8 mm and more, too small at 7 mm.
        pieces = supervoxels("....... .aaaaa. .aaaaa. .aaaaa. .......")[:, :, :4]
        free = torch.zeros_like(pieces)
        rng = np.random.default_rng(0)
        assert 60 * 8**3 > SMALLEST_NOVEL > 60 * 7**3
        assert unseen_supervoxel(Scene.of(free, pieces, 8.0), [], rng) is not None
        assert unseen_supervoxel(Scene.of(free, pieces, 7.0), [], rng) is None


class TestRandomSupervoxel:
    """zeroshot_random."""

    ORGANS = """
        LL..........
        LL...SSSSSS.
        LL...SSSSSS.
        LL..........
        LL.PPPPPPPP.
        LL.PPPPPPPP.
    """
    # Half of the spleen, and 1 of 16 pixels of the pancreas, which is cut, not merged.
    PIECES = """
        ....aaaa....
        ....aaaa....
        ....aaaa....
        ....aaaa....
        ....aaaa....
        ............
    """

    def test_labels_that_it_bites_into_are_merged_whole(self):
        organs = labels(self.ORGANS)
        organs[5, 3, :] = 0
        organs[4, 5:8] = 0
        expected = """
            ....####....
            ....#######.
            ....#######.
            ....####....
            ....####....
            ............
        """
        scene = _scene(organs, supervoxels(self.PIECES))
        for target in _outcomes(lambda rng: random_supervoxel(scene, [LIVER], rng)):
            assert target.novel
            assert torch.equal(target.mask, mask(expected))
            free, spleen = target.positive
            piece = supervoxels(self.PIECES) == 1
            assert torch.equal(free, piece & (organs == 0))
            assert torch.equal(spleen, piece & (organs == SPLEEN))

    def test_never_one_with_a_structure_that_is_asked_for(self):
        scene = _scene(labels(self.ORGANS), supervoxels(self.PIECES))
        rng = np.random.default_rng(0)
        assert random_supervoxel(scene, [SPLEEN], rng) is None
        assert random_supervoxel(scene, [PANCREAS], rng) is None
