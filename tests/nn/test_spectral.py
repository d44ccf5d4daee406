import numpy as np
import pytest
import torch
from mgeldm.config import SpectralConfig
from mgeldm.nn.spectral import SpectralAutoencoder, hz_of_mel, mel_filters, mel_of_hz, transposition


@pytest.fixture(scope="module")
def spectral(pipeline):
    return pipeline.model.autoencoder


def test_mel_scale_inverts():
    hz = torch.linspace(20, 18000, 300)
    assert torch.allclose(hz_of_mel(mel_of_hz(hz)), hz, rtol=1e-4)


def test_filters_sum_to_one_and_rise():
    filters, centres_hz = mel_filters(SpectralConfig(), 44100)
    assert torch.allclose(filters.sum(1), torch.ones(128))
    assert bool((centres_hz.diff() > 0).all())


def test_compress_inverts(spectral):
    magnitudes = torch.rand(4, 128, 8)
    assert torch.allclose(spectral.expand(spectral.compress(magnitudes)), magnitudes, atol=1e-5)


def test_a_click_lands_in_its_own_mel_frame(spectral):
    audio = torch.zeros(1, 4096 * 2)
    audio[0, 3 * 1024 + 512] = 1.0
    assert int(spectral.mel(audio)[0].sum(0).argmax()) == 3


@torch.no_grad()
def test_transposition_moves_a_tone_to_where_it_sounds_higher_and_back(spectral):
    """A sine's mel moved by five semitones peaks where the mel of the higher sine does."""
    time_s = torch.arange(64 * 1024) / 44100
    low, high = (spectral.mel(torch.sin(2 * torch.pi * hz * time_s)[None])[0] for hz in (440.0, 440 * 2 ** (5 / 12)))
    there, back = (transposition(spectral.centres_hz, semitones) for semitones in (5.0, -5.0))
    moved = there @ low
    assert int(moved[:, 20].argmax()) == int(high[:, 20].argmax()) != int(low[:, 20].argmax())
    assert int((back @ moved)[:, 20].argmax()) == int(low[:, 20].argmax())
    assert torch.equal(transposition(spectral.centres_hz, 0.0), torch.eye(128))


@torch.no_grad()
def test_the_latent_keeps_music(spectral, clip):
    mel = spectral.mel(torch.from_numpy(clip.samples.mean(0)[None, : 64 * 4096]))
    back = spectral.decode_mel(spectral.encode_mel(mel))
    assert float((back - mel).square().mean() / mel.var()) < 0.08


def test_fit_whitens_by_half():
    torch.manual_seed(0)
    config = SpectralConfig(mel_bands=8, latent_channels=6, mels_per_latent=2)
    spectral = SpectralAutoencoder(config)
    mel = torch.rand(20, 8, 40) * torch.linspace(1, 3, 8)[:, None]
    explained = spectral.fit(mel)
    latents = spectral.encode_mel(mel)
    assert 0 < float(explained) < 1
    assert float(latents.square().mean()) == pytest.approx(1.0, rel=0.05)


@torch.no_grad()
def test_decoded_sound_has_the_magnitudes_asked_for(spectral, clip):
    audio = torch.from_numpy(clip.samples.mean(0)[None, 4096 * 20 : 4096 * 40])
    audio = audio * (0.1 / audio.square().mean().sqrt())
    mel = spectral.mel(audio)
    made = spectral.sound(mel)
    assert made.shape == audio.shape
    again = spectral.mel(made)
    correlation = np.corrcoef(mel.flatten().numpy(), again.flatten().numpy())[0, 1]
    assert correlation > 0.97
    assert float((again.mean() / mel.mean()).log().abs()) < 0.05
    assert torch.equal(made, spectral.sound(mel))


@torch.no_grad()
@pytest.mark.parametrize("hz", [110.0, 261.63, 440.0, 1318.5])
def test_decoded_notes_are_in_tune(spectral, hz):
    """Within a third of a semitone, as a note with harmonics."""
    time_s = torch.arange(4096 * 20) / 44100
    audio = sum(torch.sin(2 * torch.pi * k * hz * time_s) / k for k in range(1, 7))[None] * 0.1
    made = spectral.decode(spectral.encode(audio[:, None]))[0, 0]
    spectrum = torch.fft.rfft(made * torch.hann_window(len(made))).abs()
    near = range(round(hz * 2**-0.5 * len(made) / 44100), round(hz * 2**0.5 * len(made) / 44100))
    found_hz = near[int(spectrum[near].argmax())] * 44100 / len(made)
    assert abs(12 * np.log2(found_hz / hz)) < 1 / 3


def test_a_decoder_network_takes_the_place_of_the_search_for_phases():
    spectral = SpectralAutoencoder(SpectralConfig(decoder_width=8, decoder_depth=1))
    mel = spectral.mel(torch.randn(1, 4096 * 4) * 0.1)
    assert torch.equal(spectral.sound(mel), spectral.decoder(mel))
    assert SpectralAutoencoder(SpectralConfig()).decoder is None
