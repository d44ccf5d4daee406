import numpy as np
import pytest
import scipy.signal
import torch
from mgeldm.audio import AudioClip
from mgeldm.errors import InputError
from mgeldm.evaluation.baselines import BASELINES, ideal_mask, latent_limit, low_pass, percussive
from mgeldm.evaluation.bench import bench, check_length
from mgeldm.evaluation.metrics import _WINDOW_SUM, bootstrap, log_mel_l1, log_mel_l1_unscaled, sdr_db, si_sdr_db
from mgeldm.pipeline import Pipeline

RNG = np.random.default_rng(0)
NOISE = RNG.normal(0, 0.1, (2, 44100))


def test_sdr_of_known_errors():
    assert sdr_db(NOISE, np.zeros_like(NOISE)) == pytest.approx(0, abs=1e-6)
    assert sdr_db(NOISE, NOISE * 0.9) == pytest.approx(20, abs=1e-3)
    assert sdr_db(NOISE, NOISE) > 90


def test_si_sdr_ignores_level():
    assert si_sdr_db(NOISE, NOISE * 0.1) > 60
    other = RNG.normal(0, 0.1, NOISE.shape)
    assert si_sdr_db(NOISE, NOISE + other) == pytest.approx(0, abs=0.5)


def test_exact_silence_has_no_si_sdr_and_faint_sound_has_its_own():
    """Silence was 0 dB, better than any wrong answer; and faint sound was taken for it."""
    assert np.isnan(si_sdr_db(NOISE, np.zeros_like(NOISE)))
    assert np.isnan(si_sdr_db(np.zeros_like(NOISE), NOISE))
    other = RNG.normal(0, 0.1, NOISE.shape)
    assert si_sdr_db(NOISE, other * 1e-9) == pytest.approx(si_sdr_db(NOISE, other), abs=1e-6)
    assert si_sdr_db(NOISE * 1e-3, NOISE * 1e-9) > 60


def test_log_mel_l1_of_a_gain_is_its_logarithm():
    assert log_mel_l1(NOISE, NOISE * np.e, 44100) == pytest.approx(1.0, abs=0.01)
    assert log_mel_l1(NOISE, NOISE, 44100) == 0


def test_unscaled_magnitudes_are_those_of_a_plain_transform():
    """Of a sine they are half the window's sum; both scales part at the floor, which soft sounds lie under."""
    assert log_mel_l1_unscaled(NOISE, NOISE * np.e, 44100) == pytest.approx(1.0, abs=0.01)
    soft = NOISE * 1e-5
    assert log_mel_l1(soft, soft * np.e, 44100) < 0.1 < 0.9 < log_mel_l1_unscaled(soft, soft * np.e, 44100)
    window = scipy.signal.get_window("hann", 1024)
    sine = np.sin(2 * np.pi * 1000 / 16000 * np.arange(16000))
    plain = np.abs(np.fft.rfft(sine[4096 : 4096 + 1024] * window)).max()
    _, _, scaled = scipy.signal.stft(sine, 16000, nperseg=1024, noverlap=1024 - 160, scaling="spectrum")
    assert plain / np.abs(scaled[:, 40]).max() == pytest.approx(_WINDOW_SUM, rel=0.01)


def test_baselines_do_what_they_say():
    time = np.arange(44100) / 44100
    low, high = np.sin(2 * np.pi * 60 * time)[None], np.sin(2 * np.pi * 2000 * time)[None]
    assert sdr_db(low, low_pass(low + high, 44100)) > 15
    clicks = np.zeros((1, 44100))
    clicks[0, 2000::4000] = 1.0
    assert sdr_db(clicks, percussive(clicks + 0.2 * high, 44100)) > 3
    assert sdr_db(low, ideal_mask(low + high, low, 44100)) > 15
    assert all(method(NOISE, 44100).shape == NOISE.shape for method in BASELINES.values())


def test_the_oracle_hears_each_channel():
    """As ours does: of two tones apart in the channels it gave 11 dB where the latents' limit had 35."""
    time = np.arange(44100) / 44100
    left, right = np.sin(2 * np.pi * 441 * time), np.sin(2 * np.pi * 450 * time)
    source = np.stack([left, 0 * left])
    assert sdr_db(source, ideal_mask(np.stack([left, right]), source, 44100)) > 60


def test_an_interval_holds_the_mean():
    values = RNG.normal(3, 1, 200).tolist()
    low, high = bootstrap(values, np.random.default_rng(0))
    assert low < np.mean(values) < high
    assert high - low < 0.5


def test_excerpts_of_a_song_are_drawn_together():
    """Ten alike excerpts of a song are one voice; of two songs alone no more can be said than of their excerpts."""
    means = RNG.normal(0, 1, 12)
    values = np.repeat(means, 10).tolist()

    def width(songs=()):
        low, high = bootstrap(values, np.random.default_rng(0), songs)
        return high - low

    of_songs = bootstrap(means.tolist(), np.random.default_rng(0))
    assert width(np.repeat(np.arange(12), 10).astype(str).tolist()) == pytest.approx(of_songs[1] - of_songs[0])
    assert width() < 0.5 * (of_songs[1] - of_songs[0])
    assert width(np.repeat(["a", "b"], 60).tolist()) == width()


def test_perfect_latents_come_near_the_ideal_mask(pipeline, song, clip):
    drums = next(stem for stem in song.stems if stem.label == "drums")
    limit = sdr_db(drums.audio, latent_limit(pipeline, clip, drums.audio))
    ideal = sdr_db(drums.audio, ideal_mask(clip.samples, drums.audio, 44100))
    assert ideal - 3 < limit < ideal + 3


def test_the_published_forms_limit_passes_its_autoencoder(published):
    """A random autoencoder keeps little, but its limit has the song's shape and never leaves the song."""
    clip = AudioClip(NOISE.astype(np.float32), 44100)
    quiet = (NOISE * 0.1).astype(np.float32)
    pipeline = Pipeline(published, conditioner=None, device=torch.device("cpu"))
    limit = latent_limit(pipeline, clip, quiet)
    assert limit.shape == NOISE.shape
    assert float(np.abs(limit).max()) < 2 * float(np.abs(NOISE).max())


def test_the_benchmark_prints_ratios(pipeline):
    rows = bench(pipeline, 8.0)["rows"]
    assert len(rows) == 8
    assert all(value > 0 for value in rows.values())


@pytest.mark.parametrize("seconds", [0.0, -3.0, float("nan"), 1e9])
def test_a_length_is_refused_without_a_model(seconds):
    with pytest.raises(InputError, match="is no length to measure"):
        check_length(seconds)
