"""The autoencoder recipe of the embedded model: the decoder that turns compressed mel magnitudes into sound.

Its encoder is a projection that `SpectralAutoencoder.fit` finds at once; only the ISTFT decoder is trained, on what the
projection leaves of mixtures and stems rendered as it goes. Losses: multi-resolution STFT (PAPER: training).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..data import corpus
from ..data.bank import Bank
from ..nn.spectral import MIXTURE_RMS, SpectralAutoencoder

_STFT_SIZES = (2048, 1024, 512, 256, 128)
_SONG_S = 12.0


class DecoderRecipe:
    """Batches of short crops of rendered mixtures and stems.

    Args:
        spectral: The fitted autoencoder, whose decoder is trained.
        banks: Notes to render with; none leaves the synthesisers.
        batch: Crops a step.
        crop_frames: Latent frames a crop.
    """

    def __init__(self, spectral: SpectralAutoencoder, banks: list[Bank], batch: int = 12, crop_frames: int = 8):
        self.spectral, self.model, self.banks, self.batch = spectral, spectral.decoder, banks, batch
        config = spectral.config
        self.samples = crop_frames * config.hop_samples * config.frames_per_mel * config.mels_per_latent
        self._crops: list[np.ndarray] = []

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Multi-resolution STFT loss of one batch."""
        while len(self._crops) < 4 * self.batch:
            self._crops += self._render(rng)
        chosen = rng.permutation(len(self._crops))[: self.batch]
        audio = torch.from_numpy(np.stack([self._crops[i] for i in chosen]))
        for i in sorted(chosen, reverse=True):
            del self._crops[i]
        with torch.no_grad():
            mel = self.spectral.decode_mel(self.spectral.encode_mel(self.spectral.mel(audio)))
        margin = self.spectral.config.fft_samples
        decoded = self.model(mel)[:, margin:-margin]
        losses = [stft_loss(decoded, audio[:, margin:-margin], size) for size in _STFT_SIZES]
        return torch.stack(losses).mean(), {}

    def _render(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Crops of one song: its mixture and every stem, at places where they sound."""
        song = corpus.render_song(int(rng.integers(2**31)), self.banks, _SONG_S)
        tracks = [song.mixture.mean(0), *(stem.audio.mean(0) for stem in song.stems)]
        gain = MIXTURE_RMS / (float(np.sqrt(np.square(tracks[0]).mean())) + 1e-9)
        crops = []
        for track in tracks:
            for start in rng.integers(0, len(track) - self.samples, 3):
                crop = track[start : start + self.samples] * gain
                if float(np.square(crop).mean()) > 1e-5:
                    crops.append(crop.astype(np.float32))
        return crops


def stft_loss(decoded: Tensor, audio: Tensor, size: int) -> Tensor:
    """Spectral convergence plus L1 of log magnitudes, of audio [batch, samples] at one STFT size."""
    window = torch.hann_window(size)
    made, wanted = (
        torch.stft(x, size, size // 4, window=window, return_complex=True).abs().clamp(min=1e-5 * size)
        for x in (decoded, audio)
    )
    convergence = (made - wanted).square().sum((1, 2)).sqrt() / wanted.square().sum((1, 2)).sqrt()
    return convergence.mean() + (made.log() - wanted.log()).abs().mean()
