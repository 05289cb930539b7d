"""Charts are whole SVG, the same each time."""

from xml.etree import ElementTree

from hwprune.report.figures import courses, panels

POINTS = [(0.0, 0.9), (50.0, 0.7), (90.0, 0.1)]


def test_a_line_for_each_name():
    one, three = (courses(dict.fromkeys(names, POINTS), across="removed, %", upward="map50") for names in ("a", "abc"))
    assert ElementTree.fromstring(one).tag.endswith("svg")
    assert three.count("<path") > one.count("<path")
    assert three == courses(dict.fromkeys("abc", POINTS), across="removed, %", upward="map50")


def test_a_panel_for_each_axis():
    labels = ["0 %", "50 %", "90 %"]
    one = panels({"parameters": POINTS}, labels, upward="map50")
    two = panels({"parameters": POINTS, "operations": POINTS}, labels, upward="map50")
    assert ElementTree.fromstring(two).tag.endswith("svg")
    assert (one.count('id="axes_'), two.count('id="axes_')) == (1, 2)
