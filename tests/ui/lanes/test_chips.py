from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu

from mgeldm_app.core.project import Span
from mgeldm_app.ui.lanes.body import LaneBody
from mgeldm_app.ui.lanes.chips import Chip, Counter, places

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def make_parts(make_view, studio):
    """A view of a lane with parts of four takes each, given by their bars."""

    def make(*bars):
        lanes = [studio.stem("a", first * studio.bar, (last - first) * studio.bar, "added", 4) for first, last in bars]
        project = studio.song(replace(lanes[0], parts=tuple(lane.parts[0] for lane in lanes)))
        return make_view(project, width=640), project

    return make


def chips_of(view):
    """From left to right, and the body that they lie in."""
    body = next(body for body in view.findChildren(LaneBody) if body.lane.id == "a")
    return sorted((chip for chip in view.findChildren(Chip) if chip.isVisible()), key=lambda chip: chip.x()), body


def test_the_takes_of_a_short_part_reach_past_its_end(make_parts, studio):
    view, _ = make_parts((4, 5))
    chips, _ = chips_of(view)
    assert [chip.text() for chip in chips] == ["1", "2", "3", "4"]
    assert chips[0].x() == pytest.approx(view.axis.x_of(4 * studio.bar), abs=4)
    assert chips[-1].x() > view.axis.x_of(5 * studio.bar)


def test_at_the_windows_edge_they_reach_to_the_left(make_parts):
    chips, body = chips_of(make_parts((15, 16))[0])
    assert len(chips) == 4 and chips[-1].geometry().right() < body.width()


def test_between_other_parts_one_counts_them_and_steps_on(make_parts, studio):
    view, project = make_parts((0, 2), (2, 4), (4, 6))
    told = []
    view.take_chosen.connect(lambda *what: told.append(what))
    chips, _ = chips_of(view)
    assert [chip.text() for chip in chips] == ["1/4", "1/4", "1", "2", "3", "4"]
    QTest.mouseClick(chips[1], LEFT)
    assert told == [("a", 1, 1)] and chips[1].text() == "2/4" and chips[1].accessibleName() == "Take 2 of 4"
    parts = list(project.lane("a").parts)
    parts[0] = replace(parts[0], chosen=3)
    view.show_project(studio.changed(project, "a", parts=tuple(parts)))
    assert chips[0].text() == "4/4"
    QTest.keyClick(chips[0], Qt.Key.Key_Space)
    assert told[-1] == ("a", 0, 0)


def test_its_menu_has_every_take(make_parts):
    view, _ = make_parts((0, 2), (2, 4))
    told = []
    view.take_chosen.connect(lambda *what: told.append(what))
    chip = chips_of(view)[0][0]
    middle = chip.rect().center()
    event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, middle, chip.mapToGlobal(middle))
    QApplication.sendEvent(chip, event)
    menu = chip.findChild(QMenu)
    assert [(action.text(), action.isChecked()) for action in menu.actions()] == [
        ("Take 1", True), ("Take 2", False), ("Take 3", False), ("Take 4", False)]
    menu.actions()[2].trigger()
    assert told == [("a", 0, 2)]
    menu.close()


def test_the_keyboard_stays_with_the_takes_of_a_part(make_parts, studio):
    view, _ = make_parts((0, 2), (2, 4))
    view.axis.fit(Span(0, 2 * studio.bar))
    second = next(chip for chip in chips_of(view)[0] if chip.text() == "1")
    second.setFocus()
    view.fit()
    counter = chips_of(view)[0][0]
    assert isinstance(counter, Counter) and counter.hasFocus()
    view.axis.fit(Span(0, 2 * studio.bar))
    assert second.hasFocus()


def test_what_is_out_of_sight_has_no_chips(make_parts, studio):
    view, _ = make_parts((0, 2), (2, 4))
    view.axis.fit(Span(10 * studio.bar, 12 * studio.bar))
    assert not chips_of(view)[0]


@st.composite
def lanes(draw):
    width = draw(st.integers(200, 1200))
    edges = sorted(draw(st.lists(st.integers(0, width), min_size=2, max_size=9)))
    parts = [(float(left), float(right), draw(st.integers(2, 9))) for left, right in pairwise(edges)]
    return [part for part in draw(st.permutations(parts)) if part[0] < part[1]], width


@given(lanes())
def test_chips_stand_by_their_parts_and_never_over_each_other(lane):
    parts, width = lane
    assume(len(parts) * 40 <= width)
    found = places(parts, width)
    spans = [(x, x + (26 * takes - 4 if whole else 36)) for (x, whole), (_, _, takes) in zip(found, parts, strict=True)]
    assert all(0 <= left < right <= width for left, right in spans)
    ordered = sorted(spans)
    assert all(one[1] <= other[0] for one, other in pairwise(ordered))
    assert [parts[i] for i in sorted(range(len(parts)), key=spans.__getitem__)] == sorted(parts)
    crowded = sum(26 * takes + 40 for _, _, takes in parts) > width
    for (_, whole), (left, right, takes) in zip(found, parts, strict=True):
        assert whole or right - left < 26 * takes or crowded
