"""The text-audio recipe: two towers, trained contrastively on the sources of pre-encoded triplets."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ..conditioning.embedded import EmbeddedConditioner
from ..config import SpectralConfig
from ..data.latents import Triplets
from .augment import equalise
from .loop import Scalars
from .machine import near, there

_CROP_FRAMES = 128


class TextAudioRecipe:
    """Batches of sounds, each with one of its phrases.

    Args:
        conditioner: The towers to train.
        pool: Triplets; silent sources are left out.
        batch: Pairs a step.
    """

    def __init__(self, conditioner: EmbeddedConditioner, pool: Triplets, batch: int = 96):
        self.model, self.pool, self.batch = conditioner.train(), pool, batch
        self.device = next(conditioner.parameters()).device
        (self.sources,) = near((pool.sources,), self.device)
        levels = np.array([float(source[:, ::4].mean()) for source in pool.sources])
        silence = float(levels.min()) if len(levels) else 0.0
        self.audible = np.flatnonzero(levels > silence * 1.05)
        self.classes = {label: number for number, label in enumerate(sorted(set(pool.labels.tolist())))}
        chances = pool.chances()[self.audible]
        self.chances = chances / chances.sum()

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, Scalars]:
        """Contrastive loss of one batch."""
        rows = rng.choice(self.audible, self.batch, p=self.chances)
        start = int(rng.integers(0, self.pool.sources.shape[2] - _CROP_FRAMES + 1))
        cropped = self.sources[there(rows, self.sources.device), :, start : start + _CROP_FRAMES]
        mel = there(cropped, self.device).float()
        texts = [str(rng.choice(self.pool.captions[row].split("|"))) for row in rows]
        labels = there(np.array([self.classes[self.pool.labels[row]] for row in rows]), self.device)
        loss = self.model.loss(texts, equalise(mel, SpectralConfig().power, rng), labels)
        return loss, {}
