from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgeldm_app.core import peaks
from mgeldm_app.core.peaks import BLOCK_SAMPLES, Peaks, blocks_of, measure, survey
from mgeldm_app.core.project import Span


def noise(samples: int, channels: int = 2, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((samples, channels)) * 0.2).astype(np.float32)


def reader(frames):
    return lambda start, stop: frames[start:stop]


def measured(frames, order=None) -> Peaks:
    pyramid = Peaks(len(frames))
    spans = []
    while (span := pyramid.take()) is not None:
        spans.append(span)
    for span in order(spans) if order else spans:
        pyramid.put(measure(reader(frames), span))
    return pyramid


@settings(max_examples=60)
@given(st.integers(1, 40_000), st.integers(1, 3), st.integers(0, 5), st.integers(1, 7))
def test_columns_hold_what_the_samples_hold(samples, channels, seed, pixels):
    """Each column's values lie within those of the stretch and a block at either side, and miss nothing inside."""
    frames = noise(samples, channels, seed)
    low, high, rms = measured(frames).columns(0, samples, pixels)
    step = samples / pixels
    block = BLOCK_SAMPLES * peaks.STEP ** max(0, int(np.log(max(step / BLOCK_SAMPLES, 1)) / np.log(peaks.STEP)))
    for i in range(pixels):
        wide = frames[max(0, int(i * step) - block) : int((i + 1) * step) + block]
        near = frames[int(i * step) + block : max(0, int((i + 1) * step) - block)]
        assert wide.min() - 1e-3 <= low[i] <= high[i] <= wide.max() + 1e-3
        assert rms[i] <= np.abs(wide).max() + 1e-3
        if near.size:
            assert low[i] <= near.min() + 1e-3 and high[i] >= near.max() - 1e-3


def test_whole_blocks_are_exact():
    frames = noise(BLOCK_SAMPLES * 64)
    low, high, rms = measured(frames).columns(BLOCK_SAMPLES * 16, BLOCK_SAMPLES * 48, 8)
    stretches = frames[BLOCK_SAMPLES * 16 : BLOCK_SAMPLES * 48].reshape(8, -1)
    np.testing.assert_allclose(low, stretches.min(axis=1), rtol=1e-3)
    np.testing.assert_allclose(high, stretches.max(axis=1), rtol=1e-3)
    np.testing.assert_allclose(rms, np.sqrt(np.square(stretches).mean(axis=1)), rtol=2e-3)


def test_pieces_may_come_in_any_order(monkeypatch):
    monkeypatch.setattr(peaks, "PIECE_SAMPLES", 4096)
    frames = noise(50_000)
    forth, back = measured(frames), measured(frames, lambda spans: spans[::-1])
    for pixels in (1, 7, 150):
        np.testing.assert_array_equal(forth.columns(0, 50_000, pixels), back.columns(0, 50_000, pixels))


def test_what_lies_outside_is_silent():
    pyramid = measured(np.ones((5000, 1), np.float32))
    low, high, rms = pyramid.columns(-5000, 10_000, 3)
    assert (low == 0)[[0, 2]].all() and (high == 0)[[0, 2]].all() and (rms == 0)[[0, 2]].all()
    assert high[1] == 1
    assert not pyramid.columns(20_000, 30_000, 4).any()
    assert pyramid.columns(0, 100, 0).shape == (3, 0)


def test_a_survey_stands_in_until_pieces_are_measured(monkeypatch):
    monkeypatch.setattr(peaks, "PIECE_SAMPLES", 1 << 16)
    monkeypatch.setattr(peaks, "SURVEY_COLUMNS", 256)
    samples = 1 << 18
    frames = noise(samples) * np.linspace(0, 1, samples, dtype=np.float32)[:, None]
    pyramid, whole = Peaks(samples), measured(frames)
    assert not pyramid.surveyed
    pyramid.put_survey(survey(reader(frames), samples))
    rough, exact = pyramid.columns(0, samples, 64), whole.columns(0, samples, 64)
    assert (rough[0] >= exact[0] - 1e-3).all() and (rough[1] <= exact[1] + 1e-3).all()
    assert (rough[1][8:] > 0.5 * exact[1][8:]).all()
    while (span := pyramid.take()) is not None:
        pyramid.put(measure(reader(frames), span))
    np.testing.assert_array_equal(pyramid.columns(0, samples, 64), exact)


def test_a_survey_does_not_cover_what_is_measured(monkeypatch):
    monkeypatch.setattr(peaks, "PIECE_SAMPLES", 1 << 16)
    frames = noise(1 << 18)
    pyramid = Peaks(len(frames))
    span = pyramid.take()
    pyramid.put(measure(reader(frames), span))
    before = pyramid.columns(0, span.stop, 50)
    pyramid.put_survey(np.full((3, 2048), 0.01, np.float16))
    np.testing.assert_array_equal(pyramid.columns(0, span.stop, 50), before)


def test_only_what_was_filled_is_measured():
    pyramid = Peaks(100_000, empty=True)
    assert pyramid.take() is None
    pyramid.want(Span(10_000, 20_000))
    span = pyramid.take()
    assert span.start == 10_000 // BLOCK_SAMPLES * BLOCK_SAMPLES and 20_000 <= span.stop < 20_000 + BLOCK_SAMPLES
    assert pyramid.take() is None


def test_a_stretch_is_never_measured_twice_at_once():
    """It changes while it is measured: the older figures are in before the newer are begun."""
    frames = noise(8192)
    pyramid = Peaks(8192)
    span = pyramid.take()
    older = measure(reader(frames), span)
    frames *= 0.1
    pyramid.want(Span(0, 8192))
    assert pyramid.take() is None and not pyramid.complete
    pyramid.put(older)
    pyramid.put(measure(reader(frames), pyramid.take()))
    assert pyramid.complete
    np.testing.assert_array_equal(pyramid.columns(0, 8192, 9), measured(frames).columns(0, 8192, 9))


def test_a_clip_that_cannot_be_read_is_measured_when_it_changes():
    pyramid = Peaks(8192)
    pyramid.take()
    pyramid.give_up()
    assert pyramid.complete
    pyramid.want(Span(0, 8192))
    assert pyramid.take() == Span(0, 8192)


def test_what_is_near_comes_first(monkeypatch):
    monkeypatch.setattr(peaks, "PIECE_SAMPLES", 4096)
    pyramid = Peaks(100_000)
    assert pyramid.take(Span(50_000, 60_000)).start == 50_000 // BLOCK_SAMPLES * BLOCK_SAMPLES
    rest = []
    while (span := pyramid.take()) is not None:
        rest.append(span)
    covered = sorted((span.start, span.stop) for span in rest)
    assert sum(stop - start for start, stop in covered) == 100_000 - 4096
    assert all(a[1] <= b[0] for a, b in pairwise(covered))


def test_a_copy_shows_the_other_until_it_is_measured():
    frames = noise(30_000)
    song = measured(frames)
    rest = Peaks(30_000, like=song, empty=True)
    np.testing.assert_array_equal(rest.columns(0, 30_000, 20), song.columns(0, 30_000, 20))
    rest.want(Span(0, 30_000))
    rest.put(measure(reader(np.zeros_like(frames)), rest.take()))
    assert not rest.columns(0, 30_000, 20).any() and song.columns(0, 30_000, 20).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_damaged_samples_do_no_harm(bad):
    frames = noise(4096)
    frames[1000] = bad
    pyramid = measured(frames)
    assert np.isfinite(pyramid.columns(0, 4096, 9)).all() and np.isfinite(pyramid.loudest)


def test_the_last_short_block_counts():
    frames = np.zeros((BLOCK_SAMPLES + 3, 1), np.float32)
    frames[-1] = 0.5
    assert blocks_of(frames, BLOCK_SAMPLES)[1].tolist() == [0, 0.5]
    assert measured(frames).loudest == 0.5
    assert blocks_of(frames[:0], 4).shape == (3, 0)


def test_the_level_that_is_reached_for_a_moment_leaves_clicks_and_edges_out():
    frames = np.full((64 * BLOCK_SAMPLES, 2), 0.25, np.float32)
    frames[:200], frames[-300:], frames[5000:5100] = 1, 1, 1
    pyramid = measured(frames)
    assert pyramid.reached(2 * BLOCK_SAMPLES, 300) == 0.25 < pyramid.reached(2 * BLOCK_SAMPLES, 0)
    pyramid.want(Span(0, len(frames)))
    pyramid.put(measure(reader(np.zeros_like(frames)), pyramid.take()))
    assert pyramid.reached(2 * BLOCK_SAMPLES, 300) == 0
    assert measured(frames[:100]).reached(1 << 20, 80) == 1  # shorter than what is left out
