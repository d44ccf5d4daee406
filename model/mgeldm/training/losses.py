"""What an autoencoder is judged by, as pure functions of audio [batch, samples] (PAPER: training).

Multi-resolution STFT loss (Yamamoto et al. 2020, arXiv 1910.11480), under an A-weighting where it is to count as it is
heard; L1 of log mel spectrograms; the hinge game of discriminators and feature matching (Kumar et al. 2019,
arXiv 1910.06711).
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from ..config import SpectralConfig
from ..nn.spectral import mel_filters

MEL_SIZES = ((2048, 128), (1024, 64), (512, 32))  # STFT size and bands


def magnitudes(audio: Tensor, size: int) -> Tensor:
    """Magnitudes of an STFT [batch, bins, frames], a quarter window from frame to frame, floored at 1e-5 a sample."""
    window = torch.hann_window(size, device=audio.device)
    stft = torch.stft(audio, size, size // 4, window=window, return_complex=True)
    return stft.abs().clamp(min=1e-5 * size)


def stft_loss(decoded: Tensor, audio: Tensor, size: int, weights: Tensor | None = None) -> Tensor:
    """Spectral convergence plus L1 of log magnitudes at one STFT size.

    Args:
        decoded: What was made, [batch, samples].
        audio: What was wanted, [batch, samples].
        size: Samples of the STFT.
        weights: Of each bin [size / 2 + 1]; None weighs all alike.
    """
    made, wanted = magnitudes(decoded, size), magnitudes(audio, size)
    log = (made.log() - wanted.log()).abs()
    if weights is not None:
        made, wanted = made * weights[:, None], wanted * weights[:, None]
        log = log * (weights / weights.mean())[:, None]
    convergence = (made - wanted).square().sum((1, 2)).sqrt() / wanted.square().sum((1, 2)).sqrt()
    return convergence.mean() + log.mean()


def multi_resolution(decoded: Tensor, audio: Tensor, sizes: tuple[int, ...], heard_at_hz: int | None = None) -> Tensor:
    """Mean of `stft_loss` over sizes; A-weighted where `heard_at_hz` gives the audio's rate."""
    losses = []
    for size in sizes:
        weights = None if heard_at_hz is None else a_weighting(size, heard_at_hz).to(audio.device)
        losses.append(stft_loss(decoded, audio, size, weights))
    return torch.stack(losses).mean()


@lru_cache(32)
def a_weighting(size: int, rate_hz: int) -> Tensor:
    """Gain of each bin of an STFT [size / 2 + 1], IEC 61672: one at 1 kHz."""
    hz2 = torch.linspace(0, rate_hz / 2, size // 2 + 1, dtype=torch.float64).square()
    poles = (hz2 + 20.6**2) * ((hz2 + 107.7**2) * (hz2 + 737.9**2)).sqrt() * (hz2 + 12194.0**2)
    return (1.2589 * 12194.0**2 * hz2.square() / poles).float()


def mel_loss(decoded: Tensor, audio: Tensor, rate_hz: int) -> Tensor:
    """L1 of log mel spectrograms, mean over `MEL_SIZES`."""
    losses = []
    for size, bands in MEL_SIZES:
        filters = _filters(size, bands, rate_hz).to(audio.device)
        made, wanted = (torch.log10(filters @ magnitudes(x, size)) for x in (decoded, audio))
        losses.append((made - wanted).abs().mean())
    return torch.stack(losses).mean()


@lru_cache(32)
def _filters(size: int, bands: int, rate_hz: int) -> Tensor:
    config = SpectralConfig(mel_bands=bands, fft_samples=size, fmax_hz=min(18000.0, rate_hz / 2))
    return mel_filters(config, rate_hz)[0]


def fooling(judged: list[Tensor]) -> Tensor:
    """What the model wants: high marks for what it made, mean over discriminators."""
    return -torch.stack([marks.float().mean() for marks in judged]).mean()


def telling_apart(real: list[Tensor], made: list[Tensor]) -> Tensor:
    """What the discriminators want: real above one, made below minus one (hinge), mean over discriminators."""
    hinges = [(1 - r.float()).relu().mean() + (1 + m.float()).relu().mean() for r, m in zip(real, made, strict=True)]
    return torch.stack(hinges).mean()


def feature_matching(real: list[list[Tensor]], made: list[list[Tensor]]) -> Tensor:
    """L1 between the discriminators' layers on both, relative to the real ones' size."""
    distances = []
    for layers, others in zip(real, made, strict=True):
        for layer, other in zip(layers, others, strict=True):
            layer = layer.detach().float()
            distances.append((layer - other.float()).abs().mean() / layer.abs().mean().clamp(min=1e-6))
    return torch.stack(distances).mean()
