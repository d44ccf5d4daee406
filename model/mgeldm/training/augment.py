"""What is done to compressed mels as they are drawn, so that none is seen twice alike."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..nn.spectral import SpectralAutoencoder
from .machine import there

SEMITONES = np.linspace(-3, 3, 49)  # that mels are moved by; the middle is none
_GAIN_DB = 3.0
_CURVE_DB = 3.0


def equaliser(count: int, bands: int, power: float, rng: np.random.Generator) -> Tensor:
    """Smooth random curves [count, bands, 1], factors of magnitudes compressed by `power`."""
    knots = torch.from_numpy(rng.normal(0, _CURVE_DB, (count, 1, 8)).astype(np.float32))
    curve_db = torch.nn.functional.interpolate(knots, bands, mode="linear", align_corners=True)[:, 0]
    return (10 ** (curve_db / 20 * power))[:, :, None]


def equalise(mel: Tensor, power: float, rng: np.random.Generator) -> Tensor:
    """Mels [batch, bands, frames] compressed by `power` under an equaliser each, the same in every frame."""
    return mel * there(equaliser(len(mel), mel.shape[1], power, rng), mel.device)


def vary(mels: Tensor, apart: np.ndarray, moves: Tensor, power: float, rng: np.random.Generator) -> Tensor:
    """Compressed mels [batch, tracks, bands, frames], half of them transposed, all equalised at any gain.

    Args:
        mels: The mels.
        apart: Items whose tracks are varied each on its own, bool [batch]; those of the others all alike.
        moves: The `transpositions` by `SEMITONES`.
        power: That magnitudes are compressed by.
        rng: Source of what moves, and how far.
    """
    batch, tracks, bands, _ = mels.shape
    still = rng.random((batch, tracks)) < 0.5
    chosen = np.where(still, len(moves) // 2, rng.integers(len(moves), size=(batch, tracks)))
    gains = 10 ** (rng.normal(0, _GAIN_DB, (batch, tracks, 1, 1)) / 20 * power)
    curves = equaliser(batch * tracks, bands, power, rng).unflatten(0, (batch, tracks))
    factors = curves * torch.from_numpy(gains).float()
    chosen[~apart], factors[~apart] = chosen[~apart, :1], factors[~apart, :1]
    return (moves[there(chosen, moves.device)] @ mels) * there(factors, mels.device).to(mels)


def mixed(source: Tensor, rest: Tensor, spectral: SpectralAutoencoder) -> Tensor:
    """Compressed mels [batch, bands, frames] of two sounds played together whose phases know nothing of each other.

    Energies add, but for what chance phases make of it: little where a band has many bins, much where it has one.
    """
    first, second = spectral.expand(source), spectral.expand(rest)
    deviation = (0.5 * spectral.filters.square().sum(1)).sqrt()[:, None]  # of the mean cosine over a band's bins
    cosine = (torch.randn_like(first) * deviation).clamp(-1, 1)
    power = first.square() + second.square() + 2 * first * second * cosine
    return spectral.compress(power.clamp(min=0).sqrt())
