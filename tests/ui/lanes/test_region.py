import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, Qt

from mgeldm_app.core.project import Audio, Project, SongFile, Span, Tempo
from mgeldm_app.ui.lanes.axis import Axis
from mgeldm_app.ui.lanes.state import RegionMouse, State

RATE_HZ, BAR, SAMPLES = 48_000, 96_000, 96_000 * 32
PLAIN, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier


class Hand:
    """A mouse over 1000 pixels of which each bar takes 31, or as many as `zoom` makes of it."""

    def __init__(self, region=None, snap="bar", source="found"):
        song = SongFile(Audio("0" * 64, RATE_HZ, 2, SAMPLES), "song")
        axis = Axis()
        axis.resize(1000, 1.0)
        axis.set_samples(SAMPLES)
        tempo = Tempo(120, 0, 4, "", source)
        self.state = State(axis, project=Project(song, tempo=tempo, region=region), region=region, snap=snap)
        self.mouse = RegionMouse(self.state)
        self.regions, self.sought = [], []
        self.mouse.region_changed.connect(lambda span, final: self.regions.append((span, final)))
        self.mouse.sought.connect(self.sought.append)

    def x(self, bars):
        return round(self.state.axis.x_of(bars * BAR))

    def drag(self, start, stop, modifiers=PLAIN, on_bar=False, pixels=False):
        first, last = (start, stop) if pixels else (self.x(start), self.x(stop))
        self.mouse.press(QPoint(first, 10), on_bar)
        for step in range(1, 6):
            self.mouse.move(QPoint(first + (last - first) * step // 5, 10), modifiers)
        self.mouse.release(modifiers)


pytestmark = pytest.mark.usefixtures("qapp")


def test_a_drag_selects_whole_bars_either_way():
    for start, stop in ((4.2, 7.9), (7.9, 4.2)):
        hand = Hand()
        hand.drag(start, stop)
        assert hand.regions[-1] == (Span(4 * BAR, 8 * BAR), True)
        assert hand.regions[0][1] is False and not hand.sought


def test_beats_and_no_grid():
    hand = Hand(snap="beat")
    hand.state.axis.fit(Span(0, 4 * BAR))
    hand.drag(1.26, 2.24)
    assert hand.regions[-1][0] == Span(round(1.25 * BAR), round(2.25 * BAR))
    for free in (Hand(snap="none"), Hand(source="none")):
        free.drag(4.2, 7.9)
        span = free.regions[-1][0]
        assert span.start % BAR and span.stop % BAR and abs(span.start - 4.2 * BAR) < 0.05 * BAR


@pytest.mark.parametrize("snap", ["bar", "beat"])
def test_close_up_a_place_snaps_to_no_line_out_of_sight(snap):
    hand = Hand(snap=snap)
    beat = BAR // 4
    for view, unit in ((4 * BAR, snap), (BAR, "beat"), (beat, "none"), (1000, "none")):
        hand.state.axis.fit(Span(5 * BAR + beat // 3, 5 * BAR + beat // 3 + view))
        assert hand.state.unit(PLAIN) == unit
    hand.mouse.press(QPoint(400, 10), False)
    hand.mouse.release(PLAIN)
    assert abs(hand.state.axis.x_of(hand.sought[-1]) - 400) <= 1
    hand.drag(200, 700, pixels=True)
    assert [round(hand.state.axis.x_of(each)) for each in (hand.regions[-1][0].start, hand.regions[-1][0].stop)] == [
        200,
        700,
    ]


def test_shift_is_free():
    hand = Hand()
    hand.drag(4.2, 7.9, SHIFT)
    assert hand.regions[-1][0].start % BAR


def test_a_click_seeks_and_leaves_the_region():
    hand = Hand(Span(BAR, 2 * BAR))
    hand.drag(8.01, 8.01)
    assert hand.sought == [8 * BAR] and not hand.regions
    assert hand.state.region == Span(BAR, 2 * BAR)


def test_edges_are_moved_and_may_cross():
    hand = Hand(Span(4 * BAR, 8 * BAR))
    hand.drag(8, 12.1)
    assert hand.regions[-1] == (Span(4 * BAR, 12 * BAR), True)
    hand.drag(4, 14)
    assert hand.regions[-1] == (Span(12 * BAR, 14 * BAR), True)


def test_the_bar_moves_the_whole_in_the_ruler_only():
    hand = Hand(Span(4 * BAR, 8 * BAR))
    hand.drag(6, 9.1, on_bar=True)
    assert hand.regions[-1] == (Span(7 * BAR, 11 * BAR), True)
    hand.drag(9, 31.9, on_bar=True)
    assert hand.regions[-1] == (Span(28 * BAR, 32 * BAR), True)
    hand.drag(29.1, 30.9)
    assert hand.regions[-1] == (Span(29 * BAR, 31 * BAR), True)


def test_double_click_takes_in_a_bar():
    hand = Hand()
    hand.mouse.double(hand.x(4.5))
    assert hand.regions[-1] == (Span(4 * BAR, 5 * BAR), True)
    hand.mouse.double(hand.x(7.5))
    assert hand.regions[-1] == (Span(4 * BAR, 8 * BAR), True)
    hand.mouse.double(hand.x(1.5))
    assert hand.regions[-1] == (Span(BAR, 8 * BAR), True)
    hand.mouse.double(hand.x(5.5))
    assert hand.regions[-1] == (Span(5 * BAR, 6 * BAR), True)
    count = len(hand.regions)
    hand.mouse.double(-50)
    assert len(hand.regions) == count


def test_escape_brings_the_region_back():
    hand = Hand(Span(4 * BAR, 8 * BAR))
    hand.mouse.press(QPoint(hand.x(10), 10), False)
    hand.mouse.move(QPoint(hand.x(12), 10), PLAIN)
    assert hand.mouse.active and hand.state.region == Span(10 * BAR, 12 * BAR)
    hand.mouse.cancel()
    hand.mouse.release(PLAIN)
    assert hand.regions[-1] == (Span(4 * BAR, 8 * BAR), True) and not hand.sought


def test_dragging_beyond_the_edge_scrolls():
    hand = Hand()
    hand.state.axis.fit(Span(0, 4 * BAR))
    hand.mouse.press(QPoint(900, 10), False)
    for _ in range(20):
        hand.mouse.move(QPoint(1100, 10), PLAIN)
    assert hand.state.axis.left > BAR
    hand.mouse.release(PLAIN)
    assert hand.regions[-1][0].stop > 5 * BAR


@settings(max_examples=80)
@given(st.lists(st.tuples(st.integers(-50, 1050), st.integers(-50, 1050), st.booleans(), st.booleans()), max_size=8),
       st.sampled_from(["bar", "beat", "none"]))
def test_a_region_is_always_inside_the_song_and_never_empty(drags, snap):
    hand = Hand(snap=snap)
    for start, stop, on_bar, free in drags:
        hand.drag(start, stop, SHIFT if free else PLAIN, on_bar, pixels=True)
    for span, _ in hand.regions:
        assert span is None or 0 <= span.start < span.stop <= SAMPLES
    assert all(0 <= sample <= SAMPLES for sample in hand.sought)
