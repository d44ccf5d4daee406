"""The paper's denoiser recipe, on pre-encoded latents and embeddings, for models of the published form at any size.

Each item draws one of four patterns: nothing known, or the mixture, the submixture or the source, clean at timestep 0
and without loss. Each track's condition is dropped on its own; the source's lies between text and audio (PAPER:
diffusion, training).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data.latents import Triplets
from ..diffusion import TAU_END, add_noise, velocity
from ..errors import InputError
from ..nn.dit import Denoiser
from ..nn.oobleck import OobleckAutoencoder
from ..pipeline.extraction import in_one_step
from ..tracks import Track
from .autoencoder import pictured
from .loop import Scalars


@dataclass
class Embedded:
    """Embeddings of a pool: `audio` [items, tracks, dim] in the pool's order, and the vector [dim] of every phrase."""

    audio: np.ndarray
    texts: dict[str, np.ndarray]


class JointRecipe:
    """Batches of latents under text and audio conditions.

    Args:
        model: The denoiser; the batches go where it lies.
        pool: Triplets of latents [items, channels, frames].
        embedded: Their embeddings.
        batch: Items a batch.
        dropout: Probability that a track's condition is dropped; the paper's 0.1, or 0.5, which extracts better.
        autoencoder: That of the latents, for `sketch`.
        rate_hz: The model's rate.

    Raises:
        InputError: The pool was encoded for a denoiser of other sizes, or some of its phrases have no embedding.
    """

    def __init__(
        self,
        model: Denoiser,
        pool: Triplets,
        embedded: Embedded,
        batch: int = 64,
        dropout: float = 0.5,
        autoencoder: OobleckAutoencoder | None = None,
        rate_hz: int = 16000,
    ):
        channels, dim = pool.mixtures.shape[1], embedded.audio.shape[2]
        wanted = model.config.latent_channels, model.config.condition_dim
        if (channels, dim) != wanted:
            raise InputError(
                f"The pool holds latents of {channels} channels and embeddings of {dim}, where the denoiser takes "
                f"{wanted[0]} and {wanted[1]}; encode it with this model's checkpoint."
            )
        self.model, self.pool, self.embedded, self.batch, self.dropout = model, pool, embedded, batch, dropout
        self.device, self.rate_hz = next(model.parameters()).device, rate_hz
        self.autoencoder = None if autoencoder is None else autoencoder.eval().to(self.device)
        self.phrases = [str(captions).split("|") for captions in pool.captions]
        missing = sorted({phrase for phrases in self.phrases for phrase in phrases} - embedded.texts.keys())
        if missing:
            raise InputError(
                f"{len(missing)} phrases of the pool have no embedding, {missing[0]!r} for one; run the command that "
                "encoded it again, with --embed."
            )

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, Scalars]:
        """Velocity loss on unknown tracks."""
        rows = rng.integers(len(self.pool), size=self.batch)
        parts = (self.pool.mixtures, self.pool.rests, self.pool.sources)  # in the order of `Track`
        latents = torch.from_numpy(np.stack([part[rows] for part in parts], 1)).to(self.device).float()
        drawn = draw_timesteps(rng, self.batch, self.pool.absent(rows))
        unknown, timesteps = (x.to(self.device) for x in drawn)  # [batch, tracks]
        noise = torch.randn_like(latents)
        tau = timesteps[:, :, None, None]
        noised = add_noise(latents, noise, tau).flatten(1, 2)  # [batch, tracks * channels, frames]
        predicted = self.model(noised, timesteps, self._conditions(rows, rng)).float()
        squared = (predicted.unflatten(1, latents.shape[1:3]) - velocity(latents, noise, tau)).square().mean((2, 3))
        return (squared * unknown).sum() / unknown.sum(), {}

    def _conditions(self, rows: np.ndarray, rng: np.random.Generator) -> Tensor:
        """Conditions [batch, tracks, dim]; zeros where dropped."""
        conditions = self.embedded.audio[rows].astype(np.float32)  # [batch, tracks, dim]
        texts = np.stack([self.embedded.texts[str(rng.choice(self.phrases[row]))] for row in rows]).astype(np.float32)
        share = rng.uniform(0, 1, (len(rows), 1)).astype(np.float32)
        share[self.pool.absent(rows)] = 1
        conditions[:, Track.SOURCE] = share * texts + (1 - share) * conditions[:, Track.SOURCE]
        conditions[rng.uniform(0, 1, conditions.shape[:2]) < self.dropout] = 0
        return torch.from_numpy(conditions).to(self.device)

    def sketch(self, rng: np.random.Generator, items: int = 3) -> dict[str, Tensor]:
        """Spectrograms and sound of a few mixtures, of what was taken from each in one step, and of what should have
        been; nothing without an autoencoder."""
        parts: dict[str, Tensor] = {}
        if self.autoencoder is None:
            return parts
        for number, row in enumerate(rng.choice(len(self.pool), min(items, len(self.pool)), replace=False)):
            for name, latents in self._taken(row).items():
                sound = self.autoencoder.decode(latents)[0].mean(0)
                parts |= pictured(f"{number} {self.pool.labels[row]}/{name}", sound)
        return parts

    def _taken(self, row: int) -> dict[str, Tensor]:
        """Latents [1, channels, frames] of what the plainest phrase takes from an item, of its source and mixture."""
        tracks = (part[row, None] for part in (self.pool.sources, self.pool.mixtures))
        wanted, mixture = (torch.from_numpy(track).to(self.device).float() for track in tracks)
        condition = torch.from_numpy(self.embedded.texts[self.phrases[row][0]]).to(self.device).float()
        estimates = in_one_step(self.model, mixture, condition[None])
        return {"taken": estimates[:, Track.SOURCE], "wanted": wanted, "mixture": mixture}


def draw_timesteps(rng: np.random.Generator, batch: int, silent: np.ndarray) -> tuple[Tensor, Tensor]:
    """Which tracks are unknown, bool [batch, tracks], and their timesteps [batch, tracks], 0 where known.

    Where the source is `silent` the mixture is known: a song that lacks what is asked for gives nothing of it, but a
    new part is never to be silence.
    """
    known = rng.integers(-1, len(Track), batch)  # the known track, or none
    known[silent] = Track.MIXTURE
    unknown = torch.from_numpy(known[:, None] != np.arange(len(Track)))
    tau = torch.from_numpy(rng.uniform(TAU_END, 1.0, (batch, 1)).astype(np.float32))
    return unknown, tau * unknown
