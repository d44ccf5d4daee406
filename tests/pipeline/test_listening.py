import numpy as np
import pytest
from mgeldm.audio import AudioClip
from mgeldm.pipeline.listening import Survey

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
