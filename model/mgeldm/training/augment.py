"""What is done to compressed mels as they are drawn, so that none is seen twice alike."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..nn.spectral import transposition

_SEMITONES = 3.0


def equalise(mel: Tensor, rng: np.random.Generator, deviation_db: float = 3.0) -> Tensor:
    """Compressed mels [batch, bands, frames] under a smooth random equaliser each, the same in every frame."""
    knots = torch.from_numpy(rng.normal(0, deviation_db, (len(mel), 1, 8)).astype(np.float32))
    curve_db = torch.nn.functional.interpolate(knots, mel.shape[1], mode="linear", align_corners=True)[:, 0]
    return mel * (10 ** (curve_db / 20 * 0.3))[:, :, None].to(mel.device)


def transpose(mel: Tensor, centres_hz: Tensor, rng: np.random.Generator) -> Tensor:
    """Compressed mels [batch, tracks, bands, frames], half of them up or down by as much as three semitones.

    Args:
        mel: The mels; all tracks of an item move alike.
        centres_hz: Centre of each band [bands], rising.
        rng: Source of what moves, and how far.
    """
    semitones = rng.uniform(-_SEMITONES, _SEMITONES, len(mel)) * (rng.random(len(mel)) < 0.5)
    centres_hz = centres_hz.cpu()  # once
    matrices = torch.stack([transposition(centres_hz, moved) for moved in semitones])  # [batch, bands, bands]
    return matrices.to(mel)[:, None] @ mel
