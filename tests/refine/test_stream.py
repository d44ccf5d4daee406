"""Streaming from files, the use of panning, the band's edge, regions, and what happens when the work is stopped."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mgeldm.audio import HARDLY_HEARD, AudioClip, AudioReader, Samples, read, write
from mgeldm.errors import Cancelled
from mgeldm.progress import Reporter
from mgeldm.refine import (
    Estimate,
    edge_gains,
    estimate_of_audio,
    loudness_match,
    mono_loss_db,
    refine,
    refine_blocks,
    refine_region,
    write_stems,
)

RATE_HZ = 22_050


def random_estimate(seed: int, k: int, seconds: float, top_hz: float = 10_000.0) -> Estimate:
    frames = int(seconds / 0.023) + 2
    values = np.random.default_rng(seed).uniform(0, 1, (k + 1, 16, frames)).astype(np.float32) ** 3
    return Estimate(values[:k], values[k], np.geomspace(40, top_hz, 16).astype(np.float32), 0.023, 0.0)


def noise(seconds: float, channels: int = 2, rate_hz: int = RATE_HZ, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (channels, int(seconds * rate_hz))).astype(np.float32)


def sdr_db(source: Samples, stem: Samples) -> float:
    return 10 * float(np.log10(np.square(source).sum() / np.square(source - stem).sum()))


@given(
    channels=st.integers(1, 8),
    rate_hz=st.sampled_from([1_000, 8_000, 11_025, 44_100, 192_000]),
    seconds=st.floats(0.05, 0.6),
    scale=st.sampled_from([0.0, 1e-30, 1.0, 1e30]),
    k=st.integers(1, 3),
    seed=st.integers(0, 99),
)
@settings(max_examples=25)
def test_any_masks_sum_to_the_song(channels, rate_hz, seconds, scale, k, seed):
    rng = np.random.default_rng(seed)
    song = AudioClip(noise(seconds, channels, rate_hz, seed)[:, : max(1, int(seconds * rate_hz))], rate_hz)
    values = (rng.uniform(-0.2, 1, (k + 1, 5, 7)) * scale).astype(np.float32)
    estimate = Estimate(values[:k], values[k], np.array([50, 200, 800, 3200, 6400], np.float32), 0.05, 0.1)
    stems, rest = refine(song, estimate, sensitivity=float(rng.uniform(-1, 1)))
    assert np.isfinite(stems).all()
    assert float(np.abs(stems.sum(0, dtype=np.float64) + rest - song.samples).max()) < 1e-6


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_masks_of_one_give_the_song_and_of_nothing_silence(channels):
    song = AudioClip(noise(6.0, channels), RATE_HZ)
    one, none = np.ones((1, 3, 300), np.float32), np.zeros((3, 300), np.float32)
    centres_hz = np.array([100, 1000, 9000], np.float32)
    everything = refine(song, Estimate(one, none, centres_hz, 0.02, 0.0))[0][0]
    np.testing.assert_allclose(everything, song.samples, atol=1e-5)
    assert not refine(song, Estimate(0 * one, none, centres_hz, 0.02, 0.0))[0].any()


@pytest.mark.parametrize("suffix", [".wav", ".mp3"])
def test_streaming_from_a_file_in_any_steps_equals_one_shot(tmp_path, suffix):
    import soundfile

    soundfile.write(tmp_path / f"song{suffix}", noise(9.0).T, RATE_HZ)
    song, estimate = read(tmp_path / f"song{suffix}"), random_estimate(1, 2, 9.0)
    asked: list[tuple[float, float]] = []

    def estimates_at(start_s: float, end_s: float) -> Estimate:
        asked.append((start_s, end_s))
        return estimate.between(start_s, end_s)

    stems, rest = refine(song, estimate, start_s=1.3, end_s=8.1)
    with AudioReader(tmp_path / f"song{suffix}") as reader:
        blocks = list(refine_blocks(reader, estimates_at, start_s=1.3, end_s=8.1))
    assert [b.start for b in blocks] == np.cumsum([0] + [b.rest.shape[1] for b in blocks])[:-1].tolist()
    np.testing.assert_allclose(np.concatenate([b.stems for b in blocks], 2), stems, atol=1e-6)
    np.testing.assert_allclose(np.concatenate([b.rest for b in blocks], 1), rest, atol=1e-6)
    assert len(asked) > 2
    assert asked == sorted(asked)
    assert max(end_s - start_s for start_s, end_s in asked) < 2.5


def test_first_blocks_come_before_the_later_estimates_are_asked_for():
    asked: list[float] = []
    estimate = random_estimate(2, 1, 30.0)

    def estimates_at(start_s: float, end_s: float) -> Estimate:
        asked.append(end_s)
        return estimate.between(start_s, end_s)

    next(refine_blocks(AudioClip(noise(30.0), RATE_HZ), estimates_at))
    assert max(asked) < 5


def test_panning_separates_what_bands_cannot():
    left, right = noise(5.0, 1, seed=3), noise(5.0, 1, seed=4)  # the same spectrum, in different places
    activity = np.repeat([1.0, 0.3, 1.0, 0.1, 0.6], RATE_HZ)
    source = np.concatenate([0.95 * left, 0.3 * left]) * activity
    rest = np.concatenate([0.3 * right, 0.95 * right]) * activity[::-1]
    song = AudioClip((source + rest).astype(np.float32), RATE_HZ)
    estimate = estimate_of_audio(source.mean(0)[None], rest.mean(0), RATE_HZ)
    centred = AudioClip(np.concatenate([song.samples, song.samples[:1]]), RATE_HZ)  # three channels: masks alone
    by_masks, by_panning = refine(centred, estimate)[0][0][:2], refine(song, estimate)[0][0]
    assert sdr_db(source, by_panning) > sdr_db(source, by_masks) + 2


def test_what_reaches_one_side_later_is_told_apart_by_that():
    """As two microphones hear it: both as loud on either side, only their order differs."""
    one, other = noise(5.0, 1, seed=3)[0], noise(5.0, 1, seed=4)[0]
    source, rest = np.stack([one, np.roll(one, 5)]), np.stack([np.roll(other, 5), other])
    song = AudioClip((source + rest).astype(np.float32), RATE_HZ)
    estimate = estimate_of_audio(source.mean(0)[None], rest.mean(0), RATE_HZ)
    centred = AudioClip(np.concatenate([song.samples, song.samples[:1]]), RATE_HZ)  # three channels: masks alone
    by_masks, by_panning = refine(centred, estimate)[0][0][:2], refine(song, estimate)[0][0]
    assert sdr_db(source, by_panning) > sdr_db(source, by_masks) + 2


def test_an_estimate_for_each_channel_hears_what_the_mono_sum_loses():
    side, centre = noise(4.0, 1, seed=5)[0], noise(4.0, 1, seed=6)[0] * 0.05
    gate = np.repeat([1.0, 0.0, 1.0, 0.0], RATE_HZ)
    source, rest = np.stack([side * gate, -side * gate]), np.stack([centre, centre]) + 0.3 * (1 - gate)[None] * side
    song = AudioClip((source + rest).astype(np.float32), RATE_HZ)
    assert mono_loss_db([song.samples]) > 3
    mono = estimate_of_audio(source.mean(0)[None], rest.mean(0), RATE_HZ)
    each = [estimate_of_audio(source[c][None], rest[c], RATE_HZ) for c in range(2)]
    assert sdr_db(source, refine(song, each)[0][0]) > sdr_db(source, refine(song, mono)[0][0]) + 6
    with pytest.raises(ValueError, match="3 estimates for 2 channels"):
        refine(song, [mono] * 3)


def test_above_the_models_band_the_mask_goes_on():
    song = AudioClip(noise(3.0, 1), RATE_HZ)
    values = np.ones((2, 16, 140), np.float32)
    values[1] = 1 / 3  # the source has three quarters everywhere it is known, up to 4 kHz
    estimate = Estimate(values[:1], values[1], np.geomspace(40, 4000, 16).astype(np.float32), 0.023, 0.0)
    spectrum = np.abs(np.fft.rfft(refine(song, estimate)[0][0, 0])) / np.abs(np.fft.rfft(song.samples[0]))
    hz = np.fft.rfftfreq(song.samples.shape[1], 1 / RATE_HZ)
    assert np.median(spectrum[hz > 8000]) == pytest.approx(0.75, abs=0.01)


def test_a_region_fades_without_a_click():
    time_s = np.arange(4 * RATE_HZ) / RATE_HZ
    tone = np.tile(0.5 * np.sin(2 * np.pi * 100 * time_s), (2, 1)).astype(np.float32)
    estimate = Estimate(np.ones((1, 2, 9), np.float32), np.zeros((2, 9), np.float32), np.float32([50, 5000]), 0.5, 0.0)
    stem = refine(AudioClip(tone, RATE_HZ), estimate, start_s=1.0025, end_s=3.0025)[0][0, 0]  # at the tone's peaks
    assert np.abs(np.diff(stem)).max() < 1.2 * np.abs(np.diff(tone[0])).max()
    assert np.abs(stem[int(1.02 * RATE_HZ) : int(2.98 * RATE_HZ)]).max() == pytest.approx(0.5, abs=0.01)
    whole = refine(AudioClip(tone, RATE_HZ), estimate)[0][0, 0]
    np.testing.assert_allclose(whole[:200], tone[0, :200], atol=1e-4)  # no fade at the song's own ends


def test_stopping_leaves_no_file(tmp_path):
    reports: list[int] = []
    reporter = Reporter(lambda progress: reports.append(progress.done), lambda: len(reports) >= 2)
    song = AudioClip(noise(12.0), RATE_HZ)
    with pytest.raises(Cancelled):
        write_stems(song, random_estimate(7, 1, 12.0), [tmp_path / "a.wav"], tmp_path / "r.wav", reporter=reporter)
    assert len(reports) == 2
    assert list(tmp_path.iterdir()) == []


def test_one_gain_for_files_that_would_clip_and_the_null_holds(tmp_path):
    song, estimate = AudioClip(noise(5.0) * 3, RATE_HZ), random_estimate(8, 1, 5.0)
    paths = [tmp_path / "a.wav", tmp_path / "rest.wav"]
    as_it_is = write_stems(song, estimate, paths[:1], paths[1], start_s=1.0, end_s=4.0)
    written = write_stems(song, estimate, paths[:1], paths[1], format="wav16", start_s=1.0, end_s=4.0)
    gain = written.gain
    assert written.shares == as_it_is.shares
    assert 0.5 < gain < 1 / 1.49
    total = sum(read(path).samples.astype(np.float64) for path in paths) * 2**15
    np.testing.assert_array_equal(total, np.rint(song.samples * np.float64(2**15 * gain)))


def test_shares_say_what_is_heard_for_a_moment_and_not_what_one_sample_reaches(tmp_path):
    """The bar behind a region runs into its last milliseconds; a part of a tenth of a second is heard."""
    rate_hz, paths = 48000, [tmp_path / "a.wav", tmp_path / "rest.wav"]
    everything, nothing = np.ones((1, 2, 90), np.float32), np.zeros((2, 90), np.float32)
    estimate = Estimate(everything, nothing, np.float32([50, 5000]), 0.05, 0.0)

    def share(first_s: float, stop_s: float) -> float:
        samples = np.zeros((2, 4 * rate_hz), np.float32)
        samples[:, round(first_s * rate_hz) : round(stop_s * rate_hz)] = 0.5
        samples[:, 3 * rate_hz :] = 0.5
        return write_stems(AudioClip(samples, rate_hz), estimate, paths[:1], paths[1], end_s=2.0).shares[0]

    for click in ((1.0, 1.005), (1.97, 2.02), (1.997, 2.0)):
        assert share(*click) < HARDLY_HEARD
    assert share(1.0, 1.12) > 0.5


def test_a_16_bit_song_at_full_scale_keeps_its_samples(tmp_path):
    steps = np.random.default_rng(9).choice([-(2**15), 2**15 - 1, 0], (2, 8000))
    write(tmp_path / "song.wav", AudioClip((steps / 2**15).astype(np.float32), RATE_HZ), "wav16")
    silent = Estimate(np.zeros((1, 2, 9), np.float32), np.ones((2, 9), np.float32), np.float32([50, 5000]), 0.5, 0.0)
    with AudioReader(tmp_path / "song.wav") as song:
        written = write_stems(song, silent, [tmp_path / "a.wav"], tmp_path / "rest.wav", format="wav16")
    assert (written.gain, written.shares) == (1, (0, 1))
    np.testing.assert_array_equal(read(tmp_path / "rest.wav").samples * 2.0**15, steps)


def test_loudness_of_short_parts_and_the_ceiling():
    short, context = AudioClip(noise(0.1), RATE_HZ), AudioClip(noise(3.0) * 0.1, RATE_HZ)
    matched = loudness_match(short, context)
    assert float(matched.samples.std()) == pytest.approx(float(context.samples.std()), rel=0.01)
    sparse = AudioClip(np.where(np.arange(3 * RATE_HZ) % 2000 == 0, 0.5, 0.0)[None].astype(np.float32), RATE_HZ)
    assert float(np.abs(loudness_match(sparse, AudioClip(noise(3.0), RATE_HZ)).samples).max()) <= 1


def test_the_blocks_of_a_region_alone_are_those_of_the_whole_song():
    song, estimate = AudioClip(noise(9.0), RATE_HZ), random_estimate(1, 2, 9.0)
    inside = list(refine_region(song, estimate, start_s=1.3, end_s=8.1))
    whole = list(refine_blocks(song, estimate, start_s=1.3, end_s=8.1))
    first, last = round(1.3 * RATE_HZ), round(8.1 * RATE_HZ)
    assert (inside[0].start, inside[-1].start + inside[-1].rest.shape[1]) == (first, last)
    stems = np.concatenate([b.stems for b in whole], 2)
    np.testing.assert_array_equal(np.concatenate([b.stems for b in inside], 2), stems[..., first:last])
    assert not stems[..., :first].any()
    assert not stems[..., last:].any()


def test_a_region_takes_what_was_heard_at_its_own_time():
    song, heard = AudioClip(noise(6.0, 1), RATE_HZ), np.zeros((1, 2, 60), np.float32)
    heard[:, :, 20:40] = 1  # from 2 s to 4 s there is nothing but the source, and else none of it
    estimate = Estimate(heard, 1 - heard[0], np.float32([50, 5000]), 0.1, 0.0)
    stem = refine(song, estimate, start_s=1.0, end_s=5.0)[0][0]
    inside, before, after = (slice(round(a * RATE_HZ), round(b * RATE_HZ)) for a, b in ((2.1, 3.8), (0, 1.8), (4.1, 6)))
    np.testing.assert_allclose(stem[:, inside], song.samples[:, inside], atol=1e-5)
    assert max(np.abs(stem[:, before]).max(), np.abs(stem[:, after]).max()) < 1e-5


def test_what_comes_late_in_a_long_region_is_brought_out_as_far_as_it_is_doubted_and_no_further():
    song, heard = AudioClip(noise(70.0, 1, 1000), 1000), np.zeros((1, 2, 140), np.float32)
    heard[:, :, 120:] = 1e-3  # in the last ten seconds, 60 dB down
    estimate = Estimate(heard, np.ones((2, 140), np.float32), np.float32([50, 400]), 0.5, 0.0)
    stem, late = refine(song, estimate, sensitivity=1.0)[0][0], slice(62_000, 69_000)
    assert stem[:, late].std() / song.samples[:, late].std() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("where", ["sources", "rest"])
def test_an_estimate_with_one_value_that_is_no_number_is_refused(where):
    values = {"sources": np.ones((2, 3, 9), np.float32), "rest": np.ones((3, 9), np.float32)}
    values[where][..., 1, 4] = np.nan
    with pytest.raises(ValueError, match="not numbers"):
        Estimate(**values, centres_hz=np.float32([50, 500, 5000]), hop_s=0.5, first_s=0.0)


def test_edges_are_faded_inside_the_part_but_not_at_the_songs_own_ends():
    gains = edge_gains(100, 1000, 100, 1100, 5000, 2500)  # 10 samples of fade
    np.testing.assert_allclose(gains[:10], np.sin(np.pi / 2 * (np.arange(10) + 0.5) / 10) ** 2, atol=1e-6)
    np.testing.assert_allclose(gains[::-1], gains, atol=1e-6)
    assert (gains[10:-10] == 1).all()
    assert edge_gains(100, 1000, 100, 1100, 5000, 44100)[round(0.005 * 44100)] == 1  # an attack is not lost
    assert edge_gains(0, 1000, 0, 1000, 1000, 1000) is None
    np.testing.assert_array_equal(edge_gains(95, 10, 0, 100, 200, 1000)[5:], 0)


@given(
    st.integers(0, 300), st.integers(1, 300), st.integers(0, 300), st.integers(1, 300), st.integers(0, 99),
    st.sampled_from((100, 2500, 44100)),
)  # fmt: skip
def test_a_piece_of_a_part_has_its_piece_of_the_gains(start, samples, first, length, after, rate_hz):
    last = first + length
    fade, place = min(round(0.004 * rate_hz), length // 2), np.arange(start, start + samples)
    into = (place - first + 0.5) / fade if first and fade else np.ones(samples)
    out_of = (last - place - 0.5) / fade if after and fade else np.ones(samples)
    wanted = np.sin(np.pi / 2 * np.clip(into, 0, 1)) ** 2 * np.sin(np.pi / 2 * np.clip(out_of, 0, 1)) ** 2
    gains = edge_gains(start, samples, first, last, last + after, rate_hz)
    np.testing.assert_allclose(np.ones(samples) if gains is None else gains, wanted, atol=1e-6)


def test_the_gains_of_a_long_part_need_little_memory():
    tracemalloc.start()
    edge_gains(0, 10_000_000, 1, 10_000_001, 20_000_000, 44100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.1 * 4 * 10_000_000  # the gains themselves
