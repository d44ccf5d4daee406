import numpy as np
import torch
from mgeldm.config import EMBEDDED
from mgeldm.nn.spectral import SpectralAutoencoder
from mgeldm.training.augment import equalise, transpose


def test_an_equaliser_is_the_same_in_every_frame():
    mel = torch.rand(2, 128, 6) + 0.1
    ratio = equalise(mel, np.random.default_rng(0)) / mel
    assert torch.allclose(ratio, ratio[:, :, :1].expand_as(ratio), atol=1e-5)


def test_some_items_move_by_a_few_semitones_all_tracks_alike_and_the_others_stay():
    spectral = SpectralAutoencoder(EMBEDDED.autoencoder)
    centres = spectral.centres_hz.numpy()
    band = 60
    tone = torch.zeros(32, 3, 128, 4)
    tone[:, :, band] = 1.0
    moved = transpose(tone, spectral.centres_hz, np.random.default_rng(0))
    assert torch.equal(moved[:, 0], moved[:, 2])
    heard_hz = np.array([np.average(centres, weights=item[0, :, 0]) for item in moved.numpy()])
    semitones = 12 * np.log2(heard_hz / centres[band])
    assert np.abs(semitones).max() < 3.1 and np.abs(semitones).max() > 2
    stayed = np.abs(semitones) < 1e-4
    assert 8 <= stayed.sum() <= 24
    assert torch.equal(moved[stayed], tone[stayed])
