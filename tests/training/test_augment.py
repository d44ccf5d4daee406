import numpy as np
import pytest
import torch
from mgeldm.config import EMBEDDED
from mgeldm.nn.spectral import SpectralAutoencoder, transpositions
from mgeldm.training.augment import SEMITONES, equalise, mixed, vary


@pytest.fixture(scope="module")
def spectral():
    return SpectralAutoencoder(EMBEDDED.autoencoder)


def test_an_equaliser_is_the_same_in_every_frame():
    mel = torch.rand(2, 128, 6) + 0.1
    ratio = equalise(mel, 0.3, np.random.default_rng(0)) / mel
    assert torch.allclose(ratio, ratio[:, :, :1].expand_as(ratio), atol=1e-5)


def test_tracks_of_an_item_move_by_a_few_semitones_alike_or_each_on_its_own(spectral):
    centres = spectral.centres_hz.numpy()
    band = 60
    tone = torch.zeros(32, 3, 128, 4)
    tone[:, :, band] = 1.0
    apart = np.arange(32) >= 16
    moves = transpositions(spectral.centres_hz, SEMITONES)
    moved = vary(tone, apart, moves, 0.3, np.random.default_rng(0))
    assert torch.equal(moved[:16, 0], moved[:16, 2])
    assert all(not torch.equal(item[0], item[2]) for item in moved[16:])
    heard_hz = [np.average(centres, weights=track[:, 0]) for track in moved.flatten(0, 1).numpy()]
    semitones = 12 * np.log2(np.array(heard_hz) / centres[band]).reshape(32, 3)
    assert 2 < np.abs(semitones).max() < 3.1
    stayed = np.abs(semitones) < 1e-3
    assert 0.3 < stayed[:16].mean() < 0.7 and 0.3 < stayed[16:].mean() < 0.7
    assert np.array_equal(stayed[:16, 0], stayed[:16, 2]) and not np.array_equal(stayed[16:, 0], stayed[16:, 2])


def test_sounds_mixed_by_magnitudes_are_as_loud_as_sounds_mixed_by_samples(spectral):
    """Means and deviations of what a mixture's bands hold above the sum of energies, against true noise."""
    torch.manual_seed(0)
    audio = torch.randn(2, 2, 44100) * 0.05
    audio = audio[..., : 44100 // 4096 * 4096]
    source, rest, both = (spectral.mel(x) for x in (audio[0], audio[1], audio.sum(0)))
    energies = spectral.expand(source).square() + spectral.expand(rest).square()
    true, made = ((spectral.expand(x).square() / energies)[:, 8:] for x in (both, mixed(source, rest, spectral)))
    assert float(made.mean()) == pytest.approx(float(true.mean()), abs=0.03)
    for bands in (slice(0, 32), slice(32, 64), slice(64, 120)):
        assert 0.6 < float(made[:, bands].std() / true[:, bands].std()) < 1.6


def test_what_is_mixed_with_silence_stays(spectral):
    mel = spectral.compress(torch.rand(1, 128, 4))
    silence = spectral.compress(torch.zeros(1, 128, 4))
    torch.testing.assert_close(mixed(mel, silence, spectral), mel, atol=1e-4, rtol=1e-3)
