"""The picture: orientation, proportions, colours, and a layout that never overlaps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.results.conftest import LIVER, RIGHT_KIDNEY
from vista3d.anatomy import by_id
from vista3d.results import preview, write_preview
from vista3d.results.picture.layout import arrange, canvas_size
from vista3d.results.picture.panel import draw_panel, enlarge_labels
from vista3d.results.picture.planes import Plane, axial_square, cut_planes
from vista3d.volume import Volume

ORIENTATIONS = [
    (axes, signs)
    for axes in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS)
def test_every_orientation_shows_the_patient_alike(axes, signs):
    # A body of 40 x 30 x 50 mm in RAS with the liver to the right, front and top.
    image = np.full((40, 30, 50), -1000, np.int16)
    image[2:38, 2:28, :] = 40
    labels = np.zeros(image.shape, np.uint8)
    labels[24:36, 20:26, 40:48] = LIVER
    affine = np.eye(4)
    for array_axis, world_axis in enumerate(axes):
        affine[:3, array_axis] = 0
        affine[world_axis, array_axis] = signs[array_axis]
    turn = lambda a: a.transpose(axes)[tuple(slice(None, None, s) for s in signs)]  # noqa: E731
    volume, turned = Volume.from_array(turn(image).copy(), affine), turn(labels)
    at = tuple(int(n) for n in np.argwhere(turned).mean(0).round())
    axial, coronal, sagittal = cut_planes(turned, volume, at, [LIVER])
    for plane, rows, columns in ((axial, 1, 0), (coronal, 2, 0), (sagittal, 2, 1)):
        where = np.argwhere(plane.labels).mean(0) / plane.labels.shape
        assert where[0] < 0.5, "front and top are up"
        assert where[1] < 0.5, "right and front are left"
        size = [(40, 30, 50)[rows], (40, 30, 50)[columns]]
        assert plane.labels.shape == tuple(size)
    assert axial.letters == ("R", "L", "A", "P")
    assert coronal.letters == ("R", "L", "S", "I")
    assert sagittal.letters == ("A", "P", "S", "I")


@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS)
def test_a_square_has_its_voxel_in_the_middle(axes, signs):
    labels = np.zeros((40, 30, 50), np.uint8)
    labels[38, 3, 40] = 1  # near two borders, in RAS
    labels[36, 5, 40] = 2  # 2 mm to the left and to the front of it
    affine = np.eye(4)
    for array_axis, world_axis in enumerate(axes):
        affine[:3, array_axis] = 0
        affine[world_axis, array_axis] = signs[array_axis]
    turn = lambda a: a.transpose(axes)[tuple(slice(None, None, s) for s in signs)]  # noqa: E731
    volume = Volume.from_array(turn(labels).astype(np.int16), affine)
    i, j, k = (int(n) for n in np.argwhere(turn(labels) == 1)[0])
    plane = axial_square(turn(labels), volume, (i, j, k), 20)
    assert plane.image.shape == plane.labels.shape == (21, 21)
    assert np.argwhere(plane.labels == 1).tolist() == [[10, 10]]
    assert np.argwhere(plane.labels == 2).tolist() == [[8, 12]], "front is up, left is right"


@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS)
def test_clicks_are_drawn_where_they_were_made(axes, signs):
    image = np.full((40, 30, 50), -1000, np.int16)
    image[8:32, 6:24] = 20
    labels = np.zeros(image.shape, np.uint8)
    labels[28, 20, 40] = LIVER  # the clicked voxel, in RAS
    affine = np.eye(4)
    order = list(axes)
    image, labels = image.transpose(order), labels.transpose(order)
    affine[:, :3] = affine[:, order]
    for axis, sign in enumerate(signs):
        if sign < 0:
            image, labels = np.flip(image, axis), np.flip(labels, axis)
            affine[:3, 3] += affine[:3, axis] * (image.shape[axis] - 1)
            affine[:3, axis] *= -1
    (voxel,) = np.argwhere(labels == LIVER).tolist()
    far = [5, 5, 5]
    planes = cut_planes(
        labels, Volume(image, affine), tuple(voxel), [LIVER], [(voxel, True), (far, False)]
    )
    for plane in planes:
        (mark,) = (mark for mark in plane.marks if mark.positive)
        assert np.argwhere(plane.labels == LIVER).tolist() == [[mark.row, mark.column]]
        assert len(plane.marks) == 1 or not plane.marks[1].positive


def test_a_picture_goes_through_the_last_click(labels, volume):
    click = ([2.4, 3, 4], False)
    picture = np.asarray(preview(labels, volume, [LIVER], clicks=[click]))
    red = (np.abs(picture.astype(int) - (255, 107, 107)) < 12).all(-1)
    green = (np.abs(picture.astype(int) - (110, 231, 135)) < 12).all(-1)
    assert red.sum() > 60
    assert not green.any()


def test_the_table_is_cropped_and_the_arms_are_kept():
    image = np.full((200, 200, 20), -1000, np.int16)
    image[60:140, 60:140, :] = 30
    image[10:50, 80:120, :] = 30  # an arm
    image[30:170, 20:24, :] = 300  # the table, a thin plate 36 mm behind the back
    image[30:34, 10:24, :] = 300
    image[166:170, 10:24, :] = 300
    labels = np.zeros(image.shape, np.uint8)
    labels[80:100, 80:100, 5:15] = LIVER
    volume = Volume.from_array(image, np.eye(4))
    axial, coronal, _ = cut_planes(labels, volume, (90, 95, 10), [LIVER])
    assert axial.image.shape == (80 + 16, 130 + 16)
    # The coronal plane shares the left-right axis and its crop.
    assert coronal.image.shape == (20, 130 + 16)


def test_a_slice_of_air_is_shown_whole():
    volume = Volume(np.full((20, 20, 20), -1000, np.int16), np.eye(4))
    picture = preview(np.zeros((20, 20, 20), np.uint8), volume, [LIVER])
    assert picture.mode == "RGB"
    assert min(picture.size) > 100


def test_a_structure_has_its_colour_along_the_rim_and_ct_shows_through():
    image = np.tile(np.linspace(-160, 240, 60, dtype=np.float32), (60, 1))
    labels = np.zeros((60, 60), np.uint8)
    labels[15:45, 15:45] = LIVER
    plane = Plane(image, labels, (1.0, 1.0), ("R", "L", "A", "P"))
    pixels = np.asarray(draw_panel(plane, (240, 240), {LIVER: (200, 30, 10)}, (-160, 240)))
    assert (pixels[120, 60:180] == (200, 30, 10)).all(axis=1).any()
    inside = pixels[120, 80:160].astype(int)
    assert (inside[:, 0] > inside[:, 2]).all(), "tinted"
    assert inside[-1].sum() > inside[0].sum() + 50, "the grey ramp stays visible"
    outside = pixels[40, 30]
    assert outside[0] == outside[1] == outside[2]


def test_only_the_classes_asked_for_are_drawn(labels, volume):
    with_kidney = np.asarray(preview(labels, volume, [LIVER, RIGHT_KIDNEY]))
    without = np.asarray(preview(labels, volume, [LIVER]))
    colour = np.array(by_id(RIGHT_KIDNEY).colour)
    assert (with_kidney == colour).all(axis=2).any()
    assert not (without == colour).all(axis=2).any()


def test_proportions_are_those_of_the_patient():
    # 100 x 80 voxels of 0.5 mm, 10 slices of 8 mm: 50 x 40 x 80 mm.
    image = np.full((100, 80, 10), 40, np.int16)
    volume = Volume(image, np.diag([0.5, 0.5, 8, 1]))
    planes = cut_planes(np.zeros(image.shape, np.uint8), volume, (50, 40, 5), [])
    assert [plane.millimetres for plane in planes] == [(50, 40), (50, 80), (40, 80)]
    boxes, _ = arrange(50, 40, 80)
    for box, (width, height) in zip(boxes, [(50, 40), (50, 80), (40, 80)], strict=True):
        assert box.width / box.height == pytest.approx(width / height, rel=0.01)


@given(
    st.floats(20, 600),
    st.floats(20, 500),
    st.floats(3, 2000),
)
@settings(deadline=None)
def test_boxes_never_overlap_and_have_one_scale(width, depth, height):
    boxes, legend = arrange(width, depth, height)
    everything = [*boxes, legend]
    for a, b in itertools.combinations(everything, 2):
        beside = a.x + a.width <= b.x or b.x + b.width <= a.x
        above = a.y + a.height <= b.y or b.y + b.height <= a.y
        assert beside or above
    axial, coronal, sagittal = boxes
    assert axial.width == coronal.width
    assert coronal.height == sagittal.height
    assert axial.height == sagittal.width
    assert max(canvas_size(everything)) < 2000


def test_a_single_voxel_survives_the_smoothing():
    labels = np.zeros((20, 20), np.uint8)
    labels[10, 10] = 7
    drawn = enlarge_labels(labels, (200, 200))
    assert drawn[105, 105] == 7
    assert 20 < (drawn == 7).sum() <= 150


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_enlarging_keeps_areas_and_places(seed):
    rng = np.random.default_rng(seed)
    labels = np.zeros((40, 50), np.uint8)
    y, x = rng.integers(2, 20, 2)
    labels[y : y + 15, x : x + 20] = 3
    labels[y : y + 15, x + 20 : x + 28] = 9
    drawn = enlarge_labels(labels, (250, 200))
    for label in (3, 9):
        mask, large = labels == label, drawn == label
        assert large.sum() / 25 == pytest.approx(mask.sum(), rel=0.05)
        centre = np.argwhere(large).mean(0) / 5 - 0.4
        assert centre == pytest.approx(np.argwhere(mask).mean(0), abs=0.1)


def test_the_window_is_wide_where_lung_is_drawn_not_where_air_is():
    from vista3d.anatomy import described
    from vista3d.results.preview import SOFT_TISSUE, WIDE, _window

    lung = 28
    image = np.full((50, 50), -850, np.float32)
    labels = np.full((50, 50), LIVER, np.uint8)
    plane = Plane(image, labels, (1, 1), ("R", "L", "S", "I"))
    structures = described([LIVER, lung])
    assert _window(plane, structures) == SOFT_TISSUE
    labels[:20] = lung
    assert _window(plane, structures) == WIDE
    assert _window(plane, described([LIVER])) == SOFT_TISSUE


def test_the_picture_is_written_as_png(tmp_path, labels, volume):
    from PIL import Image

    picture = preview(labels, volume, [LIVER])
    path = write_preview(tmp_path / "new" / "a.png", picture)
    with Image.open(path) as saved:
        assert saved.format == "PNG"
        assert saved.size == picture.size


def test_many_structures_fit_the_legend(volume):
    labels = np.zeros(volume.array.shape, np.uint8)
    ids = list(range(33, 90))
    labels.reshape(-1)[: len(ids) * 40] = np.repeat(ids, 40)
    picture = preview(labels, volume, ids)
    assert max(picture.size) < 2000
