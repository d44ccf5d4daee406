"""A song is heard at its level wherever a region lies in it, and without the offset of a bad converter."""

import numpy as np
import pytest
from mgeldm.audio import AudioClip
from mgeldm.evaluation.metrics import sdr_db
from mgeldm.pipeline import LIFT_DB, Placed, Sum
from mgeldm.pipeline.extraction import EstimateStream
from mgeldm.pipeline.listening import Listener, Survey
from mgeldm.refine import Estimate, refine
from mgeldm.requests import Extract, Impute, Region, Sampling

QUIET = Region(0.0, 6.0)


def swelling(clip, quiet_db):
    """6 s of a song turned down, before all of it four times."""
    quiet = clip.samples[:, : 6 * clip.rate_hz] * np.float32(10 ** (quiet_db / 20))
    return AudioClip(np.concatenate([quiet, *4 * [clip.samples]], 1), clip.rate_hz)


def drums(pipeline, song, region):
    found = pipeline.extract(song, Extract(("drums",), region, Sampling("draft")))
    stems, rest = refine(song, found.estimates, start_s=found.start_s, end_s=found.end_s)
    return stems[0], rest


def heard_gain(pipeline, song, region, monkeypatch):
    """The gain over the song's at which a region is heard."""
    gains = []

    class Noted(EstimateStream):
        def __init__(self, listener, *more):
            gains.append(listener.gain)
            super().__init__(listener, *more)

    monkeypatch.setattr("mgeldm.pipeline.EstimateStream", Noted)
    pipeline.extract(song, Extract(("drums",), region))
    return gains[0] / pipeline.listeners(song)[0].gain


def test_a_quiet_region_of_a_loud_song_is_told_apart_like_a_loud_one(pipeline, clip):
    first = slice(0, 6 * clip.rate_hz)
    wanted = drums(pipeline, swelling(clip, 0), QUIET)[0][:, first]
    found, rest = drums(pipeline, song := swelling(clip, -40), QUIET)
    assert sdr_db(wanted * 0.01, found[:, first]) > 10  # -0.5 at the level of the song
    np.testing.assert_allclose(found + rest, song.samples, atol=1e-6)


def test_what_was_heard_at_one_level_is_not_taken_for_another(pipeline, clip):
    alone = drums(pipeline, swelling(clip, -40), QUIET)[0]
    song = swelling(clip, -40)
    drums(pipeline, song, Region())
    np.testing.assert_array_equal(drums(pipeline, song, QUIET)[0], alone)


@pytest.mark.parametrize(("quiet_db", "lift_db"), [(0, 0), (-15, 0), (-30, LIFT_DB), (-45, LIFT_DB), (-200, 0)])
def test_only_what_is_far_under_the_song_is_lifted(pipeline, clip, monkeypatch, quiet_db, lift_db):
    gain = heard_gain(pipeline, swelling(clip, quiet_db), QUIET, monkeypatch)
    assert 20 * np.log10(gain) == pytest.approx(lift_db)


def test_noise_is_not_blown_up(pipeline, clip, monkeypatch):
    noise = np.random.default_rng(0).normal(0, 10 ** (-90 / 20), (2, 6 * clip.rate_hz)).astype(np.float32)
    song = AudioClip(np.concatenate([noise, clip.samples], 1), clip.rate_hz)
    assert heard_gain(pipeline, song, QUIET, monkeypatch) == 1
    first = slice(0, 5 * clip.rate_hz)  # later the stem is beside the music
    assert drums(pipeline, song, QUIET)[0][:, first].std() < noise.std()


# ------------------------------------------------------------------------------------------------------------- offset


@pytest.mark.parametrize("offsets", [(0.2, 0.2), (0.05, -0.1), (0.0, 0.01)])
def test_an_offset_changes_no_stem_and_stays_in_the_rest(pipeline, clip, offsets):
    wanted, rest = drums(pipeline, clip, Region())
    song = AudioClip(clip.samples + np.array(offsets, np.float32)[:, None], clip.rate_hz)
    found, found_rest = drums(pipeline, song, Region())
    assert sdr_db(wanted, found) > 30
    np.testing.assert_allclose(found + found_rest, song.samples, atol=1e-6)
    np.testing.assert_allclose((found_rest - rest).mean(1), offsets, atol=5e-4)


@pytest.mark.parametrize("seconds", [0.3, 2.0])  # too short for the loudness meter, and not
def test_a_new_part_is_as_loud_beside_an_offset(pipeline, clip, seconds):
    song = AudioClip(clip.samples + np.float32(0.1), clip.rate_hz)
    request = Impute(("piano",), Region(4.0, 4.0 + seconds), Sampling("draft", 2))
    levels = [float(np.square(pipeline.impute(each, request)[0].samples).mean() ** 0.5) for each in (clip, song)]
    assert levels[1] == pytest.approx(levels[0], rel=0.1)


def test_an_offset_is_no_music():
    samples = np.random.default_rng(0).normal(0, 0.1, (2, 60 * 8000)).astype(np.float32)
    samples[:, 20 * 8000 :] *= 1e-3  # most of it is a pause, offset or not
    plain = Survey.of(AudioClip(samples, 8000))
    moved = Survey.of(AudioClip(samples + np.array([[0.1], [-0.1]], np.float32), 8000))
    assert plain.offsets == (0, 0)
    assert moved.offsets == pytest.approx((0.1, -0.1), abs=1e-3)
    assert moved.channel_rms == pytest.approx(plain.channel_rms, rel=1e-3)
    assert moved.rms == pytest.approx(plain.rms, rel=1e-3)
    assert moved.mono_loss_db == pytest.approx(plain.mono_loss_db, abs=0.01)


@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.7, 2.0, 10.0])
def test_music_has_no_offset(seconds):
    time_s = np.arange(round(seconds * 8000)) / 8000
    kicks = 0.5 * np.sin(2 * np.pi * 30 * time_s) * np.exp(-20 * (time_s % 0.5))
    assert not any(Survey.of(AudioClip(kicks[None].astype(np.float32), 8000)).offsets)


def test_a_listener_hears_no_offset_and_no_step_at_the_songs_ends():
    rng = np.random.default_rng(0)
    plain = AudioClip(rng.normal(0, 0.1, (2, 10 * 8000)).astype(np.float32), 8000)
    song = AudioClip(plain.samples + np.float32(0.3), 8000)
    for channel in (None, 1):
        wanted = Listener(plain, 44100, 2048, channel=channel).read(-4, 300)
        listener = Listener(song, 44100, 2048, channel=channel, offsets=Survey.of(song).offsets)
        np.testing.assert_allclose(listener.read(-4, 300), wanted, atol=2e-3)
        part = Placed(AudioClip(plain.samples[:, :8000], 8000), 0, song.info)  # has none, as all stems
        assert listener.on(part).read(100, 50).max() == 0
        np.testing.assert_allclose(listener.on(Sum(song, part)).offsets, listener.offsets, atol=2e-3)


def test_what_an_estimate_says_of_an_offset_is_kept_out_of_the_stems():
    samples = np.random.default_rng(0).normal(0, 0.1, (2, 8000)).astype(np.float32)
    song = AudioClip(samples + np.array([[0.2], [-0.1]], np.float32), 8000)
    estimate = Estimate(np.ones((1, 1, 50)), np.zeros((1, 50)), np.array([100.0]), 0.02, 0.0, (0.2, -0.1))
    stems, rest = refine(song, estimate)
    np.testing.assert_allclose(stems[0], samples, atol=1e-5)
    np.testing.assert_allclose(rest, song.samples - samples, atol=1e-5)
