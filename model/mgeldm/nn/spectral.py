"""The embedded autoencoder: a latent that needs no training, and a trained decoder back to sound.

Encoding: mel bands of the STFT, RMS over a few frames, compressed by a power, patches of a few mel frames projected by
PCA and half-whitened (each channel divided by the square root of its deviation). FINDINGS: masks made from this latent
lose 1.2 dB against the ideal mask. Decoding to magnitudes is the transposed projection. Decoding to sound, needed for
generated parts only, finds bins that the bands can stand for and phases that agree (`nn/phases.py`); or a network does
both, where the configuration gives it layers: a ConvNeXt at mel-frame rate with an ISTFT head (the form of Vocos, arXiv
2306.00814).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import SpectralConfig
from .phases import Phases

MIXTURE_RMS = 0.1  # the level that songs are brought to before they are encoded, in training and in use
FLOOR = 1e-5  # magnitude; keeps the gradient of x ** 0.3 finite in silence
_UPDATES = 60  # from bands to bins; 20 leave chords unclear, 150 are no better


def mel_of_hz(hz: Tensor) -> Tensor:
    """Slaney's mel scale: linear below 1 kHz, logarithmic above."""
    linear = hz * 3 / 200
    return torch.where(hz < 1000, linear, 15 + 27 * torch.log(hz.clamp(min=1e-9) / 1000) / math.log(6.4))


def hz_of_mel(mel: Tensor) -> Tensor:
    """Inverse of `mel_of_hz`."""
    return torch.where(mel < 15, mel * 200 / 3, 1000 * torch.exp((mel - 15) * math.log(6.4) / 27))


def mel_filters(config: SpectralConfig, rate_hz: int) -> tuple[Tensor, Tensor]:
    """Triangular filters [bands, bins], each row summing to one, and the bands' centres in Hz [bands]."""
    ends = mel_of_hz(torch.tensor([config.fmin_hz, config.fmax_hz]))
    edges = hz_of_mel(torch.linspace(float(ends[0]), float(ends[1]), config.mel_bands + 2))
    bins = torch.linspace(0, rate_hz / 2, config.fft_samples // 2 + 1)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    filters = torch.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)).clamp(min=0)
    nearest = F.one_hot((bins - centre).abs().argmin(1), bins.numel()).float()
    filters = torch.where(filters.sum(1, keepdim=True) > 0, filters, nearest)
    return filters / filters.sum(1, keepdim=True), edges[1:-1]


def transpositions(centres_hz: Tensor, semitones: Iterable[float]) -> Tensor:
    """Matrices [moves, bands, bands] on the CPU, one for each number of semitones (see `transposition`)."""
    centres_hz = centres_hz.cpu()  # once
    return torch.stack([transposition(centres_hz, move) for move in semitones])


def transposition(centres_hz: Tensor, semitones: float) -> Tensor:
    """Matrix [bands, bands] that moves what lies in mel bands up by so many semitones, formants too, as a tape does.

    Each band takes its value from between the two that lie nearest to where it comes from: good enough for sounds that
    are to be told apart, or for masks.
    """
    centres = centres_hz.cpu().double().numpy()  # some devices have no doubles
    bands = np.arange(len(centres))
    place = np.interp(centres / 2 ** (semitones / 12), centres, bands)
    low = place.astype(int)
    high = np.minimum(low + 1, bands[-1])
    matrix = np.zeros((len(bands), len(bands)), np.float32)
    matrix[bands, low] += 1 - (place - low)
    matrix[bands, high] += place - low
    return torch.from_numpy(matrix)


class SpectralAutoencoder(nn.Module):
    """Mono audio at 44.1 kHz to half-whitened PCA latents and back.

    The projection (`mean`, `basis`, `scale`) is fitted once by `fit`; it is part of the state.

    Args:
        config: Sizes.
        rate_hz: Rate of the audio the latents stand for.
    """

    filters: Tensor
    centres_hz: Tensor
    mean: Tensor
    basis: Tensor
    scale: Tensor

    def __init__(self, config: SpectralConfig, rate_hz: int = 44100):
        super().__init__()
        self.config, self.rate_hz = config, rate_hz
        filters, centres_hz = mel_filters(config, rate_hz)
        patch = config.mel_bands * config.mels_per_latent
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("centres_hz", centres_hz, persistent=False)
        self.register_buffer("mean", torch.zeros(patch))
        self.register_buffer("basis", torch.eye(config.latent_channels, patch))
        self.register_buffer("scale", torch.ones(config.latent_channels))
        self.phases = Phases(config.fft_samples, config.hop_samples)
        self.decoder = SpectralDecoder(config) if config.decoder_depth else None

    @property
    def silence(self) -> Tensor:
        """Latents [channels] of mels that are zero: a sound that gets louder moves away from them in a line."""
        return -(self.basis @ self.mean) / self.scale

    def stft(self, audio: Tensor) -> Tensor:
        """STFT [batch, bins, samples / hop] of audio [batch, samples]; frame j is centred on (j + 1/2) hops."""
        return self.phases.stft(audio)

    def mel_of_stft(self, stft: Tensor) -> Tensor:
        """Compressed mel magnitudes [batch, bands, mel frames] of an STFT [batch, bins, frames]."""
        power = stft.real.square() + stft.imag.square()
        power = power.unflatten(2, (-1, self.config.frames_per_mel)).mean(3)  # [batch, bins, mel frames]
        return self.compress((self.filters @ power).sqrt())

    def mel(self, audio: Tensor) -> Tensor:
        """Compressed mel magnitudes [batch, bands, mel frames] of audio [batch, samples] (whole latent frames)."""
        return self.mel_of_stft(self.stft(audio))

    def compress(self, magnitudes: Tensor) -> Tensor:
        """Linear magnitudes to the domain the latent is linear in."""
        return (magnitudes + FLOOR) ** self.config.power

    def expand(self, mel: Tensor) -> Tensor:
        """Inverse of `compress`; never negative."""
        return (mel.clamp(min=FLOOR**self.config.power) ** (1 / self.config.power) - FLOOR).clamp(min=0)

    def encode_mel(self, mel: Tensor) -> Tensor:
        """Latents [batch, channels, frames] of compressed mel magnitudes [batch, bands, mel frames]."""
        patches = mel.unflatten(2, (-1, self.config.mels_per_latent))  # [batch, bands, frames, mels]
        patches = patches.permute(0, 2, 1, 3).flatten(2)  # [batch, frames, bands * mels]
        return (((patches - self.mean) @ self.basis.T) / self.scale).transpose(1, 2)

    def decode_mel(self, latents: Tensor) -> Tensor:
        """Compressed mel magnitudes [batch, bands, mel frames] of latents [batch, channels, frames]."""
        patches = (latents.transpose(1, 2) * self.scale) @ self.basis + self.mean  # [batch, frames, bands * mels]
        patches = patches.unflatten(2, (self.config.mel_bands, self.config.mels_per_latent))
        return patches.permute(0, 2, 1, 3).flatten(2)  # [batch, bands, mel frames]

    def encode(self, audio: Tensor) -> Tensor:
        """Latents [batch, channels, frames] of audio [batch, 1, samples]; samples a multiple of the ratio."""
        return self.encode_mel(self.mel(audio[:, 0]))

    def magnitudes(self, mel: Tensor) -> Tensor:
        """STFT magnitudes [batch, bins, frames] that compressed mel magnitudes [batch, bands, mel frames] stand for.

        The non-negative powers of bins whose bands come closest, by multiplicative updates (Lee and Seung 1999): what
        several bands share gathers in peaks between their centres, which is where notes are.
        """
        bands = self.expand(mel).square()
        spread = self.filters.T @ bands  # [batch, bins, mel frames]
        power = spread
        for _ in range(_UPDATES):
            power = (power * spread / (self.filters.T @ (self.filters @ power) + 1e-16)).clamp(min=1e-14)
        return power.sqrt().repeat_interleave(self.config.frames_per_mel, 2)

    def sound(self, mel: Tensor) -> Tensor:
        """Audio [batch, samples] of compressed mel magnitudes [batch, bands, mel frames]."""
        return self.phases.sound(self.magnitudes(mel)) if self.decoder is None else self.decoder(mel)

    def decode(self, latents: Tensor) -> Tensor:
        """Audio [batch, 1, samples] of latents [batch, channels, frames]."""
        return self.sound(self.decode_mel(latents))[:, None]

    @torch.no_grad()
    def fit(self, mel: Tensor) -> Tensor:
        """Fit the projection on compressed mel magnitudes [items, bands, mel frames]; returns explained variance."""
        patches = mel.unflatten(2, (-1, self.config.mels_per_latent)).permute(0, 2, 1, 3).flatten(0, 1).flatten(1)
        self.mean.copy_(patches.mean(0))
        centred = patches - self.mean
        values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
        k = self.config.latent_channels
        kept = values.flip(0)[:k]
        self.basis.copy_(vectors.flip(1)[:, :k].T)
        half = kept.sqrt().sqrt()  # the square root of each channel's deviation
        unit = (kept / half.square()).mean().sqrt()  # so that the latent as a whole has variance one
        self.scale.copy_(half * unit)
        return kept.sum() / values.sum()


class _ConvNeXt(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, 3 * width)
        self.narrow = nn.Linear(3 * width, width)
        self.gain = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).transpose(1, 2))  # [batch, frames, width]
        y = self.narrow(F.gelu(self.wide(y))) * self.gain
        return x + y.transpose(1, 2)


class SpectralDecoder(nn.Module):
    """Compressed mel magnitudes [batch, bands, mel frames] to audio [batch, samples], by an ISTFT head.

    Each mel frame stands for `frames_per_mel` STFT frames, which leave the network together.
    """

    def __init__(self, config: SpectralConfig):
        super().__init__()
        self.config = config
        width, bins = config.decoder_width, config.fft_samples // 2 + 1
        self.enter = nn.Conv1d(config.mel_bands, width * config.frames_per_mel, 7, padding=3)
        self.blocks = nn.ModuleList(_ConvNeXt(width) for _ in range(config.decoder_depth))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, 2 * bins)
        self.phases = Phases(config.fft_samples, config.hop_samples)

    def forward(self, mel: Tensor) -> Tensor:
        c = self.config
        x = self.enter(mel)
        x = x.unflatten(1, (-1, c.frames_per_mel)).transpose(2, 3).flatten(2)  # [batch, width, frames]
        for block in self.blocks:
            x = block(x)
        log_magnitude, phase = self.leave(self.norm(x.transpose(1, 2))).transpose(1, 2).chunk(2, 1)
        magnitude = log_magnitude.clamp(max=6).exp() * (2 / c.fft_samples)
        return self.phases.overlap_add(torch.polar(magnitude, phase))
