"""New parts, with sounds in place of what the model would play: what it hears, where they land, how loud they are."""

import numpy as np
import pytest
from mgeldm.audio import AudioClip
from mgeldm.errors import InputError
from mgeldm.nn.spectral import MIXTURE_RMS
from mgeldm.pipeline.generation import Maker
from mgeldm.requests import Impute, Region

RATE_HZ = 44100


def noise(seconds, channels=1, rate_hz=RATE_HZ, seed=0):
    samples = np.random.default_rng(seed).normal(0, 0.1, (channels, round(seconds * rate_hz)))
    return samples.astype(np.float32)


def level_db(samples):
    return 10 * float(np.log10(np.square(samples, dtype=np.float64).mean()))


@pytest.fixture
def play(pipeline, monkeypatch):
    """Says what parts are: a function from the first sample and the length to mono audio, at the model's rate."""
    per = pipeline.config.samples_per_frame

    def with_sound(sound):
        monkeypatch.setattr(Maker, "make", lambda _, wish: sound(wish.start * per, (wish.stop - wish.start) * per))

    return with_sound


@pytest.fixture
def heard(pipeline, monkeypatch):
    """What the model hears of the song and the parts before, once for each part; parts are noise."""
    stretches = []

    def make(_, wish):
        stretches.append(wish.given(wish.start, wish.stop - wish.start)[0].numpy())
        return noise(len(stretches[-1]) / RATE_HZ, seed=len(stretches))[0]

    monkeypatch.setattr(Maker, "make", make)
    monkeypatch.setattr(pipeline.model.autoencoder, "encode", lambda audio: audio)
    return stretches


@pytest.mark.parametrize("right", [1.0, -1.0, -0.99])
def test_each_part_hears_the_song_and_all_parts_before(pipeline, heard, right):
    """Whose right channel may be the left one turned over, with nothing but parts in the sum of both."""
    left = noise(10.0, seed=9)
    song, region = AudioClip(np.concatenate([left, np.float32(right) * left]), RATE_HZ), Region(2.0, 6.0)
    parts = pipeline.impute(song, Impute(("one", "two", "three"), region))
    begin = int(2.0 * RATE_HZ / 4096) * 4096
    together = song.read(begin, begin + heard[0].size)
    gain = MIXTURE_RMS / left.std()
    for audio, part in zip(heard, parts, strict=True):
        np.testing.assert_allclose(audio, together[0] * gain, atol=2e-3)
        together[:, 2 * RATE_HZ - begin : 6 * RATE_HZ - begin] += part.samples


@pytest.mark.parametrize("right", [1.0, -1.0])
def test_a_part_as_good_as_silent_is_refused_in_any_phase(pipeline, play, right):
    left = noise(6.0)
    play(lambda first, samples: noise(samples / RATE_HZ)[0] * np.float32(1e-3))
    with pytest.raises(InputError, match="plays nothing for this here"):
        pipeline.impute(AudioClip(np.concatenate([left, np.float32(right) * left]), RATE_HZ), Impute(("one",)))


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_a_part_in_a_pause_is_as_loud_as_one_beside_the_music(pipeline, play, channels):
    """Measured in the same way, whatever the channels add up to."""
    play(lambda first, samples: np.sin(np.arange(samples) / 20).astype(np.float32) * 0.1)
    music = noise(20.0, channels)
    pause = music * (np.abs(np.arange(music.shape[1]) / RATE_HZ - 6.0) > 2.0)
    beside, alone = (
        pipeline.impute(AudioClip(samples, RATE_HZ), Impute(("one",), Region(4.0, 8.0)))[0].samples
        for samples in (music, pause)
    )
    assert level_db(alone) == pytest.approx(level_db(beside), abs=0.3)


@pytest.mark.parametrize("rate_hz", [22050, 44100, 48000])
def test_a_part_lands_where_it_was_heard(pipeline, play, rate_hz):
    """In a region that begins between two frames."""
    impulse_s = 3.5

    def impulse(first, samples):
        return (np.arange(first, first + samples) == round(impulse_s * RATE_HZ)).astype(np.float32)

    play(impulse)
    song = AudioClip(noise(8.0, 2, rate_hz), rate_hz)
    part = pipeline.impute(song, Impute(("one",), Region(2.03, 6.0)))[0].samples
    assert abs(np.abs(part[0]).argmax() - (impulse_s - 2.03) * rate_hz) <= 1
