import math
from xml.etree import ElementTree

import pytest

from vista3d.evaluation.metrics.intervals import Estimate
from vista3d.evaluation.report.charts import Curve, chart, strip, ticks
from vista3d.evaluation.report.figures import figure, interval, is_clear, signed

NAN = math.nan


def test_a_curve_rises_to_the_right():
    points = ((1.0, Estimate(0.2, 0.1, 0.3)), (4.0, Estimate(0.8, 0.7, 0.9)))
    drawing = ElementTree.fromstring(chart([Curve("a", "c0", points)], 4))
    (line,) = (e for e in drawing.iter("polyline"))
    (x1, y1), (x2, y2) = (map(float, pair.split(",")) for pair in line.attrib["points"].split())
    assert x2 > x1
    assert y2 < y1
    assert len(list(drawing.iter("polygon"))) == 1


def test_points_without_a_value_are_left_out():
    points = ((1.0, Estimate(NAN, NAN, NAN)), (2.0, Estimate(0.5, NAN, NAN)))
    drawing = ElementTree.fromstring(chart([Curve("a", "c0", points)], 2))
    assert len(list(drawing.iter("circle"))) == 1
    assert not list(drawing.iter("polygon"))


def test_a_strip_shows_every_score_inside_the_frame():
    drawing = ElementTree.fromstring(strip([0.0, 1.0, NAN], Estimate(0.5, 0.2, 0.9)))
    places = [float(e.attrib["cx"]) for e in drawing.iter("circle")]
    assert len(places) == 2
    assert all(0 < x < float(drawing.attrib["width"]) for x in places)


@pytest.mark.parametrize(
    ("last", "wanted"),
    [(1, [0, 1]), (5, [0, 1, 2, 3, 4, 5]), (20, [0, 5, 10, 15, 20]), (4.6, [0, 1, 2, 3, 4])],
)
def test_ticks_are_round(last, wanted):
    assert ticks(last) == wanted


def test_numbers_for_people():
    assert figure(0.12345) == "0.123"
    assert figure(math.inf) == "∞"
    assert figure(NAN) == "–"
    assert signed(-0.5, 1) == "−0.5"
    assert (signed(-0.0004), figure(-0.0004), figure(-0.01)) == ("+0.000", "0.000", "−0.010")
    assert interval(Estimate(0.5, NAN, NAN)) == ""
    assert interval(Estimate(3.0, 1.0, math.inf), 1) == "1.0 to ∞"
    assert is_clear(Estimate(0.1, 0.05, 0.2))
    assert not is_clear(Estimate(0.1, -0.05, 0.2))
