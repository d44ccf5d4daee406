from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mgeldm.audio import AudioClip, AudioReader, read, write
from mgeldm.errors import InputError
from mgeldm.refine import (
    Estimate,
    estimate_of_audio,
    evened,
    limited,
    loudness_match,
    mono_loss_db,
    quantise,
    refine,
    refine_blocks,
    write_stems,
)


def random_estimate(rng: np.random.Generator, k: int, seconds: float) -> Estimate:
    frames = max(2, int(seconds / 0.023) + 2)
    values = rng.uniform(0, 1, (k + 1, 16, frames)).astype(np.float32) ** 3
    return Estimate(values[:k], values[k], np.geomspace(40, 15000, 16).astype(np.float32), 0.023, 0.0)


@given(
    channels=st.integers(1, 8),
    rate_hz=st.sampled_from([8000, 16000, 22050, 44100, 48000, 96000]),
    seconds=st.floats(0.05, 1.5),
    k=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
@settings(max_examples=25)
def test_stems_and_rest_are_the_song(channels, rate_hz, seconds, k, seed):
    rng = np.random.default_rng(seed)
    clip = AudioClip(rng.uniform(-1, 1, (channels, int(seconds * rate_hz) + 1)).astype(np.float32), rate_hz)
    stems, rest = refine(clip, random_estimate(rng, k, seconds))
    assert stems.shape == (k, *clip.samples.shape)
    assert float(np.abs(stems.sum(0, dtype=np.float64) + rest - clip.samples).max()) < 1e-6


def test_a_region_is_silent_outside_and_the_rest_is_the_song_there(clip):
    rng = np.random.default_rng(0)
    stems, rest = refine(clip, random_estimate(rng, 1, clip.duration_s), start_s=2.0, end_s=5.0)
    first, last = 2 * clip.rate_hz, 5 * clip.rate_hz
    for outside in (slice(0, first), slice(last, None)):
        assert not stems[:, :, outside].any()
        assert np.array_equal(rest[:, outside], clip.samples[:, outside])
    assert float(np.abs(stems[0, :, first : first + 5]).max()) < 1e-2 * float(np.abs(stems).max())


def test_true_magnitudes_separate(song, clip):
    for index in (0, 1):
        source = song.stems[index].audio
        estimate = estimate_of_audio(source.mean(0)[None], (clip.samples - source).mean(0), clip.rate_hz)
        stem = refine(clip, estimate)[0][0]
        before, after = np.square(clip.samples - source).sum(), np.square(stem - source).sum()
        assert 10 * np.log10(before / after) > 8


def test_sensitivity_trades_level(clip):
    estimate = random_estimate(np.random.default_rng(1), 1, clip.duration_s)
    levels = [float(np.square(refine(clip, estimate, sensitivity=s)[0]).sum()) for s in (-1.0, 0.0, 1.0)]
    assert levels[0] < levels[1] < levels[2]
    with pytest.raises(InputError, match="sensitivity"):
        refine(clip, estimate, sensitivity=2.0)


@pytest.mark.parametrize("doubt_db", [-20, -50, -75])
def test_sensitivity_brings_out_what_the_model_doubts(song, clip, doubt_db):
    source = song.stems[0].audio
    heard = estimate_of_audio(source.mean(0)[None], (clip.samples - source).mean(0), clip.rate_hz)
    quiet = heard.rest + 0.05 * heard.sources[0]  # never silent, where the faintest source would be all there is
    doubted = replace(heard, sources=heard.sources * np.float32(10 ** (doubt_db / 20)), rest=quiet)
    by_sensitivity = [refine(clip, doubted, sensitivity=s)[0][0] for s in (0.0, 0.5, 1.0)]
    lost_db = [10 * np.log10(np.square(stem - source).sum() / np.square(source).sum()) for stem in by_sensitivity]
    assert lost_db[0] > lost_db[1] > lost_db[2]
    assert lost_db[2] < -4


def test_sensitivity_gives_what_is_heard_well_12_db_and_no_more(song, clip):
    source = song.stems[0].audio
    heard = estimate_of_audio(source.mean(0)[None], (clip.samples - source).mean(0), clip.rate_hz)
    louder = replace(heard, sources=heard.sources * np.float32(10 ** (9 / 20)))
    np.testing.assert_allclose(refine(clip, heard, sensitivity=0.75)[0], refine(clip, louder)[0], atol=1e-5)


def test_each_source_has_a_sensitivity_of_its_own_and_one_gain_for_the_whole_region(clip):
    rng = np.random.default_rng(4)
    heard = random_estimate(rng, 2, clip.duration_s)
    faint = replace(heard, sources=heard.sources * np.float32(1e-3), rest=np.ones_like(heard.rest))
    asked = []

    def estimates_at(start_s, end_s):
        asked.append((start_s, end_s))
        return faint

    plain, (first, second) = refine(clip, faint)[0], refine(clip, estimates_at, sensitivity=(0.0, 1.0))[0]
    assert asked[0] == (0, min(30.0, clip.duration_s))  # all of it first
    power = [float(np.square(x).mean()) for x in (plain[0], first, plain[1], second)]
    assert power[1] <= power[0] < 1e-3 * power[3]
    halves = np.array_split(second, 2, 1)  # evenly loud noise: no half of it is raised by more than the other
    assert 0.5 < np.square(halves[0]).mean() / np.square(halves[1]).mean() < 2


@pytest.mark.parametrize(("format", "bits"), [("wav16", 16), ("wav24", 24), ("flac", 24)])
@pytest.mark.parametrize("level", [0.5, 1.0])
def test_integer_files_null_exactly(tmp_path, format, bits, level):
    rng = np.random.default_rng(2)
    song = AudioClip((rng.uniform(-1, 1, (2, 30000)) * level).astype(np.float32), 44100)
    paths = [tmp_path / f"{name}" for name in ("a", "b", "rest")]
    gain = write_stems(song, random_estimate(rng, 2, 0.7), paths[:-1], paths[-1], format=format).gain
    steps = [np.rint(read(path).samples.astype(np.float64) * 2 ** (bits - 1)).astype(np.int64) for path in paths]
    wanted = np.rint(song.samples * np.float64(2.0 ** (bits - 1) * gain)).astype(np.int64)
    assert np.array_equal(sum(steps), wanted)
    assert 0.3 < gain <= 1.0


def test_float_files_null_and_stream_in_blocks(tmp_path):
    rng = np.random.default_rng(3)
    write(tmp_path / "song.wav", AudioClip(rng.uniform(-1, 1, (2, 200_000)).astype(np.float32), 48000))
    with AudioReader(tmp_path / "song.wav") as song:
        estimate = random_estimate(rng, 1, 4.2)
        write_stems(song, estimate, [tmp_path / "stem.wav"], tmp_path / "rest.wav")
        sizes = [block.rest.shape[1] for block in refine_blocks(song, estimate)]
        whole = song.read()
    total = read(tmp_path / "stem.wav").samples.astype(np.float64) + read(tmp_path / "rest.wav").samples
    assert float(np.abs(total - whole).max()) < 1e-6
    assert len(sizes) > 1
    assert sum(sizes) == 200_000


def test_quantise_gives_one_gain_for_what_would_clip():
    stems = np.full((1, 1, 4), 1.5, np.float32)
    song = np.full((1, 4), 0.9, np.float32)
    steps, rest, gain = quantise(stems, song, 16)
    assert gain < 1 / 1.5
    assert np.abs(steps).max() < 2**15
    assert np.array_equal(steps.sum(0) + rest, np.rint(song * np.float64(2**15 * gain)).astype(np.int64))


def test_mono_loss_is_high_for_opposite_channels():
    tone = np.sin(np.arange(4000) / 7).astype(np.float32)
    assert mono_loss_db([np.stack([tone, tone])]) < -60
    assert mono_loss_db([np.stack([tone, -0.9 * tone])]) > 20


def levels_db(clip, pieces):
    return [10 * np.log10(np.square(piece).mean() + 1e-20) for piece in np.array_split(clip.samples, pieces, 1)]


def test_a_long_part_keeps_an_even_level():
    rng, rate_hz = np.random.default_rng(5), 8000
    noise = rng.normal(0, 0.1, (1, 40 * rate_hz))
    steps = np.repeat(10 ** (np.array([0, -12, 6, -8]) / 20), 10 * rate_hz)
    steady = AudioClip(noise[:, ::-1].astype(np.float32), rate_hz)
    uneven = AudioClip((noise * steps).astype(np.float32), rate_hz)
    assert np.ptp(levels_db(uneven, 4)) > 17
    assert np.ptp(levels_db(evened(uneven, steady), 4)) < 6
    followed = levels_db(evened(steady, uneven), 4)  # half the way of what plays with it
    assert 6 < np.ptp(followed) < 11
    assert int(np.argmax(followed)) == 2
    rest = np.where(np.arange(40 * rate_hz) < 20 * rate_hz, 1, 1e-3)
    resting = AudioClip((noise * rest).astype(np.float32), rate_hz)
    assert np.ptp(levels_db(evened(resting, steady), 2)) > 30
    short = AudioClip(uneven.samples[:, : 12 * rate_hz], rate_hz)
    assert evened(short, steady) is short


@pytest.mark.parametrize("rate_hz", [8000, 44100])
def test_one_peak_makes_no_take_softer_than_the_others(rate_hz):
    """Takes are compared by ear: the one with a spike is as loud as the one without, and clips no more."""
    rng = np.random.default_rng(3)
    context = AudioClip(rng.normal(0, 0.2, (2, 3 * rate_hz)).clip(-1, 1).astype(np.float32), rate_hz)
    even = rng.normal(0, 0.02, (2, 3 * rate_hz)).astype(np.float32)
    spiked = even.copy()
    spiked[0, rate_hz : rate_hz + 3] = (0.2, -0.19, 0.15)  # 20 dB above
    takes = [loudness_match(AudioClip(take, rate_hz), context).samples for take in (even, spiked)]
    levels = [float(np.sqrt(np.square(take).mean())) for take in takes]
    assert 20 * np.log10(levels[0] / levels[1]) < 1
    assert np.abs(takes[1]).max() <= 1
    far = np.s_[:, : rate_hz - rate_hz // 50]
    ratio = takes[1][far] / takes[0][far]
    assert np.ptp(ratio) < 1e-3  # the peak alone is softer


@given(st.integers(0, 2**31), st.integers(1, 4000), st.floats(0.1, 2))
def test_what_is_limited_passes_no_ceiling_and_changes_no_shape(seed, samples, ceiling):
    sound = np.random.default_rng(seed).normal(0, 0.5, (2, samples)).astype(np.float32)
    held = limited(sound, ceiling, 8000)
    assert held.shape == sound.shape
    assert np.abs(held).max() <= ceiling * (1 + 1e-6)
    assert (np.abs(held) <= np.abs(sound) + 1e-7).all()
    assert (held * sound >= 0).all()


def test_a_part_becomes_as_loud_as_its_context():
    rng = np.random.default_rng(5)
    context = AudioClip(rng.normal(0, 0.05, (2, 88200)).astype(np.float32), 44100)
    part = AudioClip(rng.normal(0, 0.2, (2, 88200)).astype(np.float32), 44100)
    matched = loudness_match(part, context)
    assert float(matched.samples.std()) == pytest.approx(0.05, rel=0.05)
    silent = AudioClip(np.zeros_like(part.samples), 44100)
    assert loudness_match(silent, context) is silent
