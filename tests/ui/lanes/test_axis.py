import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgeldm_app.core.project import Span
from mgeldm_app.ui.lanes.axis import CLOSEST, START_PADDING_PX, Axis


def axis_of(samples=480_000, width=1000, ratio=1.0):
    axis = Axis()
    axis.resize(width, ratio)
    axis.set_samples(samples)
    return axis


def test_a_new_song_is_shown_whole_and_stays_so_when_the_window_grows():
    axis = axis_of()
    assert axis.visible == Span(0, 480_000)
    axis.resize(1600, 1.0)
    assert axis.visible == Span(0, 480_000)
    assert axis.x_of(0) == pytest.approx(START_PADDING_PX, abs=1)
    assert axis.x_of(480_000) == pytest.approx(1600 - START_PADDING_PX, abs=1)


@given(st.floats(0.2, 5), st.floats(0, 1000), st.sampled_from([1.0, 1.5, 2.0]))
def test_zooming_keeps_what_is_under_the_mouse(factor, x, ratio):
    axis = axis_of(10_000_000, ratio=ratio)
    axis.show(4_000_000, 500)
    before = axis.sample_at(x)
    axis.zoom(factor, x)
    assert abs(axis.x_of(before) - x) <= 1.5


@given(st.floats(-1e9, 1e9), st.floats(0.001, 1e9), st.integers(1, 600_000_000), st.integers(1, 4000))
def test_the_view_never_leaves_the_song(left, scale, samples, width):
    axis = axis_of(samples, width)
    axis.show(left, scale)
    assert CLOSEST <= axis.scale <= axis.widest
    padding = (START_PADDING_PX + 1) * axis.scale
    assert axis.left >= -padding
    assert axis.left + width * axis.scale <= max(samples + 2 * padding, -padding + width * axis.scale) + 1
    assert 0 <= axis.visible.start <= axis.visible.stop <= samples


@given(st.floats(0, 9_000_000), st.floats(1, 5000), st.sampled_from([1.0, 1.25, 2.0]))
def test_pixels_and_samples_agree(left, scale, ratio):
    axis = axis_of(10_000_000, ratio=ratio)
    axis.show(left, scale)
    assert axis.sample_at(axis.x_of(123_456)) == pytest.approx(123_456, abs=1e-3)
    assert abs(axis.x_of(axis.left)) <= 1 / ratio


def test_the_view_follows_page_by_page_until_the_user_looks_elsewhere():
    axis = axis_of(10_000_000)
    axis.show(0, 100)  # 100 000 samples in sight
    axis.following = True
    assert not axis.follow(50_000)
    assert axis.follow(100_500)
    assert 0 < axis.x_of(100_500) < 100
    axis.scroll(5000)
    assert not axis.follow(101_000)
    assert axis.left > 500_000
    axis.show(60_000, 100)
    assert not axis.follow(101_000)  # in sight again: go on
    assert axis.follow(10_000_00)


def test_fit_shows_a_span_from_edge_to_edge():
    axis = axis_of()
    axis.fit(Span(100_000, 140_000))
    assert axis.x_of(100_000) == pytest.approx(START_PADDING_PX, abs=1)
    assert axis.x_of(140_000) == pytest.approx(1000 - START_PADDING_PX, abs=1)
    axis.fit()
    assert axis.visible == Span(0, 480_000)
