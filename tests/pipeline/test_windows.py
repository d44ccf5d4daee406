from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from mgeldm.pipeline.windows import Joiner, fade, plan

LAYOUT = {
    "total": st.integers(1, 400),
    "window": st.integers(4, 64),
    "share": st.floats(0.2, 1.0),
    "start": st.floats(0, 1),
    "length": st.floats(0, 1),
}


@given(**LAYOUT)
@settings(max_examples=100)
def test_windows_cover_the_region_and_stay_inside_the_song(total, window, share, start, length):
    first = int(start * (total - 1))
    stop = first + max(1, int(length * (total - first)))
    starts = plan(first, stop, total, window, max(1, int(window * share)))
    assert starts[0] <= first
    assert starts[-1] + window >= stop
    assert all(b - a <= window for a, b in pairwise(starts))
    if total >= window:
        assert starts[0] >= 0
        assert starts[-1] + window <= total


def test_a_short_region_has_as_much_of_the_song_on_both_sides():
    assert plan(100, 104, 400, 16, 12) == [94]
    assert plan(2, 6, 400, 16, 12) == [0]
    assert plan(395, 399, 400, 16, 12) == [384]


@given(**LAYOUT)
@settings(max_examples=100)
def test_joined_windows_of_one_signal_are_that_signal(total, window, share, start, length):
    first = int(start * (total - 1))
    stop = first + max(1, int(length * (total - first)))
    hop = max(1, int(window * share))
    starts = plan(first, stop, total, window, hop)
    signal = np.random.default_rng(0).normal(size=(2, starts[-1] + window)).astype(np.float32)
    joiner, pieces = Joiner(first, stop, window - hop), []
    for i, begin in enumerate(starts):
        following = starts[i + 1] if i + 1 < len(starts) else None
        pieces += list(joiner.add(begin, signal[:, begin : begin + window], following))
    assert pieces[0].first == first
    assert np.allclose(np.concatenate([p.values for p in pieces], -1), signal[:, first:stop], atol=1e-5)


def test_a_fade_is_never_zero():
    assert fade(10, 4).min() > 0
    assert fade(10, 4).max() == 1


def test_sounds_with_nothing_in_common_are_as_loud_where_they_meet():
    rng = np.random.default_rng(0)
    first, second = (rng.standard_normal(40_000).astype(np.float32) for _ in range(2))
    joiner = Joiner(0, 60_000, 20_000, power=2)
    pieces = [*joiner.add(0, first, 20_000), *joiner.add(20_000, second, None)]
    joined = np.concatenate([piece.values for piece in pieces])
    np.testing.assert_allclose(np.square(joined).reshape(12, 5_000).mean(1), 1, atol=0.1)
    np.testing.assert_allclose(joined[:20_000], first[:20_000], rtol=1e-6)
