import numpy as np
import pytest
from mgeldm.audio import AudioClip
from mgeldm.pipeline.listening import Listener, Survey

RATE_HZ = 8000


def noise(seconds: float, level: float = 0.1, seed: int = 0) -> np.ndarray:
    samples = np.random.default_rng(seed).normal(0, level, (2, round(seconds * RATE_HZ)))
    return samples.astype(np.float32)


@pytest.mark.parametrize("seconds", [0.05, 3.0, 29.9, 200.0])
def test_a_songs_level_is_that_of_its_music(seconds):
    survey = Survey.of(AudioClip(noise(seconds), RATE_HZ))
    assert survey.channel_rms == pytest.approx((0.1, 0.1), rel=0.1)
    assert survey.rms == pytest.approx(0.1 / 2**0.5, rel=0.1)


@pytest.mark.parametrize("begin_s", [0, 61.3, 250.1, 591])
def test_a_recording_that_hardly_plays_is_heard_as_what_plays(begin_s):
    """9 s of music in 10 minutes of hiss, wherever they lie."""
    samples = noise(600, 1e-4)
    first = round(begin_s * RATE_HZ)
    samples[:, first : first + 9 * RATE_HZ] += noise(9, seed=1)
    survey = Survey.of(AudioClip(samples, RATE_HZ))
    assert survey.channel_rms == pytest.approx((0.1, 0.1), rel=0.1)


def test_a_silent_channel_is_not_brought_up_to_the_other():
    samples = noise(60)
    samples[1] = 0
    assert Survey.of(AudioClip(samples, RATE_HZ)).channel_rms == pytest.approx((0.1, 0.01), rel=0.1)


def test_silence_has_no_level():
    assert Survey.of(AudioClip(np.zeros((1, 5000), np.float32), RATE_HZ)).rms == 0


def test_channels_that_cancel_are_heard_in_the_loudest():
    left, none = noise(20.0)[:1], np.zeros((1, 20 * RATE_HZ), np.float32)
    for others, channel, level in (
        ((left,), None, 0.1),
        ((noise(20.0, seed=1)[:1],), None, 0.1 / 2**0.5),
        ((none,) * 7, None, 0.1 / 8),  # alone among many, it is in their sum all the same
        ((-left * np.float32(0.99),), 0, 0.1),
        ((-left * np.float32(1.1),), 1, 0.11),
        ((none, -left * np.float32(0.9)), 0, 0.1),
    ):
        survey = Survey.of(AudioClip(np.concatenate([left, *others]) + np.float32(0.2), RATE_HZ))
        assert survey.channel == channel
        assert survey.rms == pytest.approx(level, rel=0.05)


def test_the_music_of_a_survey_is_what_plays():
    samples = noise(20.0)
    samples[:, 5 * RATE_HZ : 14 * RATE_HZ] = 0
    music = Survey.of(AudioClip(samples, RATE_HZ)).music
    assert music.duration_s == pytest.approx(11, abs=0.4)
    assert music.samples.std() == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("rate_hz", [8000, 11025, 32000, 44100, 44101, 48000, 96000])
def test_a_window_begins_at_its_frame_to_a_part_of_a_sample(rate_hz):
    """Windows of one song would be heard at times that differ, and sound hollow where they are cross-faded."""

    def tone(time_s):
        return np.sin(2 * np.pi * 880 * time_s).astype(np.float32)

    listener = Listener(AudioClip(tone(np.arange(8 * rate_hz) / rate_hz)[None], rate_hz), 44100, 2048)
    for frame in (0, 1, 2, 3, 50, 101, 150):
        wanted = tone((frame * 2048 + np.arange(4 * 2048)) / 44100)
        inside = slice(1000 if frame == 0 else None, None)  # the song's beginning rings
        np.testing.assert_allclose(listener.read(frame, 4)[inside], wanted[inside], atol=1e-3)


def test_at_the_models_rate_not_a_bit_is_changed():
    song = AudioClip(noise(3.0)[:1], 44100)
    heard = Listener(song, 44100, 2048).read(-1, 20)
    assert not heard[:2048].any()
    np.testing.assert_array_equal(heard[2048:], song.read(0, 19 * 2048)[0])
